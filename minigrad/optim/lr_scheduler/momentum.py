"""The optimizer's momentum, or Adam's first beta, for the schedules that move it against the rates."""

from __future__ import annotations

from typing import Any

from minigrad.optim.lr_scheduler.base import one_for_each_group
from minigrad.optim.optimizer import Optimizer, Settings


def momentum_bounds(name: str, optimizer: Optimizer, lowest: Any, highest: Any) -> tuple[list[float], list[float]]:
    """Each group's lowest and highest momentum, from one number or one for each group.

    Raises ValueError, in the name of a schedule, for an optimizer that has no momentum.
    """
    if not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ValueError(
            f"{name}: {type(optimizer).__name__} has neither momentum nor betas: give cycle_momentum=False"
        )
    lows = one_for_each_group(f"{name} needs a base_momentum", lowest, optimizer)
    highs = one_for_each_group(f"{name} needs a max_momentum", highest, optimizer)
    return lows, highs


def set_momentum(group: Settings, value: float) -> None:
    """Put a momentum into a group of an optimizer that has one."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value
