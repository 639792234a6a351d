"""The stand-in device's array, and what it lets take part in a computation; `standin` says what for.

Underneath is a host array, `_host`.  Arguments are checked by `operand`, `sequence` and `plain`, go to NumPy by
`compute`, and come back by `result`, which sees to it that a result is an array and knows its base.
"""

from __future__ import annotations

import inspect
import numbers
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad.testing import _cupy_names as cupy_names

# ---- waiting for the device -------------------------------------------------------------------------------------


class SynchronisationError(RuntimeError):
    """Inside `no_synchronisation()` something made the host wait for the device."""


class _Ledger:
    count = 0
    forbidden = 0  # how many no_synchronisation() blocks are open


def synchronisations() -> int:
    """How often the host has had to wait for the device since the program began."""
    return _Ledger.count


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """Inside, whatever makes the host wait for the device raises SynchronisationError and says what it was."""
    _Ledger.forbidden += 1
    try:
        yield
    finally:
        _Ledger.forbidden -= 1


def synchronise(what: str) -> None:
    if _Ledger.forbidden:
        raise SynchronisationError(f"{what} makes the host wait for the device; keep it out of this block")
    _Ledger.count += 1


# ---- the array --------------------------------------------------------------------------------------------------


class StandinArray:
    """An array with what `cupy.ndarray` has, as far as it is listed here and in `_cupy_names.METHODS`, and no more."""

    __slots__ = ("__weakref__", "_base", "_host")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100  # CuPy's; NumPy's operators step back for it, and ours can refuse

    def __init__(self, host: np.ndarray, base: StandinArray | None = None) -> None:
        if host.dtype.char not in _DTYPES:
            raise TypeError(
                f"Unsupported dtype {host.dtype}: CuPy has bool, integers, and floats and complex up to 64 bits"
            )
        self._host = host
        self._base = base

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name!r} is not among the attributes of CuPy's arrays that the stand-in device lists")

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise TypeError(
            "NumPy cannot take an array of another device: use namespace(x), or to_host(x) to bring it over"
        )

    def __array_function__(self, function: Any, *_: object) -> Any:
        raise TypeError(f"numpy.{function.__name__} cannot take an array of another device: use namespace(x)")

    # Facts, which the host knows without asking the device.
    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    base = property(lambda self: self._base)
    T = property(lambda self: self.transpose())
    mT = property(lambda self: result(self._host.mT, [self]))  # noqa: N815, NumPy's name
    real = property(lambda self: result(self._host.real, [self]))
    imag = property(lambda self: result(self._host.imag, [self]))

    @property
    def flags(self) -> SimpleNamespace:
        """CuPy's three flags; its arrays are never read-only."""
        of_host = self._host.flags
        return SimpleNamespace(
            c_contiguous=of_host.c_contiguous, f_contiguous=of_host.f_contiguous, owndata=self._base is None
        )

    # Indexing.

    def __getitem__(self, key: Any) -> Any:
        key, gathers, masks = host_key(key, self._host)
        if masks:
            synchronise("reading through a boolean mask, whose result's shape hangs on values,")
        if gathers:
            return result(np.array(self._host[key]), [])
        # With an ellipsis at the end NumPy gives a view where it would give a scalar.
        return result(self._host[key if Ellipsis in key else (*key, Ellipsis)], [self])

    def __setitem__(self, key: Any, value: Any) -> None:
        key, _, masks = host_key(key, self._host)
        if masks and isinstance(value, StandinArray) and value.ndim:
            synchronise("writing an array through a boolean mask, whose count it needs,")
        with np.errstate(all="ignore"):
            self._host[key] = operand(value)

    def __len__(self) -> int:
        return len(self._host)

    # What waits.

    def __iter__(self) -> Iterator[StandinArray]:
        synchronise("iteration over an array")
        return (self[index] for index in range(len(self)))

    def get(self) -> np.ndarray:
        synchronise("get() or asnumpy()")
        return self._host.copy()

    def item(self, *index: int) -> Any:
        synchronise("item()")
        return self._host.item(*index)

    def tolist(self) -> Any:
        synchronise("tolist()")
        return self._host.tolist()

    def __bool__(self) -> bool:
        synchronise("bool() of an array (`if x:`, `and`, `assert`)")
        return bool(self._host)

    def __int__(self) -> int:
        synchronise("int() of an array")
        return int(self._host)

    def __float__(self) -> float:
        synchronise("float() of an array")
        return float(self._host)

    def __complex__(self) -> complex:
        synchronise("complex() of an array")
        return complex(self._host)

    def __repr__(self) -> str:
        synchronise("printing an array")
        return f"standin.{self._host!r}"

    def __str__(self) -> str:
        synchronise("printing an array")
        return str(self._host)

    def __copy__(self) -> StandinArray:
        return StandinArray(self._host.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> StandinArray:
        return self.__copy__()


_DTYPES = "?bBhHiIlLqQefdFD"
_NUMBERS = (numbers.Number, np.generic)


# ---- from arguments to the host's arrays, and back ------------------------------------------------------------------


def refused(value: object) -> TypeError:
    return TypeError(
        f"Unsupported type {type(value)}: bring host arrays to the device with asarray, and mix nothing else"
    )


def operand(value: Any) -> Any:
    """What the host computes with for an operand: an array of this device, a number, or nothing."""
    if isinstance(value, StandinArray):
        return value._host
    if value is None or isinstance(value, _NUMBERS):
        return value
    raise refused(value)


def sequence(value: Any) -> Any:
    """The same for a parameter that takes arrays in a tuple or a list, in which words and axis lists may stand."""
    if isinstance(value, tuple | list):
        return type(value)(sequence(part) for part in value)
    return value if isinstance(value, str) else operand(value)


def plain(value: Any) -> Any:
    """The same for a parameter that is a number, a word or a tuple of these, and must be known on the host."""
    if isinstance(value, StandinArray | np.ndarray):
        raise refused(value)
    for part in value if isinstance(value, tuple | list) else ():
        plain(part)
    return value


def arrays_in(values: Iterable[Any]) -> Iterator[StandinArray]:
    for value in values:
        if isinstance(value, StandinArray):
            yield value
        elif isinstance(value, tuple | list):
            yield from arrays_in(value)


def result(host: Any, operands: Iterable[StandinArray]) -> Any:
    """The host's result as the device's: `out` itself, a view with its base, or a new array, never a scalar."""
    if host is None:
        return None
    if isinstance(host, tuple | list):
        operands = list(operands)
        parts = [result(part, operands) for part in host]
        return parts if isinstance(host, list) else tuple(parts)
    host = np.asanyarray(host)
    for array in operands:
        if host is array._host:
            return array
        if not host.flags.owndata and np.may_share_memory(host, array._host):
            return StandinArray(host, array if array._base is None else array._base)
    return StandinArray(host)


def host_key(key: Any, host: np.ndarray) -> tuple[tuple[Any, ...], bool, bool]:
    """An index as the host takes it, whether it gathers (makes a copy), and whether by a mask.

    Integer arrays are wrapped around, for which the axis that each one indexes has to be found.
    """
    parts = [_key_part(part) for part in (key if isinstance(key, tuple) else (key,))]
    spans = [_axes_taken(part) for part in parts]
    axis, gathers, masks = 0, False, False
    for place, (part, span) in enumerate(zip(parts, spans, strict=True)):
        if part is Ellipsis:
            axis += max(host.ndim - sum(spans), 0)
        elif isinstance(part, np.ndarray):
            gathers, masks = True, masks or part.dtype.kind == "b"
            if part.dtype.kind in "iu" and axis < host.ndim and host.shape[axis]:
                parts[place] = part % host.shape[axis]
        axis += span
    return tuple(parts), gathers, masks


def _key_part(part: Any) -> Any:
    if isinstance(part, list):
        return np.asarray(plain(part), dtype=None if part else np.intp)
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    return operand(part)


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool | np.bool_):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


