"""Compare a function's gradient with numeric derivatives, at one point.

The gradient of <cotangent, f(x)> is what backpropagation computes for the cotangent that flows in. The numeric side
knows nothing of the engine: it evaluates f at x + eps and x - eps, in float64. With a drawn cotangent two evaluations
for each element check the whole Jacobian: a wrong entry would have to cancel against random numbers to stay hidden.

The source of the method: central differences, e.g. Nocedal & Wright, Numerical Optimization, 2nd ed., section 8.1.
Their truncation error is eps**2/6 * f''', their rounding error about 1e-16 * |f| / eps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.backend import from_host, namespace, to_host
from minigrad.core import engine
from minigrad.core.modes import enable_grad
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, wrap

Host = np.ndarray[Any, Any]


class GradcheckError(RuntimeError):
    """An analytic gradient and the numeric one differ."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    fast_mode: bool = False,
    exact: bool = False,
    seed: int = 0,
) -> bool:
    """Whether the gradients of `func(*inputs)` equal numeric ones for every input that requires grad.

    As `torch.autograd.gradcheck`. Also compares the gradients that `backward()` computes with those that
    `create_graph=True` does, and those of a second run with the first.

    Args:
        func: takes the inputs and returns one Tensor or a tuple of them, of any shape. It may look at the inputs
            through a closure, too, as a module does at its parameters.
        inputs: float64 where they require grad; the others are passed on.
        eps: the step of the central difference.
        atol, rtol: |analytic - numeric| <= atol + rtol * |numeric| is equal.
        raise_exception: raise GradcheckError, which names input, element and both values; else return False.
        nondet_tol: by how much two runs may differ.
        check_undefined_grad: also send a gradient into each one of several outputs and none into the others.
        fast_mode: one random direction for each input, whatever its size, instead of every element.
        exact: `backward()` and `create_graph` must agree to the bit, as they do for primitives.
        seed: of the drawn cotangents and directions.

    Raises TypeError for an input that requires grad and is not float64, ValueError if none requires grad.
    """
    check = _Check(func, inputs, eps=eps, atol=atol, rtol=rtol, seed=seed)
    try:
        gradients = check.analytic()
        check.runs_agree(gradients, nondet_tol)
        check.paths_agree(gradients, exact)
        if check_undefined_grad:
            check.unused_outputs_count_as_zero()
        if fast_mode:
            check.directions_agree(gradients)
        else:
            check.elements_agree(gradients)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Any] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    exact: bool = False,
    seed: int = 0,
) -> bool:
    """Whether the second derivatives of `func(*inputs)` equal numeric derivatives of the first.

    As `torch.autograd.gradgradcheck`: runs `gradcheck` on the function that maps the inputs and `grad_outputs` (drawn
    if not given) to the gradients. Arguments and errors as there.
    """
    given = _listed(inputs)
    outputs = [one for one in _listed(func(*given)) if _differentiable(one)]
    if not outputs:
        return True
    rng = np.random.default_rng(seed + 1)
    gs = [_drawn_like(one, rng) for one in outputs] if grad_outputs is None else _listed(grad_outputs)
    gs = [g if g.requires_grad else g.detach().requires_grad_() for g in gs]
    wanted = [one for one in given if _differentiable(one)]

    def gradients(*values: Any) -> tuple[Tensor, ...]:
        with enable_grad():
            results = [one for one in _listed(func(*values[: len(given)])) if _differentiable(one)]
            return engine.grad(results, wanted, values[len(given) :], create_graph=True, materialize_grads=True)

    return gradcheck(
        gradients, (*given, *gs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=False, fast_mode=fast_mode, exact=exact, seed=seed,
    )  # fmt: skip


class _Check:
    """One function at one point: its outputs, a cotangent for each, and the gradients in several ways."""

    def __init__(
        self, func: Callable[..., Any], inputs: Any, *, eps: float, atol: float, rtol: float, seed: int
    ) -> None:
        self.func, self.inputs, self.eps, self.atol, self.rtol = func, _listed(inputs), eps, atol, rtol
        self.rng = np.random.default_rng(seed)
        self.positions = [position for position, one in enumerate(self.inputs) if _differentiable(one)]
        if not self.positions:
            raise ValueError("gradcheck has nothing to check: set requires_grad=True on one of the inputs at least")
        for position in self.positions:
            if self.inputs[position].dtype != np.float64:
                raise TypeError(
                    f"gradcheck: input {position} is {self.inputs[position].dtype}, in which numeric derivatives are "
                    f"too coarse to compare with: use .double()"
                )
        self.wanted = [self.inputs[position] for position in self.positions]
        self.cotangents = [_drawn_like(one, self.rng) for one in self.outputs()]

    def outputs(self) -> list[Tensor]:
        """The floating point outputs, also those that lead nowhere: their numeric gradient must be zero."""
        outputs = _listed(self.func(*self.inputs))
        for position, one in enumerate(outputs):
            if not isinstance(one, Tensor):
                raise TypeError(f"gradcheck: output {position} is no Tensor but {type(one).__name__}")
        return [one for one in outputs if one.dtype.kind == "f"]

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
        self.compare("the first run", first, "the second run", self.analytic(), (tolerance, 0.0))

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
        """Every element of every input, by a step to both sides."""
        numeric = []
        for tensor in self.wanted:
            derivative = np.empty(tensor.shape)
            for index in np.ndindex(*tensor.shape):
                step = np.zeros(tensor.shape)
                step[index] = self.eps
                derivative[index] = self.slope(tensor, step) / self.eps
            numeric.append(derivative)
        self.compare("analytic", gradients, "numeric", numeric, (self.atol, self.rtol))

    def directions_agree(self, gradients: list[Host]) -> None:
        """One random direction of length one for each input."""
        for position, tensor, gradient in zip(self.positions, self.wanted, gradients, strict=True):
            direction = self.rng.standard_normal(tensor.shape)
            direction /= max(float(np.linalg.norm(direction)), 1e-30)
            analytic = float((gradient * direction).sum())
            numeric = self.slope(tensor, direction * self.eps) / self.eps
            if not _close(analytic, numeric, self.atol, self.rtol):
                raise GradcheckError(
                    f"the gradient of input {position} along a random direction: analytic {analytic:.9g}, "
                    f"numeric {numeric:.9g}, {_relative(analytic, numeric)} (eps={self.eps:g}); "
                    f"fast_mode=False says which element"
                )

    def slope(self, tensor: Tensor, step: Host) -> float:
        """(<cotangent, f(x + step)> - <cotangent, f(x - step)>) / 2."""
        total = 0.0
        for sign in (1.0, -1.0):
            with _moved(tensor, sign * step):
                for output, cotangent in zip(self.outputs(), self.cotangents, strict=True):
                    total += sign * float((to_host(output._array) * to_host(cotangent._array)).sum())
        return total / 2

    # ---- what is said when they differ -------------------------------------------------------------------------------

    def compare(
        self, first: str, ones: list[Host], second: str, others: list[Host], tolerance: tuple[float, float]
    ) -> None:
        """Raise GradcheckError that names the element where two lists of gradients differ most."""
        for position, one, other in zip(self.positions, ones, others, strict=True):
            wrong = ~_close(one, other, *tolerance)
            if not wrong.any():
                continue
            distance = np.where(wrong, np.nan_to_num(np.abs(one - other), nan=np.inf), -1.0)
            index = tuple(int(place) for place in np.unravel_index(int(distance.argmax()), distance.shape))
            raise GradcheckError(
                f"the gradient of input {position}, shape {tuple(one.shape)}, is wrong in {int(wrong.sum())} of "
                f"{wrong.size} elements, most at {index}: {first} {one[index]:.9g}, {second} {other[index]:.9g}, "
                f"{_relative(one[index], other[index])} "
                f"(eps={self.eps:g}, atol={tolerance[0]:g}, rtol={tolerance[1]:g})"
            )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad and value.dtype.kind == "f"


def _drawn_like(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    """Numbers between 1/2 and 3/2 in size, none near zero, so that no mistake is multiplied away."""
    drawn = rng.uniform(0.5, 1.5, tensor.shape) * rng.choice([-1.0, 1.0], tensor.shape)
    return wrap(from_host(drawn.astype(tensor.dtype), tensor.device))


def _dense(gradient: Any) -> Tensor:
    return gradient.to_dense() if isinstance(gradient, Rows) else gradient


@contextmanager
def _moved(tensor: Tensor, step: Host) -> Iterator[None]:
    """Inside, the tensor's values are its own plus `step`, in other memory: its own is never written."""
    array = tensor._array
    tensor._array = namespace(array).asarray(array + from_host(step, tensor.device))  # NumPy makes scalars of 0-d sums
    try:
        yield
    finally:
        tensor._array = array


def _close(first: Any, second: Any, atol: float, rtol: float) -> Any:
    return np.isclose(first, second, rtol=rtol, atol=atol, equal_nan=True)


def _relative(first: Any, second: Any) -> str:
    scale = max(abs(float(first)), abs(float(second)))
    return f"relative error {abs(float(first) - float(second)) / scale:.3g}" if scale else "relative error 0"
