"""Compare a function's gradient with numeric derivatives, at one point.

The gradient of <cotangent, f(x)> is what backpropagation computes for the cotangent that flows in. The numeric side
(`numeric.py`) knows nothing of the engine: it evaluates f at other points, in float64. With a drawn cotangent an
evaluation or two for each element check the whole Jacobian: a wrong entry would have to cancel against random numbers
to stay hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.core import engine
from minigrad.core.modes import enable_grad
from minigrad.core.tensor import Tensor
from minigrad.testing.example import code_of_gradcheck, said_again
from minigrad.testing.jacobians import GradcheckError, Jacobians, Method, differentiable, drawn_like, listed

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


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
    method: Method = "central",
) -> bool:
    """Whether the gradients of `func(*inputs)` equal numeric ones for every input that requires grad.

    As `torch.autograd.gradcheck`. Also compares the gradients that `backward()` computes with those that
    `create_graph=True` does, and those of a second run with the first.

    Args:
        func: takes the inputs and returns one Tensor or a tuple of them, of any shape. It may look at the inputs
            through a closure, too, as a module does at its parameters.
        inputs: float64 where they require grad; the others are passed on.
        eps: the step of the central difference.
        atol, rtol: |analytic - numeric| <= atol + rtol * |numeric| is equal, to central differences.
        raise_exception: raise GradcheckError, which names input, element and both values, and has the call as Python
            to paste in its notes; else return False.
        nondet_tol: by how much two runs may differ.
        check_undefined_grad: also send a gradient into each one of several outputs and none into the others.
        fast_mode: one random direction for each input, whatever its size, instead of every element.
        exact: `backward()` and `create_graph` must agree to the bit, as they do for primitives.
        seed: of the drawn cotangents and directions.
        method: where the numeric derivatives come from (see `minigrad.testing.numeric`).
            "central": differences; any function, six digits or so.
            "complex": a step along the imaginary axis; right to rounding, and so the gradient has to be, to 1e-11 of
            the largest derivative. For functions that take complex numbers and are analytic: no `abs`, no real part.
            "auto": "complex" where `func` allows it, and differences elsewhere.

    Raises TypeError for an input that requires grad and is not float64, and for a `func` that method="complex" does
    not fit; ValueError if no input requires grad.
    """
    options: dict[str, Any] = {
        "eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol, "check_undefined_grad": check_undefined_grad,
        "fast_mode": fast_mode, "exact": exact, "seed": seed, "method": method,
    }  # fmt: skip
    return _verdict(lambda: first_order(func, inputs, **options), gradcheck, func, inputs, options, raise_exception)


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
    method: Method = "central",
) -> bool:
    """Whether the second derivatives of `func(*inputs)` equal numeric derivatives of the first.

    As `torch.autograd.gradgradcheck`: runs `gradcheck` on the function that maps the inputs and `grad_outputs` (drawn
    if not given) to the gradients. Arguments and errors as there.
    """
    options: dict[str, Any] = {
        "eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol, "fast_mode": fast_mode, "exact": exact,
        "seed": seed, "method": method,
    }  # fmt: skip
    shown = options if grad_outputs is None else {**options, "grad_outputs": listed(grad_outputs)}
    return _verdict(
        lambda: second_order(func, inputs, grad_outputs, **options),
        gradgradcheck, func, inputs, shown, raise_exception,
    )  # fmt: skip


def second_order(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, seed: int = 0, **options: Any
) -> Jacobians:
    """What `gradgradcheck` does, for whoever wants to know more of it; further options are those of `Jacobians`."""
    given = listed(inputs)
    first = Jacobians(func, given, seed=seed, **{name: options[name] for name in ("eps", "atol", "rtol", "method")})
    if not first.recorded:
        raise ValueError("gradgradcheck has nothing to check: no output of func requires grad")
    outputs = [one for one in first.outputs() if differentiable(one)]
    rng = np.random.default_rng(seed + 1)
    gs = [drawn_like(one, rng) for one in outputs] if grad_outputs is None else listed(grad_outputs)
    gs = [g if g.requires_grad else g.detach().requires_grad_() for g in gs]
    wanted = [one for one in given if differentiable(one)]

    def gradients(*values: Any) -> tuple[Tensor, ...]:
        with enable_grad():
            results = [one for one in listed(first.func(*values[: len(given)])) if _recorded(one)]
            return engine.grad(results, wanted, values[len(given) :], create_graph=True, materialize_grads=True)

    names = [f"input {at}" for at in range(len(given))] + [f"grad_outputs[{at}]" for at in range(len(gs))]
    return first_order(
        gradients,
        (*given, *gs),
        check_undefined_grad=False,
        seed=seed,
        noun="second derivative",
        names=names,
        **options,
    )


def _verdict(
    run: Callable[[], Jacobians],
    check: Callable[..., bool],
    func: Any,
    inputs: Any,
    options: dict[str, Any],
    loud: bool,
) -> bool:
    """Whether `run` passes; the error tells how to see it again."""
    try:
        run()
    except GradcheckError as error:
        if not loud:
            return False
        error.add_note(said_again(code_of_gradcheck(check, func, listed(inputs), options)))
        raise
    return True


def first_order(
    func: Callable[..., Any],
    inputs: Any,
    *,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    fast_mode: bool = False,
    exact: bool = False,
    **options: Any,
) -> Jacobians:
    """What `gradcheck` does, for whoever wants to know more of it; further options are those of `Jacobians`."""
    check = Jacobians(func, inputs, **options)
    gradients = check.analytic()
    check.runs_agree(gradients, nondet_tol)
    check.paths_agree(gradients, exact)
    if check_undefined_grad:
        check.unused_outputs_count_as_zero()
    if fast_mode:
        check.directions_agree(gradients)
    else:
        check.elements_agree(gradients)
    return check


def _recorded(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad  # of complex numbers, too, as the complex step wants
