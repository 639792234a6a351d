"""Each element for itself: functions of one number.

To add one: the forward, its rule, and `@method()` if it is a method of Tensor, too. `promote="float"` makes float32 of
integers first. Functions of two numbers are in `arithmetic`, comparisons and choices in `comparison`.
"""

from __future__ import annotations

import math

from minigrad.backend import Array, namespace
from minigrad.core.primitive import primitive
from minigrad.ops.comparison import keep_where
from minigrad.ops.method import method

# ---- signs ----------------------------------------------------------------------------------------------------------


@primitive
def zeros_of(input: Array) -> Array:
    """Zeros in the input's shape: the derivative of a function that is constant between its steps."""
    return namespace(input).zeros_like(input)


zeros_of.vjp(input=lambda g: zeros_of(g))


@method("sgn", inplace=True)
@primitive
def sign(input: Array) -> Array:
    """-1, 0 or 1; 0 for NaN, as in PyTorch. Of a complex number z it is z / |z|."""
    if input.dtype.kind in "bc":
        return input.copy() if input.dtype.kind == "b" else namespace(input).sign(input)
    return (input > 0).astype(input.dtype) - (input < 0)


sign.vjp(input=lambda g: zeros_of(g))


@method("__abs__", "absolute", inplace=True)
@primitive
def abs(input: Array) -> Array:
    """The absolute value. Its derivative at 0 is taken as 0."""
    return namespace(input).abs(input)


abs.vjp(input=lambda g, input: g * sign(input))


@method("__pos__", called="positive")
@primitive(view=True)
def positive(input: Array) -> Array:
    """`+input`: the input itself."""
    return input


positive.vjp(input=lambda g: g)

# ---- whole numbers --------------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive
def floor(input: Array) -> Array:
    """The largest whole number that is not above."""
    return input.copy() if input.dtype.kind in "iu" else namespace(input).floor(input)


floor.vjp(input=lambda g: zeros_of(g))


@method(inplace=True)
@primitive
def ceil(input: Array) -> Array:
    """The smallest whole number that is not below."""
    return input.copy() if input.dtype.kind in "iu" else namespace(input).ceil(input)


ceil.vjp(input=lambda g: zeros_of(g))


@method(inplace=True)
@primitive
def trunc(input: Array) -> Array:
    """The whole number next to it on the way to 0."""
    return input.copy() if input.dtype.kind in "iu" else namespace(input).trunc(input)


trunc.vjp(input=lambda g: zeros_of(g))


@method(inplace=True)
@primitive
def round(input: Array, *, decimals: int = 0) -> Array:
    """The nearest number with so many decimals (-2: hundreds); of two that are equally near, the even one."""
    return namespace(input).round(input, decimals)


round.vjp(input=lambda g: zeros_of(g))


@method(inplace=True)
@primitive
def frac(input: Array) -> Array:
    """What `trunc` takes away, with the input's sign."""
    return input - namespace(input).trunc(input)


frac.vjp(input=lambda g: g)

# ---- powers and roots -----------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive
def square(input: Array) -> Array:
    """`input * input`; bools count as whole numbers."""
    return input * input if input.dtype.kind != "b" else input.astype("int64")


square.vjp(input=lambda g, input: g * (input * 2))


@method(inplace=True)
@primitive(promote="float")
def sqrt(input: Array) -> Array:
    """The square root; NaN below 0. The derivative at 0 is infinite."""
    return namespace(input).sqrt(input)


sqrt.vjp(input=lambda g, ans: g / (ans * 2))


@method(inplace=True)
@primitive(promote="float")
def rsqrt(input: Array) -> Array:
    """1 over the square root."""
    return 1 / namespace(input).sqrt(input)


rsqrt.vjp(input=lambda g, ans: g * (ans * ans * ans * -0.5))


@method(inplace=True)
@primitive(promote="float")
def reciprocal(input: Array) -> Array:
    """1 over each element."""
    return 1 / input


reciprocal.vjp(input=lambda g, ans: -g * (ans * ans))

# ---- exponentials and logarithms ------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote="float")
def exp(input: Array) -> Array:
    """e to the power of each element."""
    return namespace(input).exp(input)


exp.vjp(input=lambda g, ans: g * ans)


@method(inplace=True)
@primitive(promote="float")
def exp2(input: Array) -> Array:
    """2 to the power of each element."""
    return namespace(input).exp2(input)


exp2.vjp(input=lambda g, ans: g * (ans * math.log(2)))


@method(inplace=True)
@primitive(promote="float")
def expm1(input: Array) -> Array:
    """`exp(input) - 1`, exact also near 0."""
    return namespace(input).expm1(input)


expm1.vjp(input=lambda g, ans: g * (ans + 1))


@method(inplace=True)
@primitive(promote="float")
def log(input: Array) -> Array:
    """The natural logarithm: -inf at 0, NaN below."""
    return namespace(input).log(input)


log.vjp(input=lambda g, input: g / input)


