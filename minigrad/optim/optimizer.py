"""Optimizer: parameters in groups, each with its own settings, and a state for each parameter.

A subclass says how one parameter moves (`_update`). The arithmetic is in `minigrad.kernels`: it writes into the
parameter's array, so an update makes no graph and no new array of the parameter's size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minigrad.backend import Array, namespace
from minigrad.core.modes import enable_grad
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write
from minigrad.nn.parameter import clear_gradients

Settings = dict[str, Any]  # a group: its "params", and a value for each of the optimizer's settings
State = dict[str, Any]  # of one parameter: tensors such as "momentum_buffer", and counts


class Optimizer:
    """The base of all optimizers.

    Args:
        params: the tensors to optimize, or pairs (name, tensor) as `module.named_parameters()` gives them, or
            dictionaries `{"params": [...], "lr": ...}`, one for each group. Names are kept in the group's
            "param_names", for the reader of a state dict.
        defaults: the settings of a group that does not name its own.

    Raises TypeError for things that are no tensors, ValueError for none at all, for tensors that are not leaves, that
    come twice, for some that have names beside some that have none, and for settings out of range.
    """

    _numbers: dict[str, type] = {"step": int}  # what of a parameter's state is a number; PyTorch keeps it in a tensor

    def __init__(self, params: Any, defaults: Settings) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Settings] = []
        self.steps_taken = 0  # for the schedulers, which should come after
        groups = self._listed(params)
        if not groups:
            raise ValueError(f"{self._name()} got no parameters: mind that model.parameters() can be used up only once")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _name(self) -> str:
        return type(self).__name__

    def _listed(self, params: Any) -> list[Any]:
        if isinstance(params, (Tensor, dict, set)) or not isinstance(params, Iterable):
            raise TypeError(
                f"{self._name()} takes a list of tensors or of dictionaries, got a {type(params).__name__}: "
                f"give it model.parameters() or another list"
            )
        return list(params)

    def add_param_group(self, param_group: Settings) -> None:
        """Optimize further parameters: a dictionary with "params" and any settings that differ from the defaults."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"{self._name()}: a parameter group is a dictionary with 'params', got {param_group!r:.60}")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else self._listed(params)
        params, names = self._without_names(params)
        known = {id(one) for group in self.param_groups for one in group["params"]}
        for position, one in enumerate(params):
            self._check_parameter(one, position)
            if id(one) in known:
                raise ValueError(
                    f"{self._name()}: parameter {position} of shape {tuple(one.shape)} is in a group already: "
                    f"leave it out of one of them"
                )
            known.add(id(one))
        group = {**self.defaults, **param_group, "params": params, **names}
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            raise ValueError(f"{self._name()}: one group has names and another has none: name all parameters or none")
        self._check_settings(group)
        self.param_groups.append(group)

    def _without_names(self, params: list[Any]) -> tuple[list[Any], Settings]:
        """The tensors alone, and a group's entry for their names if they have any."""
        pairs = [one for one in params if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)]
        if not pairs:
            return params, {}
        if len(pairs) < len(params):
            raise ValueError(
                f"{self._name()}: {len(pairs)} of {len(params)} parameters have a name: name all of them or none"
            )
        return [one for _, one in pairs], {"param_names": [name for name, _ in pairs]}

    def _check_parameter(self, one: Any, position: int) -> None:
        if not isinstance(one, Tensor):
            raise TypeError(f"{self._name()} optimizes tensors, and parameter {position} is a {type(one).__name__}")
        if not one.is_leaf:
            raise ValueError(
                f"{self._name()}: parameter {position} of shape {tuple(one.shape)} was computed from other tensors, "
                f"and only leaves are optimized: pass what it was computed from"
            )

    def _check_settings(self, group: Settings) -> None:
        """Raise ValueError for a setting out of range; subclasses know theirs."""
        self._at_least_zero(group, "lr", "weight_decay")

    def _at_least_zero(self, group: Settings, *names: str) -> None:
        for name in names:
            if not group.get(name, 0) >= 0:
                raise ValueError(f"{self._name()}: {name} must be at least 0, got {group[name]}")

    # ---- a step -----------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. `closure`, if given, computes the loss anew, and it is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.steps_taken += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if isinstance(gradient, Rows):
                    self._update_rows(parameter._array, gradient, self.state[parameter], group)
                else:
                    self._update(parameter._array, gradient._array, self.state[parameter], group)
                count_write(parameter)
        return loss

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        """Move one parameter, in place."""
        raise NotImplementedError(f"{self._name()} must define _update(p, g, state, group)")

    def _update_rows(self, p: Array, rows: Rows, state: State, group: Settings) -> None:
        """Move one parameter whose gradient is sparse, in place."""
        raise RuntimeError(
            f"{self._name()} does not support sparse gradients, and a table of shape {rows.shape} has one: "
            f"use Embedding(sparse=False), or SGD, Adagrad or SparseAdam for it"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero in place."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    # ---- its state, to be saved -------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the settings, with numbers in the place of the parameters: `minigrad.save` takes it.

        `{"state": {0: {"momentum_buffer": ...}, ...}, "param_groups": [{"lr": ..., "params": [0, 1]}, ...]}`
        """
        numbers = {id(one): place for place, one in enumerate(self._parameters())}
        return {
            "state": {numbers[id(one)]: dict(state) for one, state in self.state.items() if state},
            "param_groups": [
                {**group, "params": [numbers[id(one)] for one in group["params"]]} for group in self.param_groups
            ],
        }

    def _parameters(self) -> list[Tensor]:
        return [one for group in self.param_groups for one in group["params"]]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a state dict: its tensors are copied to the device and dtype of their parameters.

        Raises ValueError if its groups have other sizes than this optimizer's. Nothing is changed then.
        """
        saved = state_dict["param_groups"]
        sizes, own = [len(group["params"]) for group in saved], [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"{self._name()}: the state dict has groups of {sizes} parameters, this optimizer of {own}: "
                f"build it with the same groups before loading"
            )
        by_number = dict(zip((one for group in saved for one in group["params"]), self._parameters(), strict=True))
        state: defaultdict[Tensor, State] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            one = by_number[int(number)]
            state[one] = {name: self._loaded(name, value, one) for name, value in values.items()}
        self.state = state
        self.param_groups = [
            {**old, **new, "params": old["params"]} for new, old in zip(saved, self.param_groups, strict=True)
        ]

    def _loaded(self, name: str, value: Any, parameter: Tensor) -> Any:
        if name in self._numbers:
            return self._numbers[name](value)
        if isinstance(value, list):
            return [self._loaded(name, one, parameter) for one in value]
        if not isinstance(value, Tensor):
            return value
        return value.detach().to(device=parameter.device, dtype=parameter.dtype, copy=True)

    def __repr__(self) -> str:
        lines = [f"{self._name()} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines.extend(f"    {name}: {group[name]}" for name in sorted(group) if name != "params")
        return "\n".join([*lines, ")"])


def zeros_of(p: Array) -> Tensor:
    """A state tensor of a parameter's size."""
    return wrap(namespace(p).zeros(p.shape, dtype=p.dtype))


def array_of(state: State, name: str) -> Array | None:
    """A state tensor that only some settings have."""
    return state[name]._array if name in state else None
