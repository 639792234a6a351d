"""Chapter 6: an op of your own, three ways: as a gate with a state, as a Function, as a primitive.

Run it: python examples/06_your_own_op.py
"""

import numpy as np

import minigrad
from minigrad.autograd import Function
from minigrad.testing import gradcheck, gradgradcheck

# ---- 1. The lecture's gate: an object that remembers in forward what it needs in backward --------------------------


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
print("by hand:     ", loss, dx, dy, dw)

# The engine keeps the gates' order for us, and calls them back in reverse.


def use(gate):
    """A gate as a function of tensors that records itself in the graph."""

    class Gate(Function):
        @staticmethod
        def forward(ctx, *inputs):
            return minigrad.tensor(gate.forward(*[one.detach().numpy() for one in inputs]))

        @staticmethod
        def backward(ctx, gradient):
            return tuple(minigrad.tensor(one) for one in gate.backward(gradient.numpy()))

    return Gate.apply


tensors = [minigrad.tensor(value, requires_grad=True) for value in (x, y, w)]
tx, ty, tw = tensors
loss = use(MultiplyGate())(use(MultiplyGate())(tx, ty), tw)
loss.backward()
print("by the engine:", loss.item(), *[tensor.grad.item() for tensor in tensors])
assert [tensor.grad.item() for tensor in tensors] == [dx, dy, dw]


# ---- 2. A Function: forward and backward in Tensors, what is needed handed over by the context ---------------------


class Cube(Function):
    """x^3. Its backward is made of differentiable ops, so it has a second derivative as well."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input * input * input

    @staticmethod
    def backward(ctx, gradient):
        (input,) = ctx.saved_tensors
        return gradient * 3 * input * input


# ---- 3. A primitive: a forward on arrays and a rule whose parameter names say what it needs ------------------------


@minigrad.primitive
def cube(input):
    return input * input * input


cube.vjp(input=lambda g, input: g * 3 * input * input)

# All of it that could be wrong is the rule, so that is what to check, against numeric derivatives.
point = minigrad.tensor(np.random.default_rng(0).normal(size=(3, 2)), requires_grad=True)
for op in (Cube.apply, cube):
    assert gradcheck(op, (point,))
    assert gradgradcheck(op, (point,))
print("both cubes agree with their numeric first and second derivatives")


# And a rule that is wrong does not get far.
@minigrad.primitive
def wrong_cube(input):
    return input * input * input


wrong_cube.vjp(input=lambda g, input: g * 2 * input * input)

try:
    gradcheck(wrong_cube, (point,))
except Exception as error:
    print(f"the wrong one: {type(error).__name__}: {str(error).splitlines()[0]}")
else:
    raise AssertionError("a wrong rule went unnoticed")
