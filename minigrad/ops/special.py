"""Special functions that array libraries do not have, in array arithmetic that runs on every device."""

from __future__ import annotations

import math

import numpy as np

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.ops.elementwise import exp
from minigrad.ops.method import method

# erf(x) / x as a polynomial in x² for |x| <= 1, and exp(x²) (1 - erf(x)) as one in (x - 2) / (x + 2) for 1 <= x <= 6;
# lowest power first. Both interpolate the function at Chebyshev's points, in 60 digits; their errors are below 1e-16.
_ERF_NEAR_0 = (
    1.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792, 0.0052239776248180145,
    -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05, 1.6461000484121368e-06,
    -1.6350312701054695e-07, 1.4659775274047436e-08, -1.1372848856791674e-09, 5.957176147748911e-11,
)  # fmt: skip
_ERFC_SCALED = (
    0.25539567631050575, -0.4271858474139585, 0.24165819424246585, -0.07897858101570611, 0.0037328924043978336,
    0.006997461736971578, -0.00084714325299195, -0.0009819769411038642, 4.355558686575482e-05,
    0.00017435947400205157, 2.7527175557227246e-05, -2.7562209161129353e-05, -1.3998283772784976e-05,
    1.3058577122278017e-06, 4.011749647325067e-06, 1.272567661840228e-06, -1.1352571477273627e-06,
)  # fmt: skip


@method(inplace=True)
@primitive(promote="float")
def erf(input: Array) -> Array:
    """The error function, 2/sqrt(pi) times the integral of exp(-t²) from 0 to `input`; to within 1 ulp in float64.

    Two polynomials, one near 0, where the result is as small as the input, and one for what is missing to 1.
    """
    if input.dtype.itemsize == 2:
        return erf(input.astype(np.float32)).astype(input.dtype)
    xp = namespace(input)
    size = xp.minimum(xp.abs(input), 6)  # from 6 on the result rounds to 1
    square = size * size
    near = size * _polynomial(square, _ERF_NEAR_0)
    far = 1 - xp.exp(-square) * _polynomial((size - 2) / (size + 2), _ERFC_SCALED)
    return xp.copysign(xp.where(size < 1, near, far), input)


erf.vjp(input=lambda g, input: g * (exp(-(input * input)) * (2 / math.sqrt(math.pi))))


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's scheme."""
    result = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        result *= x
        result += coefficient
    return result
