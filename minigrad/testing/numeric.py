"""Derivatives of a function from its values alone: what a gradient is compared with.

Two steps, with two kinds of error:

- central differences, (f(x + h) - f(x - h)) / 2h: any function, but the truncation is of the order h**2 f''' / 6 and
  the rounding 1e-16 |f| / h, so that some six to nine digits are right (Nocedal & Wright, Numerical Optimization, 2nd
  ed., section 8.1);
- the complex step, Im f(x + ih) / h: nothing is subtracted, so h can be 1e-20 and the derivative is right to rounding
  (Squire & Trapp, SIAM Review 40, 1998; Martins, Sturdza & Alonso, ACM TOMS 29, 2003). It needs a function that takes
  complex numbers and is analytic: `abs`, a real part or a conjugate on the way give another number, and no error. So
  the complex step is never believed alone: along a random direction it has to equal a central difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from minigrad.backend import from_host, namespace, to_host
from minigrad.core.tensor import Tensor

Host = np.ndarray[Any, Any]
Close = Callable[[Any, Any], Any]  # whether two slopes are equal
Reason = Literal["", "step", "kink"]

ANOTHER_RESULT = "func gives another result each time it is called: draw its random numbers outside of it"
IMAGINARY = 1e-20  # small enough that its square is lost, so that the real part is f(x) itself

# Sixth order: the error is h**6 f(7) / 140 and 1e-16 |f| / h (Fornberg, Math. Comp. 51, 1988).
_SIXTH_ORDER = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
_WIDE = 1e-3


class NotComplexError(TypeError):
    """The function could not be evaluated at complex numbers."""


class Projection:
    """The number <cotangents, f(inputs)>, and how it changes when one input does."""

    def __init__(
        self, outputs: Callable[[], Sequence[Tensor]], inputs: Sequence[Any], cotangents: Sequence[Tensor], eps: float
    ) -> None:
        self.outputs, self.eps = outputs, eps
        self.real = [one for one in inputs if isinstance(one, Tensor) and one.dtype.kind == "f"]
        self.cotangents = [to_host(one._array) for one in cotangents]

    def at(self, tensor: Tensor, step: Host) -> Any:
        """The number when `tensor` is moved by `step`."""
        with _moved(tensor, step):
            outputs = self.outputs()
            return sum((to_host(output._array) * g).sum() for output, g in zip(outputs, self.cotangents, strict=True))

    def central(self, tensor: Tensor, direction: Host) -> float:
        """The slope along `direction`, by a step to both sides."""
        return _slope(lambda step: self.at(tensor, direction * step), self.eps)

    def vindicated(self, tensor: Tensor, direction: Host, analytic: float, close: Close) -> Reason:
        """`vindicated` of the slope along `direction`."""
        return vindicated(lambda step: self.at(tensor, direction * step), analytic, self.eps, close)

    def sixth_order(self, tensor: Tensor, direction: Host) -> float:
        """The slope from six points: ten digits and more where the function is smooth as far as 3e-3 away."""
        ahead = sum(
            weight * (self.at(tensor, direction * (steps * _WIDE)) - self.at(tensor, direction * (-steps * _WIDE)))
            for steps, weight in _SIXTH_ORDER.items()
        )
        return float(ahead / _WIDE)

    def complex_step(self, tensor: Tensor, direction: Host) -> float:
        """The slope along `direction`, by a step along the imaginary axis; inside `complex_numbers()`."""
        return float(np.imag(self.at(tensor, direction * (1j * IMAGINARY))) / IMAGINARY)

    @contextmanager
    def complex_numbers(self) -> Iterator[None]:
        """Inside, every real input is complex, and what cannot be done with complex numbers raises NotComplexError."""
        arrays = [one._array for one in self.real]
        try:
            for one in self.real:
                one._array = one._array.astype(np.complex128)
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)  # it says that an imaginary part was lost
                yield
        except Exception as error:
            raise NotComplexError(f"raises {type(error).__name__} on complex numbers, {error}") from error
        finally:
            for one, array in zip(self.real, arrays, strict=True):
                one._array = array

    def oddity(self, tensor: Tensor, direction: Host) -> str:
        """In words, what makes numeric derivatives meaningless here: NaN, chance, a kink, a jump; "" if nothing."""
        here = [self.at(tensor, direction * 0) for _ in range(2)]
        if not np.isfinite(here[0]):
            return f"func itself gives {here[0]:g} there"
        if here[0] != here[1]:
            return ANOTHER_RESULT
        odd, (left, right) = _oddity(lambda step: self.at(tensor, direction * step), self.eps)
        if odd == "jump":
            steepest = max(abs(left), abs(right))
            return f"the nearer one looks, the steeper it is, {steepest:.6g} at last: the function seems to jump there"
        if odd == "kink":
            return (
                f"from the left the numeric derivative is {left:.6g}, from the right {right:.6g}: the function seems "
                f"to have a kink or a tie there"
            )
        return ""


# ---- one number that changes along a line ---------------------------------------------------------------------------


def vindicated(along: Callable[[float], Any], analytic: float, eps: float, close: Close) -> Reason:
    """What speaks for `analytic` where the difference over `eps` speaks against it.

    "step": over a shorter step the two agree: the step was too coarse, as for x |x| near 0, or led past a kink. A wrong
    slope stays as wrong. "kink": the slope is another on each side, and `analytic` is one of the two or between them;
    or the number jumps, and has no slope. "": nothing.
    """
    if any(close(analytic, _slope(along, finer)) for finer in (eps / 10, eps / 100)):
        return "step"
    odd, slopes = _oddity(along, eps)
    nearest = min(max(analytic, min(slopes)), max(slopes))
    return "kink" if odd == "jump" or (odd == "kink" and close(analytic, nearest)) else ""


def _slope(along: Callable[[float], Any], eps: float) -> float:
    return float((along(eps) - along(-eps)) / (2 * eps))


def _sides(along: Callable[[float], Any], eps: float) -> tuple[float, float]:
    """The slopes to the left and to the right, which differ at a kink."""
    here = along(0.0)
    return float(here - along(-eps)) / eps, float(along(eps) - here) / eps


def _oddity(along: Callable[[float], Any], eps: float) -> tuple[Literal["", "kink", "jump"], tuple[float, float]]:
    """Whether the slope changes at 0, or the number does, and the slopes on both sides."""
    near, far = _sides(along, eps), _sides(along, 4 * eps)
    largest = max(map(abs, near))
    if largest > 3 * max(map(abs, far)) and largest > 1e3:  # the same jump, over a quarter of the distance
        return "jump", near
    # Of a smooth function the two sides differ by h f'', four times as much at four times the distance.
    difference, far_difference = abs(near[0] - near[1]), abs(far[0] - far[1])
    if difference > max(1e-3 * largest, 1e-6) and far_difference < 2 * difference:
        return "kink", near
    return "", near


@contextmanager
def _moved(tensor: Tensor, step: Host) -> Iterator[None]:
    """Inside, the tensor's values are its own plus `step`, in other memory: its own is never written."""
    array = tensor._array
    tensor._array = namespace(array).asarray(array + from_host(step, tensor.device))  # NumPy makes scalars of 0-d sums
    try:
        yield
    finally:
        tensor._array = array


def elements(shape: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Host]]:
    """Each index of an array of this shape, with the direction that moves that element alone."""
    for index in np.ndindex(*shape):
        direction = np.zeros(tuple(shape))
        direction[index] = 1.0
        yield index, direction
