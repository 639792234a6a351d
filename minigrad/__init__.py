"""minigrad: automatic differentiation on NumPy and CuPy arrays, small enough to read, with PyTorch's names.

    import minigrad

    x = minigrad.ones(2, 2, requires_grad=True)
    z = (x + 2) * (x + 2) * 3
    z.mean().backward()
    x.grad                                  # 4.5 everywhere

Read `minigrad/core` to see how it works; `minigrad.nn` and `minigrad.optim` are built on it.
"""

import warnings as _warnings
from typing import TYPE_CHECKING, Any

# log(0) is -inf and 0/0 is NaN here as in PyTorch, without a word. Only warnings from minigrad's own lines are meant:
# NumPy used by anyone else keeps warning. Asking NumPy itself (errstate) would cost each small op a third of its time.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad(\.|$)")

from minigrad.backend import Device, device
from minigrad.core.dtypes import (
    bool,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    result_type,
    set_default_dtype,
    uint8,
)
from minigrad.core.engine import grad
from minigrad.core.fused import fused
from minigrad.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.core.primitive import primitive
from minigrad.core.tensor import Size, Tensor, tensor
from minigrad.io import load, save
from minigrad.kernels.pool import get_num_threads, set_num_threads
from minigrad.ops import TOP_LEVEL as _TOP_LEVEL
from minigrad.random import Generator, default_generator, initial_seed, manual_seed
from minigrad.version import __version__

float = float32
double = float64
half = float16
long = int64
int = int32
short = int16
dtype = type(float32)

globals().update(_TOP_LEVEL)

from minigrad import autograd, cuda, nn, optim, utils  # last, for they are written with the names above

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def is_tensor(value: Any) -> bool:  # type: ignore[valid-type]
    """Whether `value` is a Tensor."""
    return isinstance(value, Tensor)