# ---- functions and methods, with CuPy's parameters ----------------------------------------------------------------


def check(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse what CuPy's function of this name would not take."""
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"CuPy's {name} does not take these arguments: {error}") from None
    for parameter, value in given.items():
        if parameter in cupy_names.PLAIN:
            plain(tuple(value.values()) if isinstance(value, dict) else value)
        elif parameter in cupy_names.SEQUENCES:
            sequence(value)
        else:
            operand(value)


def on_host(value: Any) -> Any:
    """An argument that passed its check, for NumPy."""
    if isinstance(value, tuple | list):
        return type(value)(map(on_host, value))
    return value._host if isinstance(value, StandinArray) else value


def compute(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):  # a GPU reports no overflow and no division by zero
        return function(*map(on_host, args), **{name: on_host(value) for name, value in kwargs.items()})


def _method(name: str, signature: inspect.Signature) -> Callable[..., Any]:
    def call(self: StandinArray, *args: Any, **kwargs: Any) -> Any:
        check(name, signature, args, kwargs)
        if name in cupy_names.WAITING:
            synchronise(f"{name}, which needs values on the host,")
        computed = compute(getattr(self._host, name), args, kwargs)
        return result(computed, [self, *arrays_in((*args, *kwargs.values()))])

    call.__name__ = name
    return call


def _operator(name: str, *, reflected: bool = False) -> Callable[[StandinArray, Any], Any]:
    apply = getattr(operator, name, None) or divmod

    def call(self: StandinArray, other: Any) -> Any:
        # As CuPy does, step back for a type that asks to go first, such as a Tensor.
        if not isinstance(other, StandinArray | np.ndarray | np.generic) and (
            getattr(other, "__array_ufunc__", self) is None or getattr(other, "__array_priority__", 0) > 100
        ):
            return NotImplemented
        operands = (operand(other), self) if reflected else (self, operand(other))
        return result(compute(apply, operands, {}), [self])

    return call


def _unary(name: str) -> Callable[[StandinArray], Any]:
    apply = getattr(operator, name)
    return lambda self: result(compute(apply, (self,), {}), [])


for _name, _parameters in cupy_names.listed(cupy_names.METHODS):
    setattr(StandinArray, _name, _method(_name, _parameters))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(StandinArray, f"__{_name}__", _operator(_name))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and_", "or_", "xor"):
    _bare = _name.rstrip("_")
    setattr(StandinArray, f"__{_bare}__", _operator(_name))
    setattr(StandinArray, f"__r{_bare}__", _operator(_name, reflected=True))
    setattr(StandinArray, f"__i{_bare}__", _operator(f"i{_bare}"))
for _name in ("matmul", "divmod"):  # without the form in place, as in CuPy
    setattr(StandinArray, f"__{_name}__", _operator(_name))
    setattr(StandinArray, f"__r{_name}__", _operator(_name, reflected=True))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(StandinArray, f"__{_name}__", _unary(_name))
