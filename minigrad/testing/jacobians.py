"""The gradients of one function at one point, computed in several ways, and what is said where two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import numpy as np

from minigrad.autograd import Function
from minigrad.backend import from_host, to_host
from minigrad.core import engine
from minigrad.core.plan import RulePlan
from minigrad.core.primitive import Op
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.numeric import ANOTHER_RESULT, IMAGINARY, Host, NotComplexError, Projection, elements

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these

Method = Literal["central", "complex", "auto"]

ROUNDING = 1e-11  # what rounding leaves between a complex step and a right gradient, relative to the largest derivative


class GradcheckError(RuntimeError):
    """An analytic gradient and the numeric one differ. A note holds the call as Python, to be pasted."""


class Jacobians:
    """One function at one point: its outputs, a cotangent for each, and the gradients in several ways.

    Args:
        within: how far, relative to the largest derivative, a right gradient may be from a complex step.
        one_sided: at a kink the slope of one side, or one between the two, is right, too; `kinks` counts such elements.
        noun: what is compared, for messages.
        names: of the inputs, for messages.
        op: what `func` calls, if it is one primitive alone.

    Raises GradcheckError if `func` writes to an input, which is then put back as it was.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Any,
        *,
        eps: float,
        atol: float,
        rtol: float,
        seed: int,
        method: Method,
        within: float = ROUNDING,
        one_sided: bool = False,
        noun: str = "gradient",
        names: Sequence[str] = (),
        op: Op | None = None,
    ) -> None:
        if not eps > 0:
            raise ValueError(f"gradcheck: eps is the step of a difference, more than 0, and not {eps!r}")
        if method not in ("central", "complex", "auto"):
            raise ValueError(f"gradcheck: method is 'central', 'complex' or 'auto', not {method!r}")
        self.func, self.inputs, self.eps, self.atol, self.rtol = as_called(func), listed(inputs), eps, atol, rtol
        self.method, self.within, self.one_sided, self.kinks = method, within, one_sided, 0
        self.noun, self.names, self.op = noun, names, op or getattr(func, "op", None)
        self.rng = np.random.default_rng(seed)
        self.positions = [position for position, one in enumerate(self.inputs) if differentiable(one)]
        if not self.positions:
            raise ValueError("gradcheck has nothing to check: set requires_grad=True on one of the inputs at least")
        for position in self.positions:
            if self.inputs[position].dtype != np.float64:
                raise TypeError(
                    f"gradcheck: input {position} is {self.inputs[position].dtype}, in which numeric derivatives are "
                    f"too coarse to compare with: use .double()"
                )
        self.wanted = [self.inputs[position] for position in self.positions]
        outputs = self.outputs_of_what_is_only_read()
        self.recorded = any(one.requires_grad for one in outputs)
        self.cotangents = [drawn_like(one, self.rng) for one in outputs]
        self.numeric = Projection(self.outputs, self.inputs, self.cotangents, eps)

    def outputs(self) -> list[Tensor]:
        """The floating point outputs, also those that lead nowhere: their numeric gradient must be zero."""
        outputs = listed(self.func(*self.inputs))
        if not outputs:
            raise ValueError("gradcheck has nothing to check: func gives no outputs")
        for position, one in enumerate(outputs):
            if not isinstance(one, Tensor):
                raise TypeError(f"gradcheck: output {position} is no Tensor but {type(one).__name__}")
        return [one for one in outputs if one.dtype.kind in "fc"]

    def outputs_of_what_is_only_read(self) -> list[Tensor]:
        """`outputs`, and a look at whether the inputs are still what they were."""
        tensors = {place: one for place, one in enumerate(self.inputs) if isinstance(one, Tensor)}
        before = {place: to_host(one._array).copy() for place, one in tensors.items()}
        outputs = self.outputs()
        written = [place for place, one in before.items() if to_host(tensors[place]._array).tobytes() != one.tobytes()]
        for place in written:
            tensors[place]._array[...] = from_host(before[place], tensors[place].device)
        if written:
            names = " and ".join(self.names[place] if self.names else f"input {place}" for place in written)
            raise GradcheckError(f"func wrote to {names}: compute out of place, or on a clone()")
        return outputs

    # ---- analytic ---------------------------------------------------------------------------------------------------

    def analytic(self, *, create_graph: bool = False, cotangents: Sequence[Tensor | None] | None = None) -> list[Host]:
        """The gradient of each wanted input, by backpropagation; an output whose cotangent is None is not used."""
        used = [
            (output, cotangent)
            for output, cotangent in zip(self.outputs(), cotangents or self.cotangents, strict=True)
            if output.requires_grad and cotangent is not None
        ]
        if not used:
            return [np.zeros(one.shape) for one in self.wanted]
        outputs, gs = zip(*used, strict=True)
        gradients = engine.grad(outputs, self.wanted, gs, create_graph=create_graph, materialize_grads=True)
        for position, gradient, one in zip(self.positions, gradients, self.wanted, strict=True):
            if gradient.shape != one.shape or gradient.dtype != one.dtype:
                raise GradcheckError(
                    f"the gradient of input {position} is {gradient.dtype}{list(gradient.shape)}, the input "
                    f"{one.dtype}{list(one.shape)}: they must be alike"
                )
        return [to_host(_dense(gradient)._array) for gradient in gradients]

    def paths_agree(self, fast: list[Host], exact: bool) -> None:
        """`backward()` runs the rules on arrays, `create_graph` on Tensors: two runs of one rule."""
        recorded = self.analytic(create_graph=True)
        tolerance = (0.0, 0.0) if exact else (self.atol, self.rtol)
        self.compare("backward()", fast, "create_graph=True", recorded, tolerance)

    def runs_agree(self, first: list[Host], tolerance: float) -> None:
        """A function with randomness inside has no derivative to compare with."""
        again = f", in which {ANOTHER_RESULT}"
        self.compare("the first run", first, "the second run", self.analytic(), (tolerance, 0.0), again)

    def unused_outputs_count_as_zero(self) -> None:
        """A gradient that never arrives must mean what a gradient of zeros does."""
        if len(self.cotangents) == 1:
            return
        for place, cotangent in enumerate(self.cotangents):
            alone: list[Tensor | None] = [None] * len(self.cotangents)
            zeros: list[Tensor | None] = [one.detach() * 0 for one in self.cotangents]
            alone[place] = zeros[place] = cotangent
            self.compare(
                f"output {place} used alone", self.analytic(cotangents=alone),
                "zeros into the others", self.analytic(cotangents=zeros), (self.atol, self.rtol),
            )  # fmt: skip

    # ---- numeric ----------------------------------------------------------------------------------------------------

    def elements_agree(self, gradients: list[Host]) -> None:
        """Every element of every input, by a step of its own."""
        exact = self.by_complex_step(lambda: [self.jacobian(tensor, complex_step=True) for tensor in self.wanted])
        for place, (tensor, gradient) in enumerate(zip(self.wanted, gradients, strict=True)):
            if exact is None:
                numeric = self.jacobian(tensor)
                suspects = np.argwhere(~self.close(gradient, numeric))
                wrong = [at for at in suspects if not self.excused(tensor, _unit(tensor, at), gradient[tuple(at)])]
                how = f"eps={self.eps:g}, atol={self.atol:g}, rtol={self.rtol:g}"
                self.report(place, gradient, numeric, wrong, how)
            else:
                allowed = self.allowed(exact[place])
                suspects = np.argwhere(~_close(gradient, exact[place], allowed, 0.0))
                wrong = [
                    at
                    for at in suspects
                    if self.convicts(tensor, _unit(tensor, at), gradient[tuple(at)], exact[place][tuple(at)])
                ]
                self.report(place, gradient, exact[place], wrong, f"complex step {IMAGINARY:g}, within {allowed:.1g}")

    def directions_agree(self, gradients: list[Host]) -> None:
        """One random direction of length one for each input."""
        directions = [self.direction(tensor) for tensor in self.wanted]
        moves = list(zip(self.wanted, directions, strict=True))
        exact = self.by_complex_step(lambda: [self.numeric.complex_step(*move) for move in moves])
        for place, (tensor, direction) in enumerate(moves):
            analytic = float((gradients[place] * direction).sum())
            if exact is None:
                numeric, how = self.numeric.central(tensor, direction), f"eps={self.eps:g}"
                wrong = not (self.close(analytic, numeric) or self.excused(tensor, direction, analytic))
            else:
                numeric, how = exact[place], f"complex step {IMAGINARY:g}"
                wrong = not _close(analytic, numeric, self.allowed(numeric), 0.0)
                wrong = wrong and self.convicts(tensor, direction, analytic, numeric)
            if wrong:
                raise GradcheckError(
                    f"the {self.noun} of {self.name(place)} along a random direction: analytic "
                    f"{analytic:.12g}, numeric {numeric:.12g}, {_relative(analytic, numeric)} ({how}); "
                    f"fast_mode=False says which element"
                )

    def jacobian(self, tensor: Tensor, *, complex_step: bool = False) -> Host:
        """The numeric derivative by each element of one input."""
        slope = self.numeric.complex_step if complex_step else self.numeric.central
        derivative = np.empty(tuple(tensor.shape))
        for index, direction in elements(tensor.shape):
            derivative[index] = slope(tensor, direction)
        return derivative

    def direction(self, tensor: Tensor) -> Host:
        """A random direction of length one."""
        drawn = np.asarray(self.rng.standard_normal(tuple(tensor.shape)))
        return drawn / max(float(np.linalg.norm(drawn)), 1e-30)

    def by_complex_step(self, derivatives: Callable[[], list[Any]]) -> list[Any] | None:
        """The derivatives, or None where differences are to be taken instead.

        A function that is not analytic gives wrong numbers without a word, so the slope along a random direction must
        first be that of a central difference: the real and the imaginary axis agree, as the Cauchy-Riemann equations
        say.
        """
        if self.method == "central":
            return None
        moves = [(tensor, self.direction(tensor)) for tensor in self.wanted if tensor.numel()]
        try:
            with self.numeric.complex_numbers():
                along = [self.numeric.complex_step(*move) for move in moves]
                found = derivatives()
        except NotComplexError as error:
            if self.method == "complex":
                raise TypeError(f"gradcheck: func {error}; use method='central'") from error
            return None
        for move, slope in zip(moves, along, strict=True):
            difference = self.numeric.central(*move)
            if not self.close(slope, difference):
                if self.method == "complex":
                    raise TypeError(
                        f"gradcheck: func is not analytic here: its slope is {difference:.9g} along the real axis and "
                        f"{slope:.9g} along the imaginary one, as when abs() or a real part is taken on the way; use "
                        f"method='central'"
                    )
                return None
        return found

    def convicts(self, tensor: Tensor, direction: Host, analytic: float, exact: float) -> bool:
        """Whether the complex step along a direction, `exact`, is to be believed against the gradient's `analytic`.

        With "auto" nobody has said that the function is analytic, and where it almost is, as a stable softplus far from
        0, the two axes agree to the accuracy of a difference. A difference of high order then decides.
        """
        if self.method == "complex":
            return True
        difference = self.numeric.central(tensor, direction)
        if not self.close(analytic, difference):
            return not (self.one_sided and self.excused(tensor, direction, analytic))
        witness = self.numeric.sixth_order(tensor, direction)
        witness = witness if np.isfinite(witness) else difference
        return 10 * abs(witness - exact) < abs(witness - analytic)

    def close(self, analytic: Any, numeric: Any) -> Any:
        """Whether a gradient equals a central difference."""
        return _close(analytic, numeric, self.atol, self.rtol)

    def allowed(self, exact: Any) -> float:
        """How far a right gradient may be from the complex step: rounding, of numbers as large as the largest."""
        sizes = np.abs(np.asarray(exact))
        return self.within * max(1.0, float(sizes[np.isfinite(sizes)].max(initial=0.0)))

    def excused(self, tensor: Tensor, direction: Host, analytic: float) -> bool:
        """Whether the central difference that `analytic` is not equal to is no evidence: too coarse, or at a kink."""
        reason = self.numeric.vindicated(tensor, direction, analytic, self.close)
        at_kink = reason == "kink" and self.one_sided
        self.kinks += at_kink
        return reason == "step" or at_kink

    # ---- what is said when they differ -------------------------------------------------------------------------------

    def report(self, place: int, gradient: Host, numeric: Host, wrong: Any, how: str) -> None:
        """Raise GradcheckError that names the element where the gradient is most wrong, if it is anywhere."""
        if not len(wrong):
            return
        index = _worst(gradient, numeric, wrong)
        if lacking := self.lacking_rule(place):
            raise GradcheckError(
                f"{lacking}. So the {self.noun} of {self.name(place)} is {gradient[index]:.6g} at {index}, "
                f"numerically {numeric[index]:.6g}"
            )
        tensor = self.wanted[place]
        oddity = self.numeric.oddity(tensor, _unit(tensor, index))
        away = "; choose inputs away from it (check_op and OpSpec take kinks= and arguments=, check_op distinct=True)"
        said = f". But {oddity}{'' if 'each time' in oddity else away}"
        tie = not oddity and 0 in (gradient[index], numeric[index]) and _is_tied(tensor, index)
        how += ")" + (said if oddity else _TIE if tie else "")
        self.fail(place, gradient.shape, len(wrong), index, ("analytic", gradient), ("numeric", numeric), how)

    def lacking_rule(self, place: int) -> str:
        """In words, what on the way has no rule for an input that leads to a wanted one; "" if all have."""
        if type(self.op) is Op and not self.op.rules:
            position = self.positions[place]
            return _no_rule(self.op, self.op.inputs[position] if position < len(self.op.inputs) else "*")
        if not self.recorded:
            return "no output of func requires grad: what it calls has no rules, or it calls detach() or no_grad()"
        for plan in _plans_behind(self.outputs()):
            for name, need in zip(plan.op.inputs, plan.needs, strict=False):
                if need and name not in plan.op.rules:
                    return _no_rule(plan.op, name)
        return ""

    def compare(
        self,
        first: str,
        ones: list[Host],
        second: str,
        others: list[Host],
        tolerance: tuple[float, float],
        why: str = "",
    ) -> None:
        """Raise GradcheckError that names the element where two lists of gradients differ most."""
        for place, (one, other) in enumerate(zip(ones, others, strict=True)):
            wrong = np.argwhere(~_close(one, other, *tolerance))
            if len(wrong):
                how = f"atol={tolerance[0]:g}, rtol={tolerance[1]:g}){why}"
                self.fail(place, one.shape, len(wrong), _worst(one, other, wrong), (first, one), (second, other), how)

    def name(self, place: int) -> str:
        """What to call one of the wanted inputs."""
        position = self.positions[place]
        return self.names[position] if self.names else f"input {position}"

    def fail(
        self, place: int, shape: Any, count: int, index: Any, one: tuple[str, Host], other: tuple[str, Host], how: str
    ) -> NoReturn:
        """Say which element of which input differs, between what, and by how much."""
        first, second = one[1][index], other[1][index]
        size = one[1].size
        raise GradcheckError(
            f"the {self.noun} of {self.name(place)}, shape {tuple(shape)}, is wrong in {count} of {size} "
            f"elements, most at {index}: {one[0]} {first:.12g}, {other[0]} {second:.12g}, {_relative(first, second)} "
            f"({how}"
        )


