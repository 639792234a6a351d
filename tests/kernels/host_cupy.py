"""What the cuda modules use of CuPy: the kernels, compiled by the host's C++ compiler, and the functions, NumPy's or,
stricter but slower, those of the stand-in device."""

import ctypes
import importlib
import shutil
import subprocess
import sys
import types
from contextlib import contextmanager

import numpy as np

from minigrad.kernels.cuda_source import BODIES, MANY, OVER_MANY, PREAMBLE, SUMS, Body, over_many, parameters
from minigrad.testing import standin

C_TYPES = {"int64": "long long", "bool": "bool"}
CTYPES = {"int64": ctypes.c_longlong, "bool": ctypes.c_bool}
REALS = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}

# The card's threads, one after the other.
HEAD = """
#include <cmath>
#define __device__
#define __global__
using std::exp; using std::sqrt; using std::tanh;
struct { int x, y; } blockIdx, blockDim, gridDim, threadIdx;
"""


def as_body(kernel):
    """A sum's text is a kernel too: one that writes the terms."""
    if isinstance(kernel, Body):
        return kernel
    return Body(kernel.name, kernel.inputs, "", "T term", f"term = {kernel.text};")


def all_parameters(body):
    """(role, raw, type, name): the arrays that come in, the numbers, the arrays that go out."""
    roles = (("in", body.inputs), ("number", body.numbers), ("out", body.outputs))
    return [(role, *parameter) for role, text in roles for parameter in parameters(text)]


def wrapped(body, real, qualifiers, loop):
    """C++ that runs the body for each index, in float or double."""
    signature, names = [], []
    for role, raw, kind, name in all_parameters(body):
        c_type = real if kind == "T" else C_TYPES[kind]
        if role == "number":
            signature.append(f"{c_type} {name}")
        else:
            const = "const " if role == "in" else ""
            signature.append(f"{const}{c_type}* {name if raw else '_' + name}")
            names += [] if raw else [f"{const}{c_type}& {name} = _{name}[i];"]
    head = f'extern "C" {qualifiers} void {body.name}_{real}({", ".join(signature)}, long long _size)'
    return f"{head} {{ {loop} {{ using T = {real}; {' '.join(names)} {body.text} }} }}"


def source(qualifiers, loop):
    """All kernels: the bodies in a loop, and as they are for many arrays."""
    pairs = [(as_body(kernel), real) for kernel in (*BODIES, *SUMS) for real in REALS]
    single = [wrapped(body, real, qualifiers, loop) for body, real in pairs]
    return "\n".join([PREAMBLE, *single, *[over_many(kernel, real) for kernel in OVER_MANY for real in REALS]])


def launcher(kernel, real):
    """C++ that runs a kernel for many arrays on the host, thread after thread."""
    name = f"{kernel.name}_many_{real}"
    kinds = many_kinds(kernel)
    takes = "".join(f", {C_TYPES.get(kind, real)} a{at}" for at, kind in enumerate(kinds))
    if not isinstance(kernel, Body):
        takes, kinds = f", {real}* a0", ["T"]
    passes = "".join(f", a{at}" for at in range(len(kinds)))
    loops = [
        f"for ({index}.{axis} = 0; {index}.{axis} < {limit}.{axis}; ++{index}.{axis})"
        for index, limit, axis in (
            ("blockIdx", "gridDim", "y"),
            ("blockIdx", "gridDim", "x"),
            ("threadIdx", "blockDim", "x"),
        )
    ]
    return f"""
extern "C" void run_{name}(int x, int y, int threads, const {name}_table* table{takes}) {{
    gridDim.x = x; gridDim.y = y; blockDim.x = threads;
    {" ".join(loops)} {name}(*table{passes});
}}"""


def many_kinds(kernel):
    """The types of the numbers that a kernel for many arrays takes."""
    return [kind for _, kind, _ in parameters(kernel.numbers)] if isinstance(kernel, Body) else []


