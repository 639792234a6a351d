"""Chapter 10: why long memories are hard to learn, and what helps.

The gradient goes back through time by being multiplied, at each step, by the derivative of one state by the one before:
after k steps it is a product of k matrices. Such a product shrinks or grows like a power (Bengio et al. 1994; Pascanu
et al. 2013). Here it is measured, in a plain recurrent network by the size of its weights, and in an LSTM, whose memory
is added to; then gradients explode, and are clipped.

Run it: python examples/10_gradients_through_time.py

Larger, on a text, as pictures: nlp study vanishing, nlp study exploding.

Shapes: T time steps, B texts side by side, H hidden units.
"""

import numpy as np

import minigrad
from minigrad import nn

minigrad.manual_seed(0)
T, B, H = 40, 8, 32

# ---- 1. how much of the gradient arrives k steps back ---------------------------------------------------------------


def reach(step, state):
    """The norm of the gradient of a sum at the end by the state k steps before, for k from 1, as shares of k = 1.

    `step` makes the next state from one; `state` is a tuple, of which the last tensor is what is remembered.
    """
    states = []
    for _ in range(T):
        state = tuple(part.detach().requires_grad_() for part in state) if not states else step(state)
        for part in state:
            part.retain_grad()  # the engine keeps gradients of leaves alone, unless it is asked
        states.append(state)
    state[0].sum().backward()
    norms = np.array([np.linalg.norm(state[-1].grad.numpy()) for state in reversed(states[:-1])])
    return norms / norms[0]


def per_step(norms):
    """By what a step multiplies the norm, on average (geometric mean)."""
    return (norms[-1] / norms[0]) ** (1 / (len(norms) - 1))


# A network without input and without tanh is only its matrix W: what decides is the spectral radius of W, the largest
# absolute eigenvalue. Scaled to three radii:
matrix = minigrad.randn(H, H)
radius = max(abs(np.linalg.eigvals(matrix.numpy())))
for scale in (0.8, 1.0, 1.2):
    W = matrix * float(scale / radius)
    norms = reach(lambda state: (state[0] @ W,), (minigrad.randn(B, H),))  # noqa: B023, called at once
    print(f"h W, spectral radius {scale}: {norms[-1]:.1e} of the gradient at the start, {per_step(norms):.2f} a step")
    assert abs(per_step(norms) - scale) < 0.1

# With tanh a step's derivative is that times 1 - h^2, which is at most 1: gradients vanish sooner than they explode.
print("\nof the gradient 10, 20 and 39 steps back:")
inputs = minigrad.randn(T, B, H)


def shown(name, cell, state):
    """Print how far back the gradient of a cell reaches."""
    now = iter(inputs)
    norms = reach(lambda state: as_tuple(cell(next(now), state[0] if len(state) == 1 else state)), state)
    print(f"{name:28} {norms[9]:8.1e} {norms[19]:8.1e} {norms[38]:8.1e}   {per_step(norms):.2f} a step")
    return norms


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


zeros = minigrad.zeros(B, H)
plain = shown("RNN, by h", nn.RNNCell(H, H), (zeros,))
shown("GRU, by h", nn.GRUCell(H, H), (zeros,))
lstm = nn.LSTMCell(H, H)
shown("LSTM, by its memory c", lstm, (zeros, zeros))

# What the LSTM keeps is decided by its forget gate. With a bias of 2 it is open at first (Gers et al. 2000).
with minigrad.no_grad():
    lstm.bias_ih[H : 2 * H] = 2.0  # the gates stand in the order i, f, g, o
remembering = shown("LSTM, forget gate open", lstm, (zeros, zeros))
assert remembering[-1] > 1000 * plain[-1]

# A ReLU network that starts as the identity hands its state on as it is (IRNN; Le et al. 2015).
irnn = nn.RNNCell(H, H, nonlinearity="relu")
with minigrad.no_grad():
    nn.init.eye_(irnn.weight_hh)
    nn.init.normal_(irnn.weight_ih, 0.0, 0.001)
    irnn.bias_ih.zero_()
    irnn.bias_hh.fill_(0.01)  # so that the units are alive
identity = shown("IRNN, as it starts", irnn, (zeros,))
assert abs(per_step(identity) - 1) < 0.01

# ---- 2. the cliff ---------------------------------------------------------------------------------------------------

# One unit, h <- tanh(w h + b), is to end at 0.2 after 50 steps. Where w is large the state falls to one side or the
# other, and a little change of b throws it over: the error has a cliff, and beside it the gradient is huge.
w, b = minigrad.tensor(2.0, requires_grad=True), minigrad.tensor(0.0, requires_grad=True)


def error(w, b):
    h = minigrad.tensor(0.0)
    for _ in range(50):
        h = (w * h + b).tanh()
    return (h - 0.2) ** 2


error(w, b).backward()
norm = float(np.hypot(w.grad.item(), b.grad.item()))
print(f"\nbeside the cliff the norm of the gradient is {norm:.1e}: a step of 0.01 times it leaves the page")

# Clipping keeps the direction and bounds the length (Pascanu et al. 2013): the step stays a step.
before = nn.utils.clip_grad_norm_([w, b], 1.0).item()
clipped = float(np.hypot(w.grad.item(), b.grad.item()))
print(f"clipped from {before:.1e} to {clipped:.2f}")
assert before > 1e6
assert abs(clipped - 1) < 1e-3