@method(inplace=True)
@primitive(promote="float")
def log2(input: Array) -> Array:
    """The logarithm to base 2."""
    return namespace(input).log2(input)


log2.vjp(input=lambda g, input: g / (input * math.log(2)))


@method(inplace=True)
@primitive(promote="float")
def log10(input: Array) -> Array:
    """The logarithm to base 10."""
    return namespace(input).log10(input)


log10.vjp(input=lambda g, input: g / (input * math.log(10)))


@method(inplace=True)
@primitive(promote="float")
def log1p(input: Array) -> Array:
    """`log(1 + input)`, exact also near 0."""
    return namespace(input).log1p(input)


log1p.vjp(input=lambda g, input: g / (input + 1))

# ---- trigonometry ---------------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote="float")
def sin(input: Array) -> Array:
    """The sine of an angle in radians."""
    return namespace(input).sin(input)


@method(inplace=True)
@primitive(promote="float")
def cos(input: Array) -> Array:
    """The cosine of an angle in radians."""
    return namespace(input).cos(input)


sin.vjp(input=lambda g, input: g * cos(input))
cos.vjp(input=lambda g, input: -g * sin(input))


@method(inplace=True)
@primitive(promote="float")
def tan(input: Array) -> Array:
    """The tangent of an angle in radians."""
    return namespace(input).tan(input)


tan.vjp(input=lambda g, ans: g + g * (ans * ans))


@method("arcsin", inplace=True)
@primitive(promote="float")
def asin(input: Array) -> Array:
    """The angle in [-pi/2, pi/2] with this sine; NaN outside [-1, 1]."""
    return namespace(input).arcsin(input)


asin.vjp(input=lambda g, input: g / sqrt(1 - input * input))


@method("arccos", inplace=True)
@primitive(promote="float")
def acos(input: Array) -> Array:
    """The angle in [0, pi] with this cosine; NaN outside [-1, 1]."""
    return namespace(input).arccos(input)


acos.vjp(input=lambda g, input: -g / sqrt(1 - input * input))


@method("arctan", inplace=True)
@primitive(promote="float")
def atan(input: Array) -> Array:
    """The angle in (-pi/2, pi/2) with this tangent."""
    return namespace(input).arctan(input)


atan.vjp(input=lambda g, input: g / (input * input + 1))

# ---- hyperbolic functions -------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive(promote="float")
def sinh(input: Array) -> Array:
    """The hyperbolic sine."""
    return namespace(input).sinh(input)


@method(inplace=True)
@primitive(promote="float")
def cosh(input: Array) -> Array:
    """The hyperbolic cosine."""
    return namespace(input).cosh(input)


sinh.vjp(input=lambda g, input: g * cosh(input))
cosh.vjp(input=lambda g, input: g * sinh(input))


@method(inplace=True)
@primitive(promote="float")
def tanh(input: Array) -> Array:
    """The hyperbolic tangent."""
    return namespace(input).tanh(input)


tanh.vjp(input=lambda g, ans: g - g * (ans * ans))  # a number beside an array, as in 1 - ans², costs half a microsecond


@method("arcsinh", inplace=True)
@primitive(promote="float")
def asinh(input: Array) -> Array:
    """The inverse of the hyperbolic sine."""
    return namespace(input).arcsinh(input)


asinh.vjp(input=lambda g, input: g / sqrt(input * input + 1))


@method("arccosh", inplace=True)
@primitive(promote="float")
def acosh(input: Array) -> Array:
    """The inverse of the hyperbolic cosine; NaN below 1."""
    return namespace(input).arccosh(input)


acosh.vjp(input=lambda g, input: g / sqrt(input * input - 1))


@method("arctanh", inplace=True)
@primitive(promote="float")
def atanh(input: Array) -> Array:
    """The inverse of the hyperbolic tangent; NaN outside [-1, 1]."""
    return namespace(input).arctanh(input)


atanh.vjp(input=lambda g, input: g / (1 - input * input))

# ---- activations ----------------------------------------------------------------------------------------------------


@method(inplace=True)
@primitive
def relu(input: Array) -> Array:
    """`max(input, 0)`. Its derivative at 0 is taken as 0."""
    return namespace(input).maximum(input, 0)


relu.vjp(input=lambda g, ans: keep_where(g, ans != 0))


@method(inplace=True)
@primitive(promote="float")
def sigmoid(input: Array) -> Array:
    """1 / (1 + exp(-input)). Where exp overflows, the result is 0 as it should be."""
    xp = namespace(input)
    return 1 / (1 + xp.exp(-input))


sigmoid.vjp(input=lambda g, ans: g * (ans - ans * ans))


@primitive(promote="float")
def logsigmoid(input: Array) -> Array:
    """log(sigmoid(input)), exact where the sigmoid would round to 0 or 1."""
    xp = namespace(input)
    return xp.minimum(input, 0) - xp.log1p(xp.exp(-xp.abs(input)))


logsigmoid.vjp(input=lambda g, input: g * sigmoid(-input))
