"""From a kernel's text to something that can be called."""

import functools

import cupy

from minigrad.kernels.common import Array
from minigrad.kernels.cuda_source import PREAMBLE, Body, Sum


@functools.cache
def kernel(body: Body) -> Array:
    """The compiled kernel: call it with the inputs, the numbers, then the outputs. CuPy compiles once a dtype."""
    inputs = ", ".join(filter(None, [body.inputs, body.numbers]))
    return cupy.ElementwiseKernel(inputs, body.outputs, body.text, body.name, preamble=PREAMBLE)


@functools.cache
def reduction(sum: Sum) -> Array:
    """The compiled sum: call it with the inputs, and axis= for a sum over one axis."""
    return cupy.ReductionKernel(sum.inputs, "T total", sum.text, "a + b", "total = a", "0", sum.name)
