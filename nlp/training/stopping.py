"""Ctrl-C and SIGTERM during training: asked for once, the update under way is finished and everything is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "listening_for_stop"]


class StopRequest:
    """Whether the user or the system asked the program to end, and by which signal."""

    signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a program that the signal ended returns: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)


@contextmanager
def listening_for_stop() -> Iterator[StopRequest]:
    """A request that becomes true with the first SIGINT or SIGTERM; the second SIGINT interrupts as usual.

    Python handles signals in its main thread alone: elsewhere the request stays false and the main thread has them.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
