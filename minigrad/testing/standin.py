"""A stand-in for a GPU array library: CuPy's manners on the host's memory.

Code for NumPy works by accident on much that CuPy refuses: arrays that turn into scalars, lists and host arrays that
are taken along, arguments that CuPy's functions do not have.  A test without a GPU finds that out on this device:

    standin.install()
    x = backend.transfer(host, "standin")
    with standin.no_synchronisation():
        y = function_under_test(x)

What it holds to (the names and parameters are those of CuPy 14; where in doubt it is the stricter one):
- Only what `StandinArray` and `namespace` list exists; anything else raises AttributeError.
- A `numpy.ndarray` or a list among the operands raises TypeError; it enters by `asarray` alone, as a copy.  Python's
  numbers and NumPy's scalars may take part.  No function of NumPy's takes a `StandinArray`.
- A result of no dimensions is an array.  Basic indexing gives a view, `x[0, 0]` too.
- Integer arrays as indices never raise: they wrap around.  Parameters such as a shape must be numbers on the host.
- What waits for the device is counted: reading a value, and every result whose shape hangs on values.
- Only CuPy's dtypes exist, and arithmetic warns of nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.testing import _cupy_names as cupy_names
from minigrad.testing._standin_array import (
    StandinArray,
    SynchronisationError,
    arrays_in,
    check,
    compute,
    host_key,
    no_synchronisation,
    on_host,
    operand,
    plain,
    refused,
    result,
    sequence,
    synchronisations,
    synchronise,
)

__all__ = ["StandinArray", "SynchronisationError", "install", "namespace", "no_synchronisation", "synchronisations"]


# ---- functions, with CuPy's parameters ----------------------------------------------------------------------------


def _function(name: str, signature: inspect.Signature, host_function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function under CuPy's signature, on arrays of this device."""

    def call(*args: Any, **kwargs: Any) -> Any:
        check(name, signature, args, kwargs)
        if name in cupy_names.WAITING:
            synchronise(f"{name}, which needs values on the host,")
        return result(compute(host_function, args, kwargs), arrays_in((*args, *kwargs.values())))

    call.__name__ = name
    return call


