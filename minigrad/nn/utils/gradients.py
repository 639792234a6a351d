"""Clipping gradients: after `backward()`, before `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, tensor, wrap
from minigrad.core.views import count_write


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together, in place, so that their norm is at most `max_norm` (Pascanu et al., ICML 2013).

    Returns the norm before, a 0-d tensor; nothing waits for the GPU until it is read. A sparse gradient counts with its
    rows added up. With `error_if_nonfinite` a norm that is nan or infinite raises RuntimeError, which does wait.
    """
    gradients = _gradients(parameters)
    if not gradients:
        return tensor(0.0)
    norm = _norm(gradients, float(norm_type))
    xp = namespace(norm)
    if error_if_nonfinite and not bool(xp.isfinite(norm)):
        raise RuntimeError(
            f"the norm of the gradients is {norm.item()}, so they cannot be scaled: look for its source with "
            f"detect_anomaly(), or lower the learning rate"
        )
    # Always scaled, by 1 where the norm is small: to look at it would be to wait.
    kernels.of(norm).scale(gradients, xp.minimum(max_norm / (norm + 1e-6), 1.0))
    return wrap(norm)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient off at -clip_value and clip_value, in place."""
    for gradient in _gradients(parameters):
        gradient[...] = namespace(gradient).clip(gradient, -clip_value, clip_value)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Array]:
    """The arrays of the gradients, about to be written; of a sparse one, its rows added up."""
    arrays = []
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        gradient: Any = parameter.grad
        if isinstance(gradient, Rows):
            parameter.grad = gradient = gradient.coalesce()
            arrays.append(gradient._values)
        elif gradient is not None:
            count_write(gradient)
            arrays.append(gradient._array)
    return arrays


def _norm(arrays: Sequence[Array], p: float) -> Array:
    """The p-norm of all the elements of all the arrays, 0-d."""
    xp = namespace(arrays[0])
    if p == 2.0:
        return xp.asarray(xp.sqrt(kernels.of(arrays[0]).squared_norm(arrays)))
    if math.isinf(p):
        each = [xp.abs(array).max() if p > 0 else xp.abs(array).min() for array in arrays if array.size]
    else:
        each = [(xp.abs(array) ** p).sum() for array in arrays]
    total = each[0]
    for one in each[1:]:
        total = (xp.maximum(total, one) if p > 0 else xp.minimum(total, one)) if math.isinf(p) else total + one
    return xp.asarray(total if math.isinf(p) else total ** (1 / p))
