"""Which device an array is on: the only file that knows.

Everything else asks `namespace(array)` for the module (NumPy, CuPy) whose functions fit the array, or
`backend_for(device)` where there is no array yet.  `import minigrad` needs NumPy alone: CuPy is imported when a cuda
device is first asked for, and never to answer a question about an array that is already here.

    namespace(x).exp(x)                                   # x decides where this runs
    with on(target):                                      # `target` decides
        backend_for(target).namespace.zeros((T, B, H))
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "Array", "Backend", "Device", "DeviceLike", "backend_for", "cuda_device_count", "cuda_is_available", "device",
    "device_of", "from_host", "is_array", "namespace", "on", "register", "to_host", "transfer",
]  # fmt: skip

Array: TypeAlias = Any  # numpy.ndarray, cupy.ndarray or a registered type: they share manners, not a base class

_SPEC = re.compile(r"([a-z_]+)(?::(0|[1-9][0-9]*))?")


class Device:
    """A device's type and index, as `torch.device`: `Device("cuda:1")`, `Device("cuda", 1)`, `Device("cpu")`.

    `type` is "cpu", "cuda" or a registered name.  `index` is None where no card was named; where an array *is*
    always has an index, except on the CPU, so `Device("cuda") != device_of(array)`, as in PyTorch.

    Raises RuntimeError for a name or an index that cannot be, TypeError for something that is no device.
    That a device can be *written* says nothing about it being present: see `backend_for`.
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str, index: int | None = None) -> None:
        if not isinstance(type, str):
            raise TypeError(f"a device is named by a string such as 'cpu' or 'cuda:0', not by {_kind(type)}")
        match = _SPEC.fullmatch(type)
        name, written = match.groups() if match else (type, None)
        if match is None or name not in _known_names():
            raise RuntimeError(
                f"{type!r} is no device: write one of {', '.join(_known_names())}, or 'cuda:1' for a card"
            )
        if written is not None and index is not None:
            raise RuntimeError(f"the device string {type!r} already has an index; leave out index={index!r}")
        if index is not None and (not isinstance(index, int) or isinstance(index, bool) or index < 0):
            raise RuntimeError(f"a device index is an int that is not negative, not {index!r}")
        object.__setattr__(self, "type", name)
        object.__setattr__(self, "index", index if written is None else int(written))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a device cannot be changed; build another one to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a device cannot be changed; {name} stays")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self is other or (self.type == other.type and self.index == other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.type, self.index)


DeviceLike: TypeAlias = Device | str | int | None


@dataclass(frozen=True)
class Backend:
    """What a kind of device brings: its namespace, and the ways of its arrays to and from the host."""

    name: str
    array_type: type
    namespace: Any  # the module, or what stands in for one
    to_host: Callable[[Array], np.ndarray]
    from_host: Callable[[np.ndarray], Array]  # onto the card that is current
    copy: Callable[[Array], Array]  # from any card of this kind onto the card that is current
    index_of: Callable[[Array], int | None]
    current_index: Callable[[], int | None]
    count: Callable[[], int]
    on: Callable[[int], AbstractContextManager[Any]]


_NOWHERE: AbstractContextManager[Any] = nullcontext()  # reusable: holds no state

_NUMPY = Backend(
    name="cpu",
    array_type=np.ndarray,
    namespace=np,
    to_host=np.asarray,
    from_host=np.asarray,
    copy=np.copy,
    index_of=lambda array: None,
    current_index=lambda: None,
    count=lambda: 1,
    on=lambda index: _NOWHERE,
)

# By name and by exact type, so that the second question about a type is one dictionary look-up.
_BY_NAME: dict[str, Backend] = {"cpu": _NUMPY}
_BY_TYPE: dict[type, Backend] = {np.ndarray: _NUMPY, bool: _NUMPY, int: _NUMPY, float: _NUMPY, complex: _NUMPY}
_LOCATIONS: dict[tuple[str, int | None], Device] = {}


def _known_names() -> list[str]:
    return sorted({"cpu", "cuda", *_BY_NAME})


# ---- questions about an array -----------------------------------------------------------------------------------


