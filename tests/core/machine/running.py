"""One program text in several engines at once, compared after each statement.

What is printed when something is wrong is the text that ran: it can be pasted.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from core.machine.jets import Host
from core.machine.naive import Naive
from core.machine.tensors import Tensor

import minigrad

# What PyTorch does although it is refused here, in the naive engine's words.
STRICTER = ("several elements share a cell",)


class Mismatch(AssertionError):  # noqa: N818 - it is what a test fails with, not an error
    """The engines do not agree."""


class Running:
    """A program as far as it is written, and the variables it has made in each engine."""

    def __init__(self, beside_torch: bool = True) -> None:
        self.lines: list[str] = []
        self.failed = False
        self.world = Naive()
        self.spaces: dict[str, dict[str, Any]] = {}
        engines: dict[str, Any] = {"naive": self.world, "minigrad": minigrad}
        if beside_torch and importlib.util.find_spec("torch"):
            engines["PyTorch"] = importlib.import_module("torch")
        for name, module in engines.items():
            self.spaces[name] = {"m": module, "seen": []}

    def text(self) -> str:
        """The program, to be pasted."""
        return "\n".join(["import minigrad as m  # or: import torch as m", "seen = []", *self.lines])

    def tensors(self) -> dict[str, Tensor]:
        """The live variables, in the naive engine."""
        return {name: one for name, one in self.spaces["naive"].items() if isinstance(one, Tensor)}

    # ---- running ----------------------------------------------------------------------------------------------------

    def run(self, statement: str, doubt: str = "", gradients: Sequence[str] = ()) -> bool:
        """Run it everywhere and compare; False if minigrad refused, as it had to or may.

        `doubt` says what a backward statement may come to (`Naive.doubt`); `gradients` names the recorded gradients it
        makes.
        """
        self.lines.append(statement)
        said = {name: self._said(name, statement) for name in self.spaces}
        expected, ours = said["naive"], said["minigrad"]
        if expected or doubt == "must refuse":
            self.check(ours, f"minigrad does what has to be refused ({expected or 'the graph was freed'})")
        elif ours:
            self.check(doubt == "may refuse", f"minigrad refuses what it should do: {ours}")
        if "PyTorch" in said:
            self._judge(expected, ours, said["PyTorch"])
        if not ours:
            self._claim(gradients)
        if not ours or expected:
            self.compare()
        return not ours

    def _said(self, name: str, statement: str) -> str:
        """Run it in one engine: nothing, or what it said when it refused."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Use of index_put_ on expanded tensors")
                exec(statement, self.spaces[name])
        except RuntimeError as error:
            return str(error)
        except Exception as error:
            self.check(False, f"{name} fails: {error!r}")
        return ""

    def _judge(self, expected: str, ours: str, theirs: str) -> None:
        """Where PyTorch alone refuses, the naive engine knows whether what minigrad gives is right."""
        if ours and not theirs:
            self.check(expected in STRICTER, f"PyTorch does what minigrad refuses: {ours}")
        if bool(ours) != bool(theirs):
            self.leave_torch(f"it {'refuses' if theirs else 'does'} this")

    def _judge_views(self) -> None:
        """What PyTorch alone makes of views whose base is not what it was when they were taken."""
        for name, one in self.tensors().items():
            if one.base is not None and not one.recorded and one.base.requires_grad:
                self.leave_torch(f"{name} was taken under no_grad, and counts as requiring grad all the same")
            elif one.base is not None and one.requires_grad and one.unrecorded != one.watch.unrecorded:
                self.leave_torch(f"{name} was written without recording, and is another node of the graph from now on")
            elif one.one_of_several and one.base is not None and one.base.memory.writes:
                self.leave_torch(f"{name} is one of several views, which cannot be used once their base was written")

    def leave_torch(self, why: str) -> None:
        """The engines part here."""
        if self.spaces.pop("PyTorch", None):
            self.lines.append(f"# from here on without PyTorch: {why}")

    def _claim(self, names: Sequence[str]) -> None:
        """Whether a constant gradient counts as recorded depends on how it is computed; its derivatives are zero."""
        for name in names:
            recorded = {engine: space[name].requires_grad for engine, space in self.spaces.items()}
            if recorded["minigrad"] and not recorded["naive"]:
                self.world.claim(self.spaces["naive"][name])
            if recorded["minigrad"] != recorded.get("PyTorch", recorded["minigrad"]):
                self.leave_torch("a constant gradient is recorded in one of the two")

    def forget(self, name: str) -> None:
        self.lines.append(f"del {name}")
        for space in self.spaces.values():
            del space[name]

    def begin_anew(self) -> None:
        """After a refusal to go back some gradients have arrived and others not: only the leaves stay, without any."""
        kept = self.spaces["minigrad"]
        gradients = [id(one.grad.memory) for one in self.tensors().values() if one.grad is not None]
        for name, one in self.tensors().items():
            if name not in kept:  # the naive engine did what minigrad refused
                del self.spaces["naive"][name]
            elif one.is_leaf and id(one.memory) not in gradients:
                statement = f"{name}.grad = None"
                self.lines.append(statement)
                for space in self.spaces.values():
                    exec(statement, space)
            else:
                self.forget(name)
        self.lines.append("seen.clear()")
        for space in self.spaces.values():
            space["seen"].clear()

    # ---- comparing --------------------------------------------------------------------------------------------------

    def check(self, right: Any, what: str) -> None:
        if not right:
            self.failed = True
            raise Mismatch(f"{what}, at the end of\n\n{self.text()}\n")

    def compare(self) -> None:
        """Values, gradients and places in the graph, against the naive engine's."""
        self._judge_views()
        naive = self.spaces["naive"]
        for engine, space in self.spaces.items():
            if space is naive:
                continue
            for name, expected in self.tensors().items():
                self._compare(name, expected, engine, space[name])
            self._compare_seen(naive["seen"], engine, space["seen"])

    def _compare(self, name: str, expected: Tensor, engine: str, found: Any) -> None:
        self._close(found.detach().numpy(), expected.numpy(), f"the value of {name} in {engine}")
        for what in ("requires_grad", "is_leaf"):
            mine, other = getattr(found, what), getattr(expected, what)
            self.check(mine == other, f"{name}.{what} is {mine} in {engine} and should be {other}")
        if expected.is_leaf or expected in self.world.retaining:
            values = np.zeros(expected.shape) if expected.grad is None else expected.grad.numpy()
            # None says what zeros say.
            mine = np.zeros(expected.shape) if found.grad is None else found.grad.detach().numpy()
            self._close(mine, values, f"{name}.grad in {engine}")

    def _compare_seen(self, expected: list[Any], engine: str, found: list[Any]) -> None:
        """What hooks saw, but for zeros: whether those arrive at all is each engine's own affair."""

        def by_hook(seen: list[Any], hook: int) -> list[Host]:
            return [g.numpy() for number, g in seen if number == hook and np.any(g.numpy())]

        for hook in sorted({number for number, _ in [*expected, *found]}):
            mine, other = by_hook(found, hook), by_hook(expected, hook)
            self.check(len(mine) == len(other), f"h{hook} ran {len(mine)} times in {engine} and not {len(other)} times")
            for one, two in zip(mine, other):
                self._close(one, two, f"what h{hook} saw in {engine}")

    def _close(self, found: Host, expected: Host, what: str) -> None:
        right = found.shape == expected.shape and found.dtype == expected.dtype
        scale = float(np.abs(expected).max(initial=1.0))
        if not right or not np.allclose(found, expected, rtol=1e-8, atol=1e-8 * scale):
            self.check(False, f"{what} is {found.tolist()} and should be {expected.tolist()}")
