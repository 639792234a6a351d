"""Initial weights. Every function writes into a tensor, outside the graph, and returns it.

fan_in and fan_out are the numbers of values that flow into and out of one unit: the sizes of a weight's second and
first dimension, times the size of a convolution's window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.backend import Array, to_host, transfer
from minigrad.core.tensor import Tensor
from minigrad.core.views import count_write
from minigrad.random import Generator, default_generator

_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2),
    "selu": 3 / 4,
}  # fmt: skip


def _put(tensor: Tensor, values: Array | float) -> Tensor:
    tensor._array[...] = values
    count_write(tensor)
    return tensor


def _check_floating(name: str, tensor: Tensor) -> None:
    """TypeError for a tensor of whole numbers, which would cut what is drawn down to them."""
    if tensor.dtype.kind != "f":
        raise TypeError(f"{name}() writes float16, float32 or float64, and this tensor is {tensor.dtype}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Values drawn evenly from [a, b)."""
    draw = (generator or default_generator).uniform
    return _put(tensor, draw(tuple(tensor.shape), a, b, dtype=tensor.dtype, device=tensor.device))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Values of the normal distribution."""
    draw = (generator or default_generator).normal
    return _put(tensor, draw(tuple(tensor.shape), mean, std, dtype=tensor.dtype, device=tensor.device))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Values of the normal distribution between a and b. The bounds are values, not numbers of deviations.

    Raises ValueError unless a < b, std > 0, and mean and std are finite; TypeError for a tensor of whole numbers.
    """
    _check_floating("trunc_normal_", tensor)
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_() needs a < b and std above 0, got a={a}, b={b}, std={std}")
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise ValueError(f"trunc_normal_() needs a finite mean and std, got mean={mean}, std={std}")
    values = _normal_between((a - mean) / std, (b - mean) / std, tensor.numel(), generator or default_generator)
    # Rounding to the tensor's dtype must not lead out of the interval.
    within = np.clip((values * std + mean).astype(tensor.dtype), a, b)
    return _put(tensor, transfer(within.reshape(tensor.shape), tensor.device))


def _normal_between(low: float, high: float, count: int, generator: Generator) -> Any:
    """`count` standard normal values in [low, high], by rejection: x stays with probability density(x) / peak."""
    low, high = (min(max(bound, -1e300), 1e300) for bound in (low, high))  # so that inf - inf cannot come up
    peak = min(max(low, 0.0), high)  # where the density is largest
    # Beyond, it is below 1e-16 of that: an open side costs no more than this.
    reach = math.hypot(peak, math.sqrt(75))
    low, high = max(low, -reach), min(high, reach)
    values: Any = np.empty(count)
    missing = np.arange(count)
    while missing.size:
        drawn: Any = generator.uniform((2, missing.size), dtype=np.float64, device="cpu")
        tried = low + (high - low) * drawn[0]
        stays = drawn[1] < np.exp((peak - tried) * (peak + tried) / 2)
        values[missing[stays]] = tried[stays]
        missing = missing[~stays]
    return values


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _put(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return _put(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return _put(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: as many inputs as fit pass unchanged. ValueError for other than two dimensions.

    On `RNN(nonlinearity="relu").weight_hh_l0` it is the start of Le et al. (2015), whose states neither fade nor grow.
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_() needs a tensor of two dimensions, this one has {tensor.ndim}")
    identity = np.eye(*tensor.shape, dtype=tensor.dtype)
    return _put(tensor, transfer(identity, tensor.device))


def log_prior_(bias: Tensor, counts: Any) -> Tensor:
    """An output layer's bias at its optimum when the features say nothing: the logarithm of each class's frequency.

    Cross-entropy is least where softmax(bias) is the distribution of the classes. A layer that starts so, rather than
    at equal chances for all, need not spend its first steps on learning which classes are frequent. For a language
    model these are the unigram probabilities.

    Args:
        bias: (C), written.
        counts: how often each class occurs (C), whole numbers of any kind. One is added to each (Laplace), so that a
            class that did not occur stays possible: b[c] = log((counts[c] + 1) / (sum of counts + C)).

    Raises ValueError for another shape than the bias has, and for a count below 0; TypeError for a bias of whole
    numbers.
    """
    _check_floating("log_prior_", bias)
    found = np.asarray(to_host(counts._array) if isinstance(counts, Tensor) else counts, np.float64)
    if found.ndim != 1 or found.shape != tuple(bias.shape):
        raise ValueError(
            f"log_prior_() needs a count for each class: the bias has shape {tuple(bias.shape)}, the counts have "
            f"{found.shape}"
        )
    if not (found >= 0).all():
        raise ValueError(f"log_prior_(): a count is at least 0, got {found.min()}")
    prior = np.log((found + 1) / (found.sum() + found.size))
    return _put(bias, transfer(prior.astype(bias.dtype), bias.device))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to enlarge the standard deviation so that a layer followed by this nonlinearity keeps its variance.

    `param` is the negative slope of "leaky_relu". Raises ValueError for a nonlinearity without a known gain.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"no gain is known for {nonlinearity!r}: use one of {', '.join([*_GAINS, 'leaky_relu'])}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *window)."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need a weight of at least two dimensions, this one has {tensor.ndim}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, AISTATS 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s^2), s = gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio, AISTATS 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = _fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-b, b), b = gain * sqrt(3 / fan) (He et al., ICCV 2015). `a` is the negative slope of a leaky ReLU."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, gain^2 / fan) (He et al., ICCV 2015). `a` is the negative slope of a leaky ReLU."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al., ICLR 2014).

    Dimensions after the first count as one. Raises ValueError for fewer than two, TypeError for a tensor of whole
    numbers.
    """
    _check_floating("orthogonal_", tensor)
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_() needs a tensor of at least two dimensions, this one has {tensor.ndim}")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    tall = (max(rows, columns), min(rows, columns))
    drawn: Any = (generator or default_generator).normal(tall, dtype=np.float64, device="cpu")
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diag(r))  # QR leaves the signs to chance; these make the matrix evenly distributed
    matrix = (q if rows >= columns else q.T) * gain
    return _put(tensor, transfer(np.ascontiguousarray(matrix.reshape(tensor.shape), dtype=tensor.dtype), tensor.device))