def namespace(array: Array) -> Any:
    """The module whose functions take `array`: NumPy for its arrays and scalars and for Python's numbers, CuPy for
    `cupy.ndarray`, and for a registered type the module it was registered with.

    Raises TypeError for anything that is neither an array nor a number.
    """
    if type(array) is np.ndarray:
        return np
    return _backend_of(array).namespace


def device_of(array: Array) -> Device:
    """Where `array` lives; equal answers are the same object, so `is` compares them."""
    if type(array) is np.ndarray:
        return _CPU
    backend = _backend_of(array)
    return _location(backend.name, backend.index_of(array))


def is_array(x: object) -> bool:
    """Whether `x` is an array of any device.  Numbers are none, nor are NumPy's scalars."""
    if type(x) is np.ndarray:
        return True
    backend = _find_backend(type(x))
    return backend is not None and isinstance(x, backend.array_type)


def _backend_of(array: object) -> Backend:
    backend = _find_backend(type(array))
    if backend is None:
        raise TypeError(f"{_kind(array)} is no array: expected {', '.join(_array_names())} or a number")
    return backend


def _find_backend(kind: type) -> Backend | None:
    backend = _BY_TYPE.get(kind)
    if backend is not None:
        return backend
    if issubclass(kind, np.ndarray | np.generic | bool | int | float | complex):
        backend = _NUMPY
    elif kind.__module__.partition(".")[0] == "cupy" and issubclass(kind, sys.modules["cupy"].ndarray):
        backend = _cuda_backend()
    else:
        backend = next((known for known in _BY_NAME.values() if issubclass(kind, known.array_type)), None)
    if backend is not None:
        _BY_TYPE[kind] = backend
    return backend


def _location(name: str, index: int | None) -> Device:
    found = _LOCATIONS.get((name, index))
    if found is None:
        found = _LOCATIONS.setdefault((name, index), Device(name, index))  # setdefault: one winner among threads
    return found


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _array_names() -> list[str]:
    return [f"{known.array_type.__module__}.{known.array_type.__qualname__}" for known in _BY_NAME.values()]


# ---- questions about a device -----------------------------------------------------------------------------------


def device(spec: DeviceLike = None) -> Device:
    """The device a user means: None is the CPU, a string as in `Device`, an int the CUDA card of that number.

    The index stays None where none was given (`device("cuda")`), as in PyTorch.
    """
    if isinstance(spec, Device):
        return spec
    if spec is None:
        return _CPU
    if isinstance(spec, int):
        return Device("cuda", spec)
    return Device(spec)


def backend_for(spec: DeviceLike) -> Backend:
    """The backend behind a device; its `namespace` creates arrays there, inside `with on(device)`.

    Raises RuntimeError where the device is not to be had: CuPy is not installed, or there is no such card.
    """
    wanted = device(spec)
    backend = _BY_NAME.get(wanted.type) or _cuda_backend()
    if wanted.index is not None and wanted.index >= backend.count():
        raise RuntimeError(
            f"{wanted} does not exist: this machine has {backend.count()} device(s) of type {wanted.type!r}"
        )
    return backend


def on(spec: DeviceLike) -> AbstractContextManager[Any]:
    """`with on("cuda:1"):` makes that card the current one, for CuPy creates arrays on the current card.
    Without an index, and on the CPU, it changes nothing.
    """
    wanted = device(spec)
    if wanted.index is None or wanted.type == "cpu":
        return _NOWHERE
    return backend_for(wanted).on(wanted.index)


def _resolve(spec: DeviceLike) -> Device:
    """The exact place meant: "cuda" is the current card, and every CPU is the one CPU."""
    wanted = device(spec)
    backend = backend_for(wanted)
    return _location(
        backend.name, backend.current_index() if wanted.index is None or backend is _NUMPY else wanted.index
    )


# ---- ways between devices ---------------------------------------------------------------------------------------


