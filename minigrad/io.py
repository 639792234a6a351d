"""Saving and loading: trees of dicts, lists, strings, numbers and tensors in one safetensors file.

The tensors lie in the file as safetensors has them, so other programs can read them; the rest of the tree is JSON in
the file's metadata. A file is written beside its place and moved there whole, so a crash leaves the old one or the new
one and never half of one. Nothing in a file is ever executed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.core.tensor import Tensor, wrap

_KEY = "minigrad"
TEMPORARY = ".tmp"  # how the name of a file ends that is being written


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("saving and loading need the safetensors package: pip install safetensors") from error
    return safetensors


def save(obj: Any, f: str | os.PathLike[str]) -> None:
    """Write a tree of dict, list, tuple, str, number, None and Tensor to the file `f`, whole or not at all.

    Raises TypeError for anything else in the tree, and says where; a Module is saved by its `state_dict()`.
    """
    library = _safetensors()
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    seen: dict[int, str] = {}
    tree = _encode(obj, "", arrays, seen)
    metadata = {_KEY: json.dumps(tree, separators=(",", ":"))}

    def write(path: Path) -> None:
        try:
            library.numpy.save_file(arrays, path, metadata)
        except library.SafetensorError as error:  # what the library makes of a full disk
            raise OSError(errno.EIO, str(error), os.fspath(f)) from error

    write_atomically(f, write)


def _encode(value: Any, path: str, arrays: dict[str, np.ndarray[Any, Any]], seen: dict[int, str]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Tensor):
        name = seen.get(id(value))
        if name is None:
            name = path.removeprefix(".") or "tensor"
            while name in arrays:  # {"a.b": x, "a": {"b": y}}: two places may spell one path
                name += "'"
            seen[id(value)] = name
            arrays[name] = np.ascontiguousarray(backend.to_host(value._array)).reshape(value.shape)
        return {"tensor": name}
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(one, f"{path}.{place}", arrays, seen) for place, one in enumerate(value)]}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {"dict": {key: _encode(one, f"{path}.{key}", arrays, seen) for key, one in value.items()}}
        return {
            "items": [
                [_encode(key, f"{path}.key", arrays, seen), _encode(one, f"{path}.{key}", arrays, seen)]
                for key, one in value.items()
            ]
        }
    where = path.removeprefix(".") or "the top"
    if hasattr(value, "state_dict"):
        raise TypeError(
            f"save: at {where} stands a {type(value).__name__}, whose code is not saved: save its state_dict()"
        )
    raise TypeError(
        f"save: at {where} stands a {type(value).__name__}; a file holds dict, list, tuple, str, number and Tensor"
    )


def load(f: str | os.PathLike[str], map_location: backend.DeviceLike = None) -> Any:
    """The tree in the file `f`, its tensors on `map_location` (the CPU if not said).

    A safetensors file of another program gives a dict of its tensors. Raises FileNotFoundError for no file, and
    ValueError for a file that is damaged or of another kind.
    """
    library = _safetensors()
    if not Path(f).is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(f)}")
    try:
        with library.safe_open(os.fspath(f), framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (library.SafetensorError, OSError, TypeError) as error:
        raise ValueError(f"{os.fspath(f)} is no whole safetensors file: {error}") from error
    target = backend.device(map_location)
    tensors = {name: wrap(backend.transfer(array, target)) for name, array in arrays.items()}
    if _KEY not in metadata:
        return tensors
    try:
        return _decode(json.loads(metadata[_KEY]), tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{os.fspath(f)} has a damaged description of its contents: {error}") from error


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind == "tensor":
        return tensors[inside]
    if kind == "list":
        return [_decode(one, tensors) for one in inside]
    if kind == "tuple":
        return tuple([_decode(one, tensors) for one in inside])
    if kind == "dict":
        return {key: _decode(one, tensors) for key, one in inside.items()}
    if kind == "items":
        return {_decode(key, tensors): _decode(one, tensors) for key, one in inside}
    if kind == "float":
        return float(inside)
    raise ValueError(f"unknown kind {kind!r}")


def write_atomically(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Make `path` hold what `write(path)` writes: whoever looks sees the old file or the new one, also after a crash.

    Raises OSError where it cannot be written; then the old file is there still.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=TEMPORARY)
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        _sync(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        _sync(target.parent)  # the new name too, not the bytes alone


def _sync(path: Path) -> None:
    """See that the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
