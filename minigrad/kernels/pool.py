"""A few threads that share out loops over arrays; NumPy lets go of the interpreter lock while it computes.

The threads start when first needed, wait without spinning, and are forgotten in a forked child, which starts its own.
Handing over a piece of work costs about 12 microseconds, so small arrays stay on the caller's thread (`grain`).
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from queue import SimpleQueue

Work = Callable[[int, int], None]
Job = tuple[contextvars.Context, Work, int, int, "SimpleQueue[BaseException | None]"]

_jobs: "SimpleQueue[Job]" = SimpleQueue()
_started = 0  # threads alive in this process
_starting = threading.Lock()
_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """How many threads a kernel may use, the caller's own among them."""
    return _threads


def set_num_threads(count: int) -> None:
    """Let kernels use `count` threads, the caller's own among them. Matrix products keep to the BLAS library's threads.

    Raises ValueError unless count is a positive int.
    """
    global _threads
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"set_num_threads needs a positive int, the number of threads to use, and got {count!r}")
    _threads = count


def share(work: Work, count: int, grain: int) -> None:
    """Call work(start, stop) over pieces that make up range(count), one piece a thread, none shorter than `grain`.

    Returns when all are done. The pieces must write to different memory. An exception in one is raised here.
    """
    pieces = max(1, min(_threads, count // max(1, grain)))
    if pieces == 1:
        work(0, count)
        return
    _ensure(pieces - 1)
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    bounds = [count * k // pieces for k in range(pieces + 1)]
    for start, stop in pairwise(bounds[1:]):
        # The caller's context goes along: numpy.errstate lives in it.
        _jobs.put((contextvars.copy_context(), work, start, stop, done))
    try:
        work(0, bounds[1])
    finally:  # never leave while a thread still writes to the caller's arrays
        failures = [failure for _ in range(pieces - 1) if (failure := done.get()) is not None]
    if failures:
        raise failures[0]


def blocks(start: int, stop: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` (but at least 1) that make up range(start, stop): what fits in the cache at a time."""
    size = max(1, size)
    return (slice(at, min(at + size, stop)) for at in range(start, stop, size))


def _ensure(count: int) -> None:
    global _started
    with _starting:
        while _started < count:
            threading.Thread(target=_serve, args=(_jobs,), name="minigrad-kernels", daemon=True).start()
            _started += 1


def _serve(jobs: "SimpleQueue[Job]") -> None:
    while True:
        context, work, start, stop, done = jobs.get()
        failure: BaseException | None = None
        try:
            context.run(work, start, stop)
        except BaseException as error:  # carried to the thread that asked, which raises it
            failure = error
        del context, work  # while waiting, keep nothing of the last job alive
        done.put(failure)


def _forget() -> None:
    """In a forked child no thread but the forking one lives, and a lock may be held by one that does not."""
    global _jobs, _started, _starting
    _jobs, _started, _starting = SimpleQueue(), 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
