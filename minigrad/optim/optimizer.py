"""Optimizer: parameters in groups, each with its own settings, and a state for each parameter.

A subclass says what is kept for one parameter (`_always`), what that begins with (`_first`), and how the parameter
moves (`_update`). The arithmetic is in `minigrad.kernels`: it writes into the parameter's array, so an update makes no
graph and no new array of the parameter's size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from numbers import Real
from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.modes import enable_grad
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.core.views import count_write
from minigrad.nn.parameter import clear_gradients, held_gradient
from minigrad.optim.gathered import Gathered

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
    _always: tuple[str, ...] = ()  # what the state of a parameter that has moved holds, whatever the settings
    _takes_dense, _takes_rows = True, False  # which gradients: those of all elements, and sparse ones

    def __init__(self, params: Any, defaults: Settings) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Settings] = []
        self._gathered = Gathered()
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
        """Raise TypeError or ValueError for a setting that is no number or out of range; subclasses know theirs."""
        self._at_least_zero(group, "lr", "weight_decay")

    def _at_least_zero(self, group: Settings, *names: str) -> None:
        for name in names:
            value = group.get(name, 0)
            if not is_number(value):
                hint = f": give it {name}.item()" if isinstance(value, Tensor) else ""
                raise TypeError(f"{self._name()}: {name} must be a number, got a {type(value).__name__}{hint}")
            if not value >= 0:
                raise ValueError(f"{self._name()}: {name} must be at least 0, got {value}")

    # ---- a step -----------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. `closure`, if given, computes the loss anew, and it is returned.

        Raises RuntimeError for a gradient that this optimizer cannot take, sparse or dense, before anything moves.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        moves = []
        for group in self.param_groups:
            suffice = self._rows_suffice(group)
            for parameter in group["params"]:
                gradient = held_gradient(parameter) if suffice else parameter.grad
                if gradient is not None:
                    self._check_gradient(gradient, group)
                    moves.append((parameter, gradient, group))
        self.steps_taken += 1
        if self._ours():
            moves = self._gathered.move(self, moves)
        with self._together(moves):
            for parameter, gradient, group in moves:
                p, state = parameter._array, self.state[parameter]
                self._count(p, state, group)
                if isinstance(gradient, Rows):
                    self._update_rows(p, gradient, state, group)
                else:
                    self._update(p, gradient._array, state, group)
                count_write(parameter)
        return loss

    def _together(self, moves: Sequence[tuple[Tensor, Any, Settings]]) -> AbstractContextManager[None]:
        """Where the updates of all parameters may be put off and done at once, as a GPU likes it."""
        return kernels.of(moves[0][0]._array).together() if moves and self._ours() else nullcontext()

    def _ours(self) -> bool:
        """Whether the updates are minigrad's: somebody's own may read a parameter that it has just had updated."""
        return all(method.__module__.startswith("minigrad.optim.") for method in (self._update, self._update_rows))

    def _check_gradient(self, gradient: Any, group: Settings) -> None:
        """Raise RuntimeError for a kind of gradient that cannot be taken; asked for all before the first one moves."""
        if self._takes_dense and not isinstance(gradient, Rows):
            return
        name, shape = self._name(), tuple(gradient.shape)
        if not isinstance(gradient, Rows):
            raise RuntimeError(
                f"{name} takes sparse gradients alone, and a parameter of shape {shape} has a dense one: "
                f"use Embedding(sparse=True), or Adam for it"
            )
        if not self._takes_rows:
            raise RuntimeError(
                f"{name} does not support sparse gradients, and a table of shape {shape} has one: "
                f"use Embedding(sparse=False), or SGD, Adagrad or SparseAdam for it"
            )
        if group.get("weight_decay"):
            raise RuntimeError(
                f"{name}: weight_decay moves every row, and this gradient has only some: use Embedding(sparse=False), "
                f"or a parameter group with weight_decay=0"
            )

    def _count(self, p: Array, state: State, group: Settings) -> None:
        """Begin the state of a parameter that has not moved yet, and count its step where it has a count."""
        if not state:
            state.update(self._begun(p, group))
        if "step" in self._always:
            state["step"] += 1

    def _begun(self, p: Array, group: Settings) -> State:
        """The state of a parameter before its first step: all of `_always`, as numbers or as tensors of p's size."""
        values = dict.fromkeys(self._always, 0) | self._first(group)
        return {name: value if name in self._numbers else filled(p, value) for name, value in values.items()}

    def _first(self, group: Settings) -> dict[str, float]:
        """The values that a state begins with, where they are not zero."""
        return {}

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        """Move one parameter, in place; its step is counted already, from 1."""
        raise NotImplementedError(f"{self._name()} must define _update(p, g, state, group)")

    def _rows_suffice(self, group: Settings) -> bool:
        """Whether a table's rows without a gradient stay as they are, so that the rows that have one are enough."""
        return False

    def _update_rows(self, p: Array, rows: Rows, state: State, group: Settings) -> None:
        """Move one parameter whose gradient is sparse, in place; for those with `_takes_rows`."""
        raise NotImplementedError(f"{self._name()} must define _update_rows(p, rows, state, group)")

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

        Raises TypeError for what is no state dict of minigrad's tensors, ValueError if its groups have other sizes than
        this optimizer's, its tensors other shapes, or if something is missing. Nothing is changed then.
        """
        whole = isinstance(state_dict, Mapping) and {"state", "param_groups"} <= state_dict.keys()
        if not whole or not all("params" in group for group in state_dict["param_groups"]):
            raise TypeError(
                f"{self._name()}: a state dict has 'state' and 'param_groups', each group with 'params', "
                f"got {state_dict!r:.60}: give it what optimizer.state_dict() gave"
            )
        saved = state_dict["param_groups"]
        sizes, own = [len(group["params"]) for group in saved], [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"{self._name()}: the state dict has groups of {sizes} parameters, this optimizer of {own}: "
                f"build it with the same groups before loading"
            )
        groups = [{**old, **new, "params": old["params"]} for new, old in zip(saved, self.param_groups, strict=True)]
        for group in groups:
            self._check_settings(group)
        numbers = [one for group in saved for one in group["params"]]
        states = {int(number): values for number, values in state_dict["state"].items()}
        if not states.keys() <= set(numbers):
            raise ValueError(
                f"{self._name()}: the state dict has a state for parameter {max(states.keys() - set(numbers))}, "
                f"which is in none of its groups"
            )
        state: defaultdict[Tensor, State] = defaultdict(dict)
        for number, one in zip(numbers, self._parameters(), strict=True):
            values = states.get(number, {})
            self._check_state(number, values, one)
            if values:
                state[one] = {name: self._loaded(name, value, one) for name, value in values.items()}
        self.state, self.param_groups = state, groups

    def _expected(self, values: State) -> tuple[str, ...]:
        """What a saved state must hold, from what it holds; nothing for a parameter that never moved."""
        return self._always if values else ()

    def _state_shape(self, parameter: Tensor) -> tuple[int, ...]:
        """The shape of the tensors in a parameter's state."""
        return tuple(parameter.shape)

    def _check_state(self, number: int, values: State, parameter: Tensor) -> None:
        """Raise for a saved state that the next step could not go on from."""
        where = f"in the state dict, the state of parameter {number}"
        missing = [name for name in self._expected(values) if values.get(name) is None]
        if missing:
            raise ValueError(
                f"{self._name()}: {where} lacks {', '.join(map(repr, missing))}: "
                f"it is incomplete, or another optimizer's"
            )
        shape = self._state_shape(parameter)
        for name in values.keys() - self._numbers.keys():
            for value in values[name] if isinstance(values[name], list) else [values[name]]:
                if isinstance(value, Tensor) and tuple(value.shape) != shape:
                    raise ValueError(
                        f"{self._name()}: {where} has a {name!r} of shape {tuple(value.shape)}, where this optimizer "
                        f"needs {shape}: load it into one with the same parameters in the same order"
                    )
                if not isinstance(value, (Tensor, Real, str)) and value is not None:
                    raise TypeError(
                        f"{self._name()}: {where} has a {name!r} that is a {type(value).__module__} "
                        f"{type(value).__name__}: make it a minigrad.Tensor first"
                    )

    def _loaded(self, name: str, value: Any, parameter: Tensor) -> Any:
        if name in self._numbers:
            kind = self._numbers[name]
            return [kind(one) for one in value] if isinstance(value, list) else kind(value)
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


def is_number(value: Any) -> bool:
    """Whether a setting is a plain number, of Python's or NumPy's."""
    return isinstance(value, Real)


def filled(p: Array, value: float = 0) -> Tensor:
    """A state tensor of a parameter's size, with one value everywhere."""
    array = namespace(p).zeros(p.shape, dtype=p.dtype)
    if value:
        array[...] = value
    return wrap(array)


def buffer_of(state: State, name: str, p: Array, wanted: bool) -> Array | None:
    """A state tensor that only some settings need: begun with zeros when its group first wants it, else None."""
    if not wanted:
        return None
    if state.get(name) is None:
        state[name] = filled(p)
    return state[name]._array
