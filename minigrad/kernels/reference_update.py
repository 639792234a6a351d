"""Optimizer steps, gradient norms and sparse rows, in plain array functions.

An update writes one parameter `p` and its state arrays in place and leaves its gradient `g` as it is. All have p's
shape.
The numbers are torch.optim's, in the order in which it rounds.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from minigrad.backend import namespace
from minigrad.kernels.common import Array


def together() -> AbstractContextManager[None]:
    """Inside, updates of parameters may wait for its end, and be done at once: nothing may read what they write before.

    Where nothing is won by that, as here, none waits.
    """
    return nullcontext()


def _descent(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient to go down: turned round to maximize, with the L2 penalty's own gradient on top."""
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g


def sgd_update(
    p: Array, g: Array, buf: Array | None,
    *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """Stochastic gradient descent, momentum in `buf` or None. On the `first` step the gradient becomes the buffer."""
    g = _descent(p, g, weight_decay, maximize)
    if buf is not None:
        buf[...] = g if first else momentum * buf + (1 - dampening) * g
        g = g + momentum * buf if nesterov else buf
    p -= lr * g


def adagrad_update(
    p: Array, g: Array, state_sum: Array, *, lr: float, weight_decay: float, eps: float, maximize: bool
) -> None:
    """Adagrad (Duchi et al. 2011). `lr` is the rate of this step, its decay already applied."""
    g = _descent(p, g, weight_decay, maximize)
    state_sum += g * g
    p -= lr * g / (namespace(p).sqrt(state_sum) + eps)


def rmsprop_update(
    p: Array, g: Array, square_avg: Array, grad_avg: Array | None, momentum_buffer: Array | None,
    *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop (Tieleman & Hinton 2012); centered (Graves 2013) where there is a `grad_avg`."""
    g = _descent(p, g, weight_decay, maximize)
    square_avg += (1 - alpha) * (g * g - square_avg)
    spread = square_avg
    if grad_avg is not None:
        grad_avg += (1 - alpha) * (g - grad_avg)
        spread = square_avg - grad_avg * grad_avg
    step = g / (namespace(p).sqrt(spread) + eps)
    if momentum_buffer is not None:
        momentum_buffer *= momentum
        momentum_buffer += step
        step = momentum_buffer
    p -= lr * step


def adam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array, max_exp_avg_sq: Array | None,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, decoupled: bool, step: int,
    maximize: bool,
) -> None:  # fmt: skip
    """Adam (Kingma & Ba 2015); AdamW (Loshchilov & Hutter 2019) when `decoupled`; AMSGrad (Reddi et al. 2018) where
    there is a `max_exp_avg_sq`.

    `step` counts from 1 and sets the bias corrections.
    """
    if decoupled:
        p *= 1 - lr * weight_decay
    g = _descent(p, g, 0 if decoupled else weight_decay, maximize)
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * g * g
    second = exp_avg_sq
    if max_exp_avg_sq is not None:
        max_exp_avg_sq[...] = namespace(p).maximum(max_exp_avg_sq, exp_avg_sq)
        second = max_exp_avg_sq
    spread = namespace(p).sqrt(second) / (1 - beta2**step) ** 0.5 + eps
    p -= (lr / (1 - beta1**step)) * exp_avg / spread


def adadelta_update(
    p: Array, g: Array, square_avg: Array, acc_delta: Array,
    *, lr: float, rho: float, eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adadelta (Zeiler 2012): each step is as long as the average of the steps before it."""
    xp = namespace(p)
    g = _descent(p, g, weight_decay, maximize)
    _average_squares(square_avg, g, rho)
    step = xp.sqrt(acc_delta + eps) / xp.sqrt(square_avg + eps) * g
    _average_squares(acc_delta, step, rho)
    p -= lr * step


def adamax_update(
    p: Array, g: Array, exp_avg: Array, exp_inf: Array,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: int, maximize: bool,
) -> None:  # fmt: skip
    """Adamax (Kingma & Ba 2015, section 7.1). `step` counts from 1."""
    xp = namespace(p)
    g = _descent(p, g, weight_decay, maximize)
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_inf[...] = xp.maximum(beta2 * exp_inf, xp.abs(g) + eps)
    p -= (lr / (1 - beta1**step)) * exp_avg / exp_inf


def nadam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array,
    *, lr_gradient: float, lr_momentum: float, beta1: float, beta2: float, eps: float, weight_decay: float,
    shrink: float, step: int, maximize: bool,
) -> None:  # fmt: skip
    """NAdam (Dozat 2016): a step along the gradient and one along its average, each with a rate of its own.

    p is multiplied by `shrink` first, which is decoupled weight decay. `step` counts from 1.
    """
    g = _decayed_moments(p, g, exp_avg, exp_avg_sq, beta1, beta2, weight_decay, shrink, maximize)
    spread = namespace(p).sqrt(exp_avg_sq / (1 - beta2**step)) + eps
    p -= lr_gradient * g / spread
    p -= lr_momentum * exp_avg / spread


def radam_update(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array,
    *, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, shrink: float, step: int,
    maximize: bool,
) -> None:  # fmt: skip
    """RAdam (Liu et al. 2020, algorithm 2): plain momentum until the variance of the adaptive rate can be corrected.

    p is multiplied by `shrink` first, which is decoupled weight decay. `step` counts from 1.
    """
    _decayed_moments(p, g, exp_avg, exp_avg_sq, beta1, beta2, weight_decay, shrink, maximize)
    correction = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1  # the lengths of the averages that have this variance: at last, and now
    length = longest - 2 * step * beta2**step / correction
    change = (lr / (1 - beta1**step)) * exp_avg
    if length > 5:
        rectify = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
        change = change * (rectify * correction**0.5) / (namespace(p).sqrt(exp_avg_sq) + eps)
    p -= change


def asgd_update(
    p: Array, g: Array, ax: Array, *, eta: float, mu: float, lambd: float, weight_decay: float, maximize: bool
) -> None:
    """Averaged SGD (Polyak & Juditsky 1992): a step at the rate `eta`, which moves the average `ax` by `mu`."""
    g = _descent(p, g, weight_decay, maximize)
    p *= 1 - lambd * eta
    p -= eta * g
    if mu == 1:
        ax[...] = p
    else:
        ax += mu * (p - ax)


def rprop_update(
    p: Array, g: Array, prev: Array, step_size: Array,
    *, shrink: float, grow: float, smallest: float, largest: float, maximize: bool,
) -> None:  # fmt: skip
    """Rprop (Riedmiller & Braun 1993): an element's step grows while its gradient keeps its sign, and falls when not.

    Where the sign has changed the element stands still, and the next step starts afresh.
    """
    xp = namespace(p)
    g = -g if maximize else g
    same, turned = g * prev > 0, g * prev < 0
    step_size *= xp.where(same, grow, xp.where(turned, shrink, 1.0)).astype(p.dtype)
    step_size[...] = xp.clip(step_size, smallest, largest)
    prev[...] = xp.where(turned, xp.zeros_like(g), g)
    p -= xp.sign(prev) * step_size


def _average_squares(average: Array, values: Array, keep: float) -> None:
    """average = keep * average + (1 - keep) * values^2, in place."""
    average *= keep
    average += (1 - keep) * values * values


def _decayed_moments(
    p: Array, g: Array, exp_avg: Array, exp_avg_sq: Array,
    beta1: float, beta2: float, weight_decay: float, shrink: float, maximize: bool,
) -> Array:  # fmt: skip
    """Adam's beginning: either weight decay, then both averages. The gradient that went into them."""
    if shrink != 1:
        p *= shrink
    g = _descent(p, g, weight_decay, maximize)
    exp_avg += (1 - beta1) * (g - exp_avg)
    _average_squares(exp_avg_sq, g, beta2)
    return g


def squared_norm(arrays: Sequence[Array]) -> Array:
    """The sum of the squares of all the elements of all the arrays, a 0-d array. Needs at least one array.

    Arrays of one dtype each give their own sum in it; the sums are added in the dtype of the first array.
    """
    total = _sum_of_squares(arrays[0])
    for array in arrays[1:]:
        total = total + _sum_of_squares(array).astype(total.dtype)
    return namespace(arrays[0]).asarray(total)


def _sum_of_squares(array: Array) -> Array:
    return (array * array).sum()


def scale(arrays: Sequence[Array], factor: Array | float) -> None:
    """Multiply every array by the number `factor` (a Python number, or a 0-d array of its own device), in place."""
    for array in arrays:
        array *= factor


def sum_rows(index: Array, values: Array) -> tuple[Array, Array]:
    """Add up the rows of `values` (n, ...) that share an index: (sorted unique indices (m), their sums (m, ...))."""
    xp = namespace(values)
    unique, place = xp.unique(index, return_inverse=True)
    sums = xp.zeros((unique.shape[0], *values.shape[1:]), dtype=values.dtype)
    xp.add.at(sums, place.reshape(-1), values)
    return unique, sums


def add_rows(table: Array, index: Array, values: Array) -> None:
    """table[index[k]] += values[k] for every k, in place, adding up where an index repeats."""
    namespace(table).add.at(table, index, values)
