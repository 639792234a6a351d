"""CUDA devices under PyTorch's names. Nothing here imports CuPy unless a card is asked about."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.random import manual_seed

__all__ = [
    "current_device", "device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all",
    "memory_allocated", "set_device", "synchronize",
]  # fmt: skip

is_available = backend.cuda_is_available
device_count = backend.cuda_device_count
manual_seed_all = manual_seed  # one generator serves every device


def _cupy() -> Any:
    return backend.backend_for("cuda").namespace


def current_device() -> int:
    """The number of the card that "cuda" means in this thread."""
    return int(_cupy().cuda.runtime.getDevice())


def set_device(device: backend.DeviceLike) -> None:
    """Make "cuda" mean this card in this thread."""
    index = backend.device(device).index
    _cupy().cuda.Device(0 if index is None else index).use()


def synchronize(device: backend.DeviceLike = None) -> None:
    """Wait until the card has done everything that was asked of it."""
    index = None if device is None else backend.device(device).index
    _cupy().cuda.Device(index).synchronize()


def memory_allocated() -> int:
    """Bytes of the current card's memory that arrays hold."""
    return int(_cupy().get_default_memory_pool().used_bytes())


def empty_cache() -> None:
    """Give memory that no array holds back to the card."""
    _cupy().get_default_memory_pool().free_all_blocks()
