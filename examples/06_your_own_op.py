"""Chapter 6: an op of your own, three ways: composed of others, as a Function, as a primitive.

Run it: python examples/06_your_own_op.py
"""

import numpy as np

import minigrad
from minigrad import study
from minigrad.autograd import Function
from minigrad.testing import gradcheck, gradgradcheck

# ---- before: the lecture's gate, an object that remembers in forward what it needs in backward ----------------------


class MultiplyGate:
    """z = x * y. The gate keeps its inputs as its state: each is the other one's local gradient."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return [dz * self.y, dz * self.x]


# By hand: L = (x * y) * w, forwards and then backwards through the gates in reverse.
x, y, w = 3.0, -4.0, 2.0
first, second = MultiplyGate(), MultiplyGate()
loss = second.forward(first.forward(x, y), w)
dxy, dw = second.backward(1.0)
dx, dy = first.backward(dxy)
print("by hand:      ", loss, dx, dy, dw)

# The engine keeps the order of the gates for us, and calls them back in reverse.
tensors = tx, ty, tw = [minigrad.tensor(value, requires_grad=True) for value in (x, y, w)]
loss = (tx * ty) * tw
loss.backward()
print("by the engine:", loss.item(), *[tensor.grad.item() for tensor in tensors])
assert [tensor.grad.item() for tensor in tensors] == [dx, dy, dw]

# ---- the op ---------------------------------------------------------------------------------------------------------

# softplus(x) = log(1 + e^x): a corner at zero, made smooth. Its derivative is the sigmoid of x.

# ---- 1. composed of other ops: nothing to derive --------------------------------------------------------------------


def composed(input):
    """softplus in the words of its definition."""
    return (1 + input.exp()).log()


# Often that is all you need. Here it is not: e^1000 is too large for any float, and though softplus(1000) is 1000, what
# comes out is an infinity, and for the gradient infinity / infinity.
large = minigrad.tensor(1000.0, requires_grad=True)
value = composed(large)
value.backward()
print("\ncomposed, at 1000:", value.item(), "gradient", large.grad.item())

# ---- 2. a Function: forward and backward in Tensors, what is needed handed over by the context ----------------------

# log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where e is never raised to anything above zero. And there is one formula
# for the gradient, without the detour through infinity.


class Softplus(Function):
    """softplus as PyTorch users write an op of their own."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.clamp(min=0) + (-input.abs()).exp().log1p()

    @staticmethod
    def backward(ctx, gradient):
        (input,) = ctx.saved_tensors
        return gradient * input.sigmoid()  # of differentiable ops, so it has a second derivative as well


# ---- 3. a primitive: a forward on arrays, and a rule whose parameter names say what it needs ------------------------


@minigrad.primitive
def softplus(input):
    return np.maximum(input, 0) + np.log1p(np.exp(-abs(input)))


softplus.vjp(input=lambda g, input: g * minigrad.sigmoid(input))

# The rule runs on arrays when you call backward(), and on tensors when the gradient itself is to be differentiated: it
# is made of operators and of ops, which take both. (For arrays on a GPU, too, write `namespace(input)` of
# minigrad.backend where it says `np`.)

for name, op in {"Function": Softplus.apply, "primitive": softplus}.items():
    large = minigrad.tensor(1000.0, requires_grad=True)
    value = op(large)
    value.backward()
    print(f"{name}, at 1000:", value.item(), "gradient", large.grad.item())
    assert (value.item(), large.grad.item()) == (1000.0, 1.0)

# ---- what the graph has of each -------------------------------------------------------------------------------------

point = minigrad.tensor(np.random.default_rng(0).normal(size=(3, 2)), requires_grad=True)
for op in (composed, Softplus.apply, softplus):
    print(f"\n{study.draw(op(point), names={'input': point})}")

# ---- is it right? ---------------------------------------------------------------------------------------------------

# All of it that could be wrong is the rule, so that is what to check, against numeric derivatives.
for op in (composed, Softplus.apply, softplus):
    assert gradcheck(op, (point,))
    assert gradgradcheck(op, (point,))
print("\nall three agree with their numeric first and second derivatives")


# And a rule that is wrong does not get far.
@minigrad.primitive
def wrong(input):
    return softplus.op.forward(input)


wrong.vjp(input=lambda g, input: g * minigrad.tanh(input))

try:
    gradcheck(wrong, (point,))
except Exception as error:
    print(f"the wrong one: {type(error).__name__}: {str(error).splitlines()[0]}")
else:
    raise AssertionError("a wrong rule went unnoticed")