def compile_with(compiler, arguments, text, folder, suffix):
    path = folder / f"kernels{suffix}"
    path.write_text(text)
    done = subprocess.run([compiler, *arguments, str(path)], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr


def compiled_for_the_host(folder):
    """The library of all kernels, or None where there is no compiler."""
    if shutil.which("g++") is None:
        return None
    launchers = [launcher(kernel, real) for kernel in OVER_MANY for real in REALS]
    text = "\n".join([HEAD, source("", "for (long long i = 0; i < _size; ++i)"), *launchers])
    compile_with("g++", ["-std=c++17", "-O1", "-shared", "-fPIC", "-o", "kernels.so"], text, folder, ".cpp")
    return ctypes.CDLL(str(folder / "kernels.so"))


def memory(value):
    """The host's array of an array of the stand-in device; anything else is itself."""
    return value._host if isinstance(value, standin.StandinArray) else value


class HostKernel:
    """cupy.ElementwiseKernel over arrays in the host's memory, and as strict about types."""

    def __init__(self, library, body, array_type):
        self.library, self.body, self.parameters = library, body, all_parameters(body)
        self.array_type = array_type

    def __call__(self, *arguments):
        for value in arguments:
            if isinstance(value, np.ndarray) and not isinstance(value, self.array_type):
                raise TypeError(f"{self.body.name}: Unsupported type {type(value)}")
        given = list(zip(self.parameters, map(memory, arguments), strict=True))
        dtype = self._dtype([value for (role, _, kind, _), value in given if role != "number" and kind == "T"])
        shape = np.broadcast_shapes(*[np.shape(v) for (role, raw, *_), v in given if role != "number" and not raw])
        passed, written, copies = [], [], {}
        for (role, raw, kind, name), value in given:
            if role == "number":
                passed.append(number_type(kind, dtype)(value))
                continue
            want = dtype if kind == "T" else np.dtype(kind)
            if isinstance(value, np.ndarray) and value.dtype != want:
                raise TypeError(f"{self.body.name}: {name} is {value.dtype}, not {want}")
            if role == "out" and not raw and value.shape != shape:
                raise ValueError(f"{self.body.name}: {name} has shape {value.shape}, not {shape}")
            array = np.array(value if raw else np.broadcast_to(value, shape), dtype=want, order="C")
            array = copies.setdefault(id(value), array) if role == "out" else array  # one may stand in two places
            passed.append(ctypes.c_void_p(array.ctypes.data))
            written.append((role, value, array))
        size = int(np.prod(shape, dtype=np.int64))
        getattr(self.library, f"{self.body.name}_{'float' if dtype == np.float32 else 'double'}")(
            *passed, ctypes.c_longlong(size)
        )
        for role, value, array in written:
            if role == "out":
                value[...] = array

    @staticmethod
    def _dtype(values):
        (dtype,) = {value.dtype for value in values if isinstance(value, np.ndarray)}  # one T for all
        return dtype


def number_type(kind, dtype):
    return CTYPES.get(kind) or (ctypes.c_float if dtype == np.float32 else ctypes.c_double)


class HostLaunch:
    """cupy.RawKernel over arrays in the host's memory: takes a grid, a block, and arguments, which nothing converts."""

    launches = 0  # of all of them

    def __init__(self, library, code, name):
        texts = {f"{kernel.name}_many_{real}": (kernel, real) for kernel in OVER_MANY for real in REALS}
        self.kernel, real = texts[name]
        assert code == over_many(self.kernel, real)
        self.run, self.dtype = getattr(library, f"run_{name}"), REALS[real]

    def __call__(self, grid, block, arguments):
        HostLaunch.launches += 1
        table, *rest = arguments
        (x, y), (threads,) = grid, block
        assert 1 <= x < 2**31
        assert 1 <= y <= MANY
        assert 1 <= threads <= 1024
        assert table.shape == (1,)  # what CuPy passes by value
        assert table.dtype.itemsize + 8 * len(rest) <= 4096  # bytes that all arguments may have together
        passed = []
        if isinstance(self.kernel, Body):
            for kind, number in zip(many_kinds(self.kernel), rest, strict=True):
                assert type(number) is (self.dtype.type if kind == "T" else np.dtype(kind).type)
                passed.append(number_type(kind, self.dtype)(number))
        else:
            (totals,) = map(memory, rest)
            assert (totals.dtype, totals.shape) == (self.dtype, (x * y * threads,))
            totals.fill(np.nan)  # a card's memory holds anything
            passed.append(ctypes.c_void_p(totals.ctypes.data))
        self.run(x, y, threads, ctypes.c_void_p(table.ctypes.data), *passed)


def stand_in_for_cupy(library, functions):
    """The module: the kernels, and else `functions`."""
    bodies = {kernel.name: as_body(kernel) for kernel in (*BODIES, *SUMS)}

    def elementwise(inputs, outputs, text, name, preamble):
        body = bodies[name]
        assert (outputs, text, preamble) == (body.outputs, body.text, PREAMBLE)
        assert inputs == ", ".join(filter(None, [body.inputs, body.numbers]))
        return HostKernel(library, body, functions.ndarray)

    def reduction(inputs, output, text, reduce, post, identity, name):
        assert (inputs, output, reduce, post, identity) == (bodies[name].inputs, "T total", "a + b", "total = a", "0")
        terms_of = HostKernel(library, bodies[name], object)

        def total(*arrays, axis=None):
            terms = np.empty(np.broadcast_shapes(*[array.shape for array in arrays]), arrays[0].dtype)
            terms_of(*arrays, terms)
            return functions.asarray(terms.sum(axis=axis))

        return total

    module = types.ModuleType("cupy")
    module.ElementwiseKernel, module.ReductionKernel = elementwise, reduction
    module.RawKernel = lambda code, name: HostLaunch(library, code, name)
    module.__getattr__ = lambda name: getattr(functions, name)
    return module


@contextmanager
def imported(library, functions):
    """minigrad.kernels.cuda over the stand-in for CuPy; gone again afterwards."""

    def ours():
        return [name for name in sys.modules if name == "cupy" or name.startswith("minigrad.kernels.cuda")]

    source = "minigrad.kernels.cuda_source"  # needs no CuPy, and its kernels are told by identity
    before = {name: sys.modules.pop(name) for name in ours() if name != source}
    sys.modules["cupy"] = stand_in_for_cupy(library, functions)
    try:
        module = importlib.import_module("minigrad.kernels.cuda")
        sys.modules["minigrad.kernels.cuda_many"].address = lambda array: memory(array).ctypes.data
        yield module
    finally:
        for name in ours():
            if name != source:
                del sys.modules[name]
        sys.modules.update(before)
