"""Dropout of weights: a recurrent connection that is cut stays cut for the whole sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from minigrad.nn import functional as F
from minigrad.nn.module import Module

M = TypeVar("M", bound=Module)


class WeightDropped(Module):
    """What `weight_drop` mixes into a module's class: a `forward` that sees some parameters through dropout."""

    _dropped: dict[str, float]  # parameter name -> probability

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward; in training with a fresh mask on each dropped parameter."""
        if not self.training:
            return super().forward(*args, **kwargs)
        attributes = self.__dict__
        raw = {name: attributes[name] for name in self._dropped}
        try:
            for name, p in self._dropped.items():
                attributes[name] = F.dropout(raw[name], p)
            return super().forward(*args, **kwargs)
        finally:
            attributes.update(raw)

    def extra_repr(self) -> str:
        drops = ", ".join(f"{name}: {p}" for name, p in self._dropped.items())
        return ", ".join(filter(None, [super().extra_repr(), f"weight_drop={{{drops}}}"]))


def weight_drop(module: M, names: str | Iterable[str], p: float = 0.5) -> M:
    """Let `module` use the parameters `names` through dropout: DropConnect (Wan et al., ICML 2013), which on the
    hidden weights regularises a recurrent network (Merity et al., ICLR 2018). Returns the module.

        weight_drop(lstm, ["weight_hh_l0", "weight_hh_l1"], 0.5)

    In training each call draws one mask for each of them: an element is 0 with probability `p`, otherwise divided by
    `1 - p`, at all steps of the sequence. Gradients arrive at the parameter itself; `parameters()` and `state_dict()`
    are as before. In evaluation nothing is dropped.

    Raises AttributeError for a name that is no parameter of the module itself, RuntimeError for one that is dropped
    already, and ValueError unless 0 <= p <= 1. Then nothing has changed.
    """
    F.check_probability(p)
    names = [names] if isinstance(names, str) else list(names)
    kind, dropped = type(module).__name__, module.__dict__.get("_dropped", {})
    for place, name in enumerate(names):
        if name not in module._parameter_names or module.__dict__[name] is None:
            known = ", ".join(module._parameter_names) or "none"
            raise AttributeError(f"weight_drop: {kind} has no parameter {name!r} of its own: it has {known}")
        if name in dropped or name in names[:place]:
            raise RuntimeError(f"weight_drop: {name!r} of this {kind} is dropped already: name each parameter once")
    if not isinstance(module, WeightDropped):
        module.__class__ = type(kind, (WeightDropped, type(module)), {"__doc__": type(module).__doc__})
    module.__dict__["_dropped"] = dropped | dict.fromkeys(names, p)
    return module
