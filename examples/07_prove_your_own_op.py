"""Chapter 7: prove your own op: it is given to a check that draws calls of it, and tries what holds for every right op.

Run it: python examples/07_prove_your_own_op.py        (it needs hypothesis: pip install hypothesis)
"""

import textwrap

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.autograd import Function
from minigrad.backend import namespace
from minigrad.testing import check_module, check_op, gradcheck, gradgradcheck
from minigrad.testing.strategies import arrays

# ---- an op ----------------------------------------------------------------------------------------------------------

# log(e^x + e^y): how two probabilities are added when both are kept as logarithms. Taken literally, e^1000 is infinite;
# so the larger of the two goes before the brackets, and what is left inside is at most 2.
#
# The derivatives are the two shares: e^x / (e^x + e^y), which is the sigmoid of x - y, and one minus it.


@minigrad.primitive
def add_logs(input, other):
    xp = namespace(input)  # NumPy, or for an array on a GPU CuPy
    return xp.maximum(input, other) + xp.log1p(xp.exp(-abs(input - other)))


add_logs.vjp(
    input=lambda g, input, other: g * minigrad.sigmoid(input - other),
    other=lambda g, input, other: g * minigrad.sigmoid(other - input),
)


# ---- checked by hand, at one point ----------------------------------------------------------------------------------

# What most of us do: two numbers, and a difference quotient beside the derivative.
x, y = 0.3, -1.2
step = 1e-6
numeric = (np.logaddexp(x + step, y) - np.logaddexp(x - step, y)) / (2 * step)
point = minigrad.tensor(x, dtype=minigrad.float64, requires_grad=True)
add_logs(point, minigrad.tensor(y, dtype=minigrad.float64)).backward()
print(f"at one point: by the rule {point.grad.item():.9f}, by a difference quotient {numeric:.9f}")

# It is right there. Is it right for a matrix and a row that is stretched over it? For no elements at all, for one
# tensor as both inputs, in float32, on another device? Does it write to memory that is not its own? Has it a second
# derivative? A gradient that is wrong in such a place trains a network all the same, only not as well.

# ---- proved, in one line --------------------------------------------------------------------------------------------

# The op is enough: how it is called is found out by trial, and every call is drawn. A reference, the same by somebody
# else, lets the values be checked as well. `devices` says that it is meant for GPUs, too: a stand-in for one, with its
# manners, is in every computer. Without `max_examples` there are 100 examples for each property.
print()
print(check_op(add_logs, reference=np.logaddexp, devices=True, max_examples=25))


# ---- and an op that is wrong ----------------------------------------------------------------------------------------

# The same by somebody whose second input is a bias, a row beside every row of a matrix, and who sees to it that its
# gradient is a row again. (The engine does that for every op.) But where the sum over the rows belongs, this takes the
# mean. The values are right, the gradients have the right shapes, and those of equal shapes are right as well.


def row(gradient, shape):
    rows = gradient.ndim - len(shape)
    return gradient.sum(0) / max(gradient.shape[0], 1) if rows else gradient


@minigrad.primitive
def add_logs_of_bias(input, other):
    return add_logs.op.forward(input, other)


add_logs_of_bias.vjp(
    input=lambda g, input, other: g * minigrad.sigmoid(input - other),
    other=lambda g, input, other, other_shape: row(g * minigrad.sigmoid(other - input), other_shape),
)


def report(check):
    """What a check says of something wrong; the end of the program if it finds nothing."""
    try:
        check()
    except Exception as error:
        said = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
        print(textwrap.indent("\n".join(said), "    "))
    else:
        raise AssertionError("what is wrong went unnoticed")


matrix = minigrad.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
gradcheck(add_logs_of_bias, (matrix, matrix.detach() + 1))  # at a point with equal shapes nothing is to be seen
print("\nadd_logs_of_bias, with a mean where a sum is due:")
report(lambda: check_op(add_logs_of_bias, reference=np.logaddexp, derandomize=True))  # the same calls in each run

# The smallest call that shows it: two numbers beside one that is stretched over them. The gradient is half of what it
# should be. The lines in the middle can be pasted, with your op filled in, and fail in the same way.

# ---- wrong where it is seldom looked --------------------------------------------------------------------------------

# x * |x|, with a gradient that is right everywhere: 2 |x|. But `detach` cuts the graph, and with it off goes the second
# derivative: a gradient penalty through this op would be a constant, and nothing would complain.


class SignedSquare(Function):
    """x * |x|."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input * input.abs()

    @staticmethod
    def backward(ctx, gradient):
        (input,) = ctx.saved_tensors
        return gradient * 2 * input.detach().abs()


# For a single property at a point of your choice there are `gradcheck` and `gradgradcheck`.
point = minigrad.tensor([1.0, -0.5], dtype=minigrad.float64, requires_grad=True)
gradcheck(SignedSquare.apply, point)
print("\nSignedSquare, whose second derivative is cut off:")
report(lambda: gradgradcheck(SignedSquare.apply, point))

# ---- a layer --------------------------------------------------------------------------------------------------------


class LogBias(nn.Module):
    """Adds e^bias to e^input, on the scale of logarithms: a floor under each feature, learnt."""

    def __init__(self, features):
        super().__init__()
        self.bias = nn.Parameter(minigrad.full((features,), -2.0))

    def forward(self, input):
        return add_logs(input, self.bias)

    def extra_repr(self):
        return f"features={len(self.bias)}"


# A layer is proved in the same way. What has to be said is how it is made and called: the arguments of the constructor,
# and the inputs that go with them.
calls = st.integers(1, 3).flatmap(lambda size: arrays((2, size)).map(lambda input: ({"features": size}, [input])))
print()
print(check_module(LogBias, calls, max_examples=25))

# What is left out says how it would be let in. An optimizer is proved by `check_optimizer(MyOptimizer)`.

# In your test suite each of these checks is one line in a test, where `pytest --minigrad-profile=thorough` draws more
# examples, and `--minigrad-profile=ci` the same ones in each run: see `pytest_minigrad.py`.
