"""Which module recorded which node: noted while the model runs, because the graph itself does not know modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from minigrad.core import engine
from minigrad.nn.module import Module


@dataclass(frozen=True)
class Call:
    """One call of one module. The nodes recorded meanwhile were born between `start` and `end` (births count down)."""

    path: str  # "encoder.0", or "" for the watched module itself
    kind: str  # the class's name
    start: int
    end: int


@dataclass
class Watched:
    """A module, and the calls of it and of the modules in it while it was watched."""

    module: Module
    calls: list[Call] = field(default_factory=list)


@contextmanager
def watch(module: Module) -> Iterator[Watched]:
    """Note the calls of `module` and of every module in it; `draw(loss, module=watched)` then draws them as boxes.

        with study.watch(model) as watched:
            loss = criterion(model(x), y)

    Only calls count, `layer(x)`, as for hooks: `layer.forward(x)` goes unnoticed.
    """
    watched = Watched(module)
    running: list[tuple[Module, int]] = []

    def enter(module: Module, args: Any) -> None:
        running.append((module, engine._birth()))

    def leave(module: Module, args: Any, output: Any) -> None:
        entered, start = running.pop()
        while entered is not module:  # a forward() that raised never came to its end
            entered, start = running.pop()
        watched.calls.append(Call(paths[module], type(module).__name__, start, engine._birth()))

    paths = {one: path for path, one in module.named_modules()}
    # The first hook before and the last after: what the user's own hooks record belongs to the call.
    handles = [one.register_forward_pre_hook(enter, prepend=True) for one in paths]
    handles += [one.register_forward_hook(leave) for one in paths]
    try:
        yield watched
    finally:
        for handle in handles:
            handle.remove()
