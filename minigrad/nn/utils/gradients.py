"""Measuring and clipping gradients: after `backward()`, before `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.modes import quiet
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor, tensor, wrap
from minigrad.core.views import count_write
from minigrad.nn.parameter import held_gradient


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together, in place, so that their norm is at most `max_norm` (Pascanu et al., ICML 2013).

    Returns the norm before, a 0-d tensor; nothing waits for the GPU until it is read. A sparse gradient counts with its
    rows added up. With `max_norm=inf` this measures and changes nothing. Else, as in PyTorch, an infinite norm makes
    the finite gradients zero, and a nan makes all of them nan; with `error_if_nonfinite` both raise RuntimeError, which
    does wait.
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = _total_norm(_gradients(parameters, rows=float(norm_type) > 0), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def get_total_norm(
    tensors: Tensor | Rows | Iterable[Tensor | Rows], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all elements of all tensors, as of one vector: a 0-d tensor, 0 for no tensors.

    Takes gradients, `[p.grad for p in model.parameters()]`, sparse ones too, and changes none. `norm_type` is any
    number but 0, or inf. Raises ValueError for 0, RuntimeError for a norm that is not finite, if asked to.
    """
    given = [tensors] if isinstance(tensors, (Tensor, Rows)) else tensors
    return _total_norm(
        [one.coalesce() if isinstance(one, Rows) else one for one in given], norm_type, error_if_nonfinite
    )


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Multiply all gradients by max_norm / (total_norm + 1e-6), in place, where that is below 1.

    For a norm known already, such as one `get_total_norm` over several models.
    """
    if math.isinf(max_norm):
        return
    norm = total_norm._array
    factor = namespace(norm).minimum(max_norm / (norm + 1e-6), 1.0)
    rows = True
    if isinstance(norm, np.ndarray):  # on a GPU it is not looked at: that would be to wait
        factor = float(factor)
        if factor == 1:
            return
        rows = math.isfinite(factor)  # nan times the zeros of a table is nan
    arrays = _about_to_be_written(_gradients(parameters, rows))
    if arrays:
        kernels.of(arrays[0]).scale(arrays, factor)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient off at -clip_value and clip_value, in place."""
    for array in _about_to_be_written(_gradients(parameters, rows=clip_value >= 0)):
        array[...] = namespace(array).clip(array, -clip_value, clip_value)


def _gradients(parameters: Tensor | Iterable[Tensor], rows: bool) -> list[Tensor | Rows]:
    """The gradients there are. A sparse one is replaced by one with its rows added up: later uses need that too.

    With `rows`, where zeros change nothing, a table's gradient is just those of its rows that were looked up.
    """
    found: list[Tensor | Rows] = []
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        gradient = held_gradient(parameter) if rows else parameter.grad
        if isinstance(gradient, Rows) and gradient.keep:
            parameter.grad = gradient = gradient.coalesce()
        if gradient is not None:
            found.append(gradient)
    return found


def _about_to_be_written(gradients: list[Tensor | Rows]) -> list[Array]:
    """Their arrays; the writes are counted, for the checks of backward()."""
    for one in gradients:
        if isinstance(one, Tensor):
            count_write(one)
    return [_elements(one) for one in gradients]


def _elements(gradient: Tensor | Rows) -> Array:
    return gradient._values if isinstance(gradient, Rows) else gradient._array


def _total_norm(gradients: list[Tensor | Rows], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    if norm_type == 0:
        raise ValueError("norm_type 0 would count elements, which is no length: use 1, 2 or inf")
    arrays = [array for array in map(_elements, gradients) if array.size]
    if not arrays:
        return tensor(0.0)
    norm = _norm(arrays, float(norm_type))
    if error_if_nonfinite and not bool(namespace(norm).isfinite(norm)):
        raise RuntimeError(
            f"the norm of the gradients is {norm.item()}, so they cannot be scaled: look for its source with "
            f"detect_anomaly(), or lower the learning rate"
        )
    return wrap(norm)


@quiet()
def _norm(arrays: Sequence[Array], p: float) -> Array:
    """The p-norm of all the elements of all the arrays, 0-d."""
    xp = namespace(arrays[0])
    if p == 2.0:
        return xp.asarray(xp.sqrt(kernels.of(arrays[0]).squared_norm(arrays)))
    if math.isinf(p):
        each = [xp.abs(array).max() if p > 0 else xp.abs(array).min() for array in arrays]
    else:
        each = [(xp.abs(array) ** p).sum() for array in arrays]
    total = each[0]
    for one in each[1:]:
        total = (xp.maximum(total, one) if p > 0 else xp.minimum(total, one)) if math.isinf(p) else total + one
    return xp.asarray(total if math.isinf(p) else total ** (1 / p))