_TIE = (
    ". But other elements of the input are equal to this one: at a tie an op such as median has no derivative; choose "
    "inputs without (check_op takes distinct=True)"
)


def _is_tied(tensor: Tensor, index: tuple[int, ...]) -> bool:
    array = to_host(tensor._array)
    return bool((array == array[index]).sum() > 1)


def _no_rule(op: Op, name: str) -> str:
    return f"{op.name} has no rule for `{name}`: give it one, {op.name}.vjp({name}=...)"


def _plans_behind(outputs: Sequence[Tensor]) -> Iterator[RulePlan]:
    """The plans of the primitives that led to the outputs."""
    edges = [one._current_edge() for one in outputs]
    pending, seen = [edge[0] for edge in edges if edge is not None], set()
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            pending.extend(edge[0] for edge in node.edges)
            if isinstance(node.plan, RulePlan):
                yield node.plan


def as_called(op: Any) -> Any:
    """What is called for an op: of an autograd Function, which is a class, its `apply`."""
    return op.apply if isinstance(op, type) and issubclass(op, Function) else op


def listed(value: Any) -> list[Any]:
    """One or several, as a list."""
    return list(value) if isinstance(value, (tuple, list)) else [value]


def differentiable(value: Any) -> bool:
    """Whether a gradient for this input is wanted."""
    return isinstance(value, Tensor) and value.requires_grad and value.dtype.kind == "f"


