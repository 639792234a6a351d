"""Primitives: a forward on raw arrays, and for each input a rule whose parameter names say what it needs.

    @primitive
    def mul(input, other):
        return input * other

    mul.vjp(input=lambda g, other: g * other,
            other=lambda g, input: g * input)

The vocabulary of a rule: `g` is the gradient flowing in and `ans` the result; for an op with several results
`outputs=("values", "indices")` makes it `g_values`, `values`, and so on. The name of an input is that array,
`input_shape` only its shape; the name of a setting is its value. For an op of any number of inputs (`*tensors`) the
rule returns a gradient for each, and `needs` tells it which are wanted. The names are read once, here, and are all that
a node keeps.

A rule is written in operators, indexing and other primitives, so that raw arrays run it at array speed and Tensors
record it: one rule gives derivatives of every order.

Inputs are the positional parameters, settings the keyword-only ones. A positional parameter whose annotation is not
`Array` is a setting too, so that `sum(input: Array, dim: Dims = None)` can be called as PyTorch calls it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minigrad.backend import Array
from minigrad.core import lean
from minigrad.core.plan import RulePlan

_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}
registry: dict[str, Op] = {}  # every primitive and fused op of the package, so that the tests leave none out


class Op:
    """What is known of a primitive: its forward, the names of its inputs, settings and outputs, and its rules."""

    def __init__(
        self, forward: Callable[..., Any], outputs: Any, promote: bool | str, view: bool, numbers: bool = True
    ) -> None:
        self.forward, self.name, self.promote, self.view = forward, forward.__name__, promote, view
        self.numbers = numbers
        self.variable_outputs = outputs == "*"
        self.outputs: tuple[str, ...] = ("ans",) if outputs in (None, "*") else tuple(outputs)
        self.several = outputs is not None
        self.inputs: tuple[str, ...] = ()
        self.variadic: str | None = None  # the name of `*tensors`
        self.optional = 0  # how many inputs have the default None
        self.settings: dict[str, Any] = {}
        self.order: list[str] = []  # all parameters, as a caller may give them by position
        for name, parameter in inspect.signature(forward).parameters.items():
            if name == "keep":
                continue  # the engine's word to a fused op, not a caller's
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.variadic = name
            elif _is_input(parameter):
                self.inputs += (name,)
                self.optional += parameter.default is None
                self.order.append(name)
            else:
                self.settings[name] = parameter.default
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    self.order.append(name)
        self.inputs_first = self.variadic is None and tuple(self.order[: len(self.inputs)]) == self.inputs
        self.required = [name for name, default in self.settings.items() if default is inspect.Parameter.empty]
        self.rules: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self.call: Callable[..., Any] = forward  # the public function, once it is made
        self.plans: dict[tuple[bool, ...], Any] = {}
        # For one or two inputs, at 1 for the first's need plus 2 for the second's.
        self.lean_plans: list[Any] = [None] * 4

    def add_rules(self, rules: dict[str, Callable[..., Any] | None]) -> None:
        """Read the rules' parameter names; a word outside the vocabulary fails here, at import."""
        known = {*self.inputs, *self.settings, *(f"{name}_shape" for name in self.inputs)}
        known |= {"g", "ans"} if not self.several or self.variable_outputs else set()
        if self.several and not self.variable_outputs:
            known |= {*self.outputs, *(f"g_{name}" for name in self.outputs)}
        if self.variadic:
            known |= {self.variadic, f"{self.variadic}_shape", "needs"}
        for name, rule in rules.items():
            if name not in self.inputs and name != self.variadic:
                why = " but a setting (an input stands before `*`, without annotation or with Array)"
                why *= name in self.settings
                raise TypeError(f"{self.name}.vjp: {name!r} is not an input{why}; its inputs are {self._said_inputs()}")
            if rule is None:
                continue
            words = tuple(inspect.signature(rule).parameters)
            for word in words:
                if word not in known:
                    raise TypeError(
                        f"{self.name}.vjp: the rule for {name!r} asks for {word!r}, which is not in its vocabulary: "
                        f"{', '.join(sorted(known))}"
                    )
            self.rules[name] = (rule, words)
        self.plans.clear()
        if self.rules and len(self.inputs) in (1, 2) and not self.variadic:
            both = len(self.inputs) == 2
            self.lean_plans[1:] = [
                self.plan((first, second)[: len(self.inputs)]) if first or both else None
                for first, second in ((True, False), (False, True), (True, True))
            ]

    def _said_inputs(self) -> str:
        return ", ".join([*self.inputs, *([f"*{self.variadic}"] if self.variadic else [])]) or "none"

    def bind(self, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call's arguments into inputs, in order, and settings, as Python would have."""
        if self.inputs_first and len(args) == len(self.inputs) and given.keys() <= self.settings.keys():
            return args, self._all_settings(given)  # inputs by place, settings by name: there is nothing to sort
        for alias in given.keys() & _ALIASES.keys():
            if alias not in self.settings and alias not in self.inputs:
                given[_ALIASES[alias]] = given.pop(alias)
        if self.variadic is not None:
            inputs, extra = args, given
        else:
            if len(args) > len(self.order):
                raise TypeError(f"{self.name}() takes {len(self.order)} arguments, {len(args)} were given")
            extra = dict(zip(self.order, args, strict=False))
            if extra.keys() & given.keys():
                raise TypeError(f"{self.name}() got {', '.join(sorted(extra.keys() & given.keys()))} twice")
            extra.update(given)
            mandatory = len(self.inputs) - self.optional
            missing = [name for name in self.inputs[:mandatory] if name not in extra]
            if missing:
                raise TypeError(f"{self.name}() needs {', '.join(missing)}")
            inputs = tuple(extra.pop(name, None) for name in self.inputs)
        if not extra.keys() <= self.settings.keys():
            unknown = ", ".join(sorted(extra.keys() - self.settings.keys()))
            known = ", ".join(dict.fromkeys([*self.order, *self.settings]))
            raise TypeError(f"{self.name}() has no argument {unknown}; it takes {known}")
        return inputs, self._all_settings(extra)

    def _all_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Those given and the defaults of the others."""
        settings = {**self.settings, **given}
        for name in self.required:
            if settings[name] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}() needs {name}")
        return settings

    def plan(self, needs: tuple[bool, ...]) -> Any:
        """How to go backward when just these inputs need a gradient; made once for each combination."""
        plan = self.plans.get(needs)
        if plan is None:
            plan = self.plans[needs] = self.make_plan(needs)
        return plan

    def make_plan(self, needs: tuple[bool, ...]) -> Any:
        """The plan for separate rules; `fused` makes its own kind."""
        return RulePlan(self, needs)


def _is_input(parameter: inspect.Parameter) -> bool:
    if parameter.kind is parameter.KEYWORD_ONLY:
        return False
    annotation = parameter.annotation
    return annotation is parameter.empty or annotation is Array or str(annotation).split(" ")[0] in ("Array", "Tensor")


# ---- recording ------------------------------------------------------------------------------------------------------


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    outputs: Any = None,
    promote: bool | str = False,
    view: bool = False,
    numbers: bool = True,
) -> Any:
    """Make a differentiable op of a function on raw arrays; give it its rules with `.vjp(...)`.

    Args:
        forward: the function. Positional parameters are arrays (the default None makes one optional), keyword-only
            ones settings.
        outputs: the names of the results if there are several; "*" if their number varies.
        promote: bring the inputs to a common dtype as PyTorch does; "float" makes float32 of integers, too.
        view: the result may look at the first input's memory.
        numbers: a Python number among promoted inputs comes to forward and rules as it is; False makes a 0-d array of
            it.

    The function that comes back takes Tensors and numbers and gives a Tensor; of raw arrays alone it gives raw arrays.
    """
    if forward is None:
        return functools.partial(primitive, outputs=outputs, promote=promote, view=view, numbers=numbers)
    op = Op(forward, outputs, promote, view, numbers)
    return register(op, lean.make_function(op))


def register(op: Op, function: Any) -> Any:
    """Give the public function its op and its `vjp`, and note the op if it is one of the package's own."""

    def vjp(**rules: Callable[..., Any] | None) -> None:
        op.add_rules(rules)

    op.call = function
    function.op, function.vjp = op, vjp
    if op.forward.__module__.startswith("minigrad."):
        registry[op.name] = op
    return function