def _question(name: str, signature: inspect.Signature, host_function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a function whose answer the host knows: a shape, a number of axes, a yes or no about memory."""

    def call(*args: Any, **kwargs: Any) -> Any:
        check(name, signature, args, kwargs)
        return compute(host_function, args, kwargs)

    call.__name__ = name
    return call


class StandinUfunc:
    """An elementwise function: callable with `out`, `where`, `casting` and `dtype`, with those methods CuPy's has."""

    _CALL = frozenset(("out", "where", "casting", "dtype"))
    _SUMMING = frozenset(("add", "multiply"))  # the two that CuPy reduces and accumulates with

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._host: np.ufunc = getattr(np, name)
        self.nin, self.nout = self._host.nin, self._host.nout

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r} of the stand-in device>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= self._CALL:
            raise TypeError(
                f"CuPy's {self.__name__} takes {sorted(self._CALL)}, not {sorted(kwargs.keys() - self._CALL)}"
            )
        for value in (*args, kwargs.get("where")):
            operand(value)
        sequence(kwargs.get("out"))
        return result(compute(self._host, args, kwargs), arrays_in((*args, kwargs.get("out"))))

    def at(self, a: StandinArray, indices: Any, b: Any) -> None:
        """`a[indices]` is changed by `b` in place, an index that comes twice twice."""
        dtypes = cupy_names.SCATTERS.get(self.__name__)
        if dtypes is None:
            raise NotImplementedError(
                f"`{self.__name__}.at` is not among those that CuPy has: {[*cupy_names.SCATTERS]}"
            )
        target = operand(a)
        key, gathers, _ = host_key(indices, target)
        if gathers and a.dtype.char not in dtypes:
            raise TypeError(f"CuPy's {self.__name__}.at does not work on {a.dtype}: CUDA has no such atomic operation")
        with np.errstate(all="ignore"):
            self._host.at(target, key, operand(b))

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        self._only_summing("reduce")
        return (namespace.sum if self.__name__ == "add" else namespace.prod)(array, axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        self._only_summing("accumulate")
        return (namespace.cumsum if self.__name__ == "add" else namespace.cumprod)(array, axis, dtype, out)

    def outer(self, a: Any, b: Any) -> Any:
        return result(compute(self._host.outer, (operand(a), operand(b)), {}), [])

    def _only_summing(self, method: str) -> None:
        if self.__name__ not in self._SUMMING:
            raise NotImplementedError(f"`{self.__name__}.{method}`: CuPy has it for add and multiply only")


# ---- functions that differ from NumPy's in more than their parameters ---------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", ndmin: int = 0) -> Any:
    """A new array from a host array, a number, nested lists of numbers, or an array of this device."""
    if isinstance(obj, StandinArray):
        made = np.array(obj._host, dtype=dtype, copy=copy or None, order=order, ndmin=ndmin)  # type: ignore[call-overload]
        return result(made, [obj])
    return StandinArray(np.array(obj, dtype=dtype, order=order, ndmin=ndmin))  # type: ignore[call-overload]


def asarray(a: Any, dtype: Any = None, order: str | None = None) -> Any:
    """As `array`, but an array of this device is taken as it is where dtype and order allow."""
    return array(a, dtype, copy=False, order=order or "K")


def asnumpy(a: Any) -> np.ndarray:
    return a.get() if isinstance(a, StandinArray) else np.asarray(a)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """With one argument it is `nonzero`, and waits."""
    if x is None and y is None:
        return namespace.nonzero(condition)
    return result(np.where(operand(condition), operand(x), operand(y)), [])


def take(a: Any, indices: Any, axis: int | None = None, out: StandinArray | None = None) -> Any:
    """Indices out of range wrap around; `mode` does not exist."""
    chosen = on_host(indices) if isinstance(indices, StandinArray) else np.asarray(plain(indices))
    return result(operand(a).take(chosen, axis, out=operand(out), mode="wrap"), arrays_in([out]))


def take_along_axis(a: Any, indices: Any, axis: int | None) -> Any:
    values = operand(a)
    return result(np.take_along_axis(values, _wrapped(operand(indices), values, axis), axis), [])


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    target = operand(arr)
    np.put_along_axis(target, _wrapped(operand(indices), target, axis), operand(values), axis)


def _wrapped(indices: np.ndarray, values: np.ndarray, axis: int | None) -> np.ndarray:
    length = values.size if axis is None else values.shape[axis]
    return indices % length if length else indices


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    if any(isinstance(item, np.ndarray) for item in arrays_and_dtypes):
        raise refused(np.ndarray)
    return np.result_type(*map(on_host, arrays_and_dtypes))


# ---- the namespace ------------------------------------------------------------------------------------------------


class _Namespace:
    """What stands in for a module: the members given, and for any other name an AttributeError."""

    def __init__(self, name: str, members: dict[str, Any]) -> None:
        self.__name__ = name
        self.__dict__.update(members)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name!r} is not among the names of {self.__name__} that the stand-in device lists")

    def __repr__(self) -> str:
        return f"<namespace {self.__name__!r}>"


def _functions(table: str, module: Any, make: Callable[..., Any] = _function) -> dict[str, Any]:
    return {name: make(name, signature, getattr(module, name)) for name, signature in cupy_names.listed(table)}


_OWN = (array, asarray, asnumpy, where, take, take_along_axis, put_along_axis, result_type)

namespace: Any = _Namespace(
    "cupy",
    {name: getattr(np, name) for name in cupy_names.VALUES}
    | {name: StandinUfunc(name) for name in cupy_names.UFUNCS}
    | _functions(cupy_names.FUNCTIONS, np)
    | _functions(cupy_names.QUESTIONS, np, _question)
    | {function.__name__: function for function in _OWN}
    | {
        "ndarray": StandinArray,
        "ufunc": StandinUfunc,
        "linalg": _Namespace("cupy.linalg", _functions(cupy_names.LINALG, np.linalg)),
        "lib": _Namespace(
            "cupy.lib",
            {
                "stride_tricks": _Namespace(
                    "cupy.lib.stride_tricks", _functions(cupy_names.STRIDE_TRICKS, np.lib.stride_tricks)
                )
            },
        ),
    },
)


def install() -> backend.Device:
    """Make "standin" a device that `backend` knows, and return it; a second time changes nothing."""
    backend.register("standin", StandinArray, namespace, to_host=asnumpy, from_host=asarray)
    return backend.device("standin:0")
