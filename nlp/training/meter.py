"""The losses of an epoch, added up."""

from __future__ import annotations

import math
from typing import Any

from minigrad import Tensor

__all__ = ["Meter"]


class Meter:
    """Adds up the losses of an epoch; what was added since the last report stays on the device until it is read."""

    def __init__(
        self, total: float = 0.0, tokens: int = 0, seconds: float = 0.0, unread: list[Any] | None = None
    ) -> None:
        self.total, self.tokens, self.seconds = (
            total,
            tokens,
            seconds,
        )  # tokens and seconds up to now, total as reported
        self.unread: list[Any] = unread or []  # (mean loss, norm of the gradient, tokens) of each update

    def add(self, loss: Tensor, norm: Tensor, tokens: int, seconds: float) -> None:
        """One more update, with the mean loss of its tokens."""
        self.unread.append((loss, norm, tokens))
        self.tokens += tokens
        self.seconds += seconds

    def read(self) -> list[tuple[float, float, int]]:
        """What was added since the last report, as numbers."""
        self.unread = [(float(loss), float(norm), tokens) for loss, norm, tokens in self.unread]
        return self.unread

    def report(self) -> tuple[float, float]:
        """(mean loss, largest norm) of what was added since the last report, of which there is at least one update."""
        read = self.read()
        since = math.fsum(loss * tokens for loss, _, tokens in read)
        tokens = sum(tokens for _, _, tokens in read)
        self.total += since
        self.unread = []
        return since / tokens, max(norm for _, norm, _ in read)

    def mean(self) -> float:
        """The mean loss up to the last report."""
        return self.total / self.tokens

    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / max(self.seconds, 1e-9)

    def state_dict(self) -> dict[str, Any]:
        """Everything, in plain numbers."""
        return {"total": self.total, "tokens": self.tokens, "seconds": self.seconds, "unread": self.read()}