def drawn_like(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    """Numbers between 1/2 and 3/2 in size, none near zero, so that no mistake is multiplied away."""
    drawn = rng.uniform(0.5, 1.5, tensor.shape) * rng.choice([-1.0, 1.0], tensor.shape)
    return wrap(from_host(drawn.astype(tensor.dtype), tensor.device))


def _dense(gradient: Any) -> Tensor:
    return gradient.to_dense() if isinstance(gradient, Rows) else gradient


def _unit(tensor: Tensor, index: Any) -> Host:
    """The direction that moves one element alone."""
    direction = np.zeros(tuple(tensor.shape))
    direction[tuple(index)] = 1.0
    return direction


def _worst(one: Host, other: Host, wrong: Any) -> tuple[int, ...]:
    """The index, of those in `wrong`, where two arrays are furthest apart."""
    distances = [float(np.nan_to_num(abs(one[tuple(at)] - other[tuple(at)]), nan=np.inf)) for at in wrong]
    return tuple(int(part) for part in wrong[int(np.argmax(distances))])


def _close(first: Any, second: Any, atol: float, rtol: float) -> Any:
    return np.isclose(first, second, rtol=rtol, atol=atol, equal_nan=True)


def _relative(first: Any, second: Any) -> str:
    scale = max(abs(float(first)), abs(float(second)))
    return f"relative error {abs(float(first) - float(second)) / scale:.3g}" if scale else "relative error 0"