def transfer(array: Array, to: DeviceLike) -> Array:
    """`array` on the device `to`: itself where it is there already (nothing is copied), a copy otherwise."""
    source, target = _backend_of(array), _resolve(to)
    if is_array(array) and device_of(array) is target:
        return array
    with on(target):
        if source.name == target.type and source is not _NUMPY:
            return source.copy(array)  # from card to card, past the host
        return backend_for(target).from_host(source.to_host(array))


def to_host(array: Array) -> np.ndarray:
    """`array` as a `numpy.ndarray`: itself if it is one; from a GPU a copy, which waits for the GPU."""
    return array if type(array) is np.ndarray else _backend_of(array).to_host(array)


def from_host(array: np.ndarray, to: DeviceLike) -> Array:
    """A `numpy.ndarray` on the device `to` (the same array on the CPU)."""
    if not isinstance(array, np.ndarray | np.generic):
        raise TypeError(
            f"from_host takes a numpy.ndarray, not {_kind(array)}; transfer(array, device) takes every array"
        )
    return transfer(array, to)


def register(
    name: str,
    array_type: type,
    namespace: Any,
    to_host: Callable[[Array], np.ndarray],
    from_host: Callable[[np.ndarray], Array],
) -> Backend:
    """Make a further kind of device known, with one card of index 0: `device(name)` and everything here then work.

    Registering the same name with the same type again gives back the first registration.
    Raises ValueError for a name that is taken or cannot be written as a device.
    """
    known = _BY_NAME.get(name)
    if known is not None and known.array_type is array_type:
        return known
    if known is not None or name == "cuda":
        raise ValueError(f"the device name {name!r} is taken; register under another one")
    if not re.fullmatch(r"[a-z_]+", name):
        raise ValueError(f"the device name {name!r} cannot be written as a device: use lower-case letters and '_'")
    backend = Backend(
        name=name,
        array_type=array_type,
        namespace=namespace,
        to_host=to_host,
        from_host=from_host,
        copy=lambda array: from_host(to_host(array)),
        index_of=lambda array: 0,
        current_index=lambda: 0,
        count=lambda: 1,
        on=lambda index: _NOWHERE,
    )
    _BY_NAME[name] = _BY_TYPE[array_type] = backend
    return backend


# ---- CUDA, through CuPy -----------------------------------------------------------------------------------------


def cuda_is_available() -> bool:
    """Whether CuPy can be imported and finds a card; never raises."""
    return cuda_device_count() > 0


def cuda_device_count() -> int:
    """The number of CUDA cards that CuPy finds; 0 without CuPy or without a driver."""
    return _look_for_cuda()[0]


@functools.cache
def _look_for_cuda() -> tuple[int, str]:
    """The number of cards and, where it is 0, the sentence that says why.  Asked once: a failing import is slow."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            return 0, (
                "a cuda device needs CuPy, which is not installed: "
                'pip install "minigrad[cuda12]" or "minigrad[cuda13]", whichever fits the driver, or use device="cpu"'
            )
        return (
            0,
            f'CuPy is installed but cannot be imported ({error}): reinstall it with pip install "minigrad[cuda12]"',
        )
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return 0, f'CuPy found no CUDA driver or card ({error}): check that nvidia-smi runs, or use device="cpu"'
    return count, "" if count else 'CuPy found no CUDA card: check CUDA_VISIBLE_DEVICES, or use device="cpu"'


def _cuda_backend() -> Backend:
    count, why_not = _look_for_cuda()
    if count == 0:
        raise RuntimeError(why_not)
    return _BY_NAME.get("cuda") or _build_cuda_backend(sys.modules["cupy"], count)


def _build_cuda_backend(cupy: ModuleType, count: int) -> Backend:
    backend = Backend(
        name="cuda",
        array_type=cupy.ndarray,
        namespace=cupy,
        to_host=cupy.asnumpy,
        from_host=cupy.asarray,
        copy=lambda array: array.copy(),  # CuPy copies onto the current card, wherever the array was
        index_of=lambda array: array.device.id,
        current_index=cupy.cuda.runtime.getDevice,
        count=lambda: count,
        on=cupy.cuda.Device,
    )
    _BY_NAME["cuda"] = _BY_TYPE[cupy.ndarray] = backend
    return backend


_CPU = _location("cpu", None)
