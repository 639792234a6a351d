"""Chapter 3: a loop over vectors against one matrix, timed.

The same numbers come out either way. The time does not: an op costs a microsecond or so before it computes anything,
and a product of matrices uses the processor as a thousand products with a vector cannot.

Run it: python examples/03_loops_against_one_matrix.py
"""

import time

import numpy as np

import minigrad
from minigrad import nn

minigrad.manual_seed(0)


def timed(function, rounds=5):
    """The shortest of several runs, in milliseconds, and the last result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = function()
        times.append(1000 * (time.perf_counter() - start))
    return min(times), result


def compare(what, slow, fast):
    """Time two ways to compute the same, check that it is the same, and print how they compare."""
    (slow_ms, expected), (fast_ms, result) = timed(slow), timed(fast)
    for one, other in zip(expected, result, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), rtol=2e-3, atol=1e-4)
    print(f"{what:50}  {slow_ms:8.2f} ms  {fast_ms:8.2f} ms  {slow_ms / fast_ms:6.1f} times faster")


print(f"{'':50}  {'loop':>11}  {'at once':>11}")

# ---- a weight matrix and 500 word vectors ---------------------------------------------------------------------------

D, H, N = 300, 100, 500  # size of a word vector, of the layer; how many words
W = minigrad.randn(H, D) / D**0.5
words = minigrad.randn(N, D)
vectors = list(words)  # one tensor each

compare(
    "W times 500 word vectors",
    lambda: [minigrad.stack([W @ vector for vector in vectors])],
    lambda: [words @ W.T],
)

# ---- and its gradient -----------------------------------------------------------------------------------------------

# The loop's graph has a node for each vector, and each sends a whole matrix back to W, to be added up. One product
# sends one matrix: the sum over the vectors is inside it.
W.requires_grad_()


def loop_gradient():
    loss = sum((W @ vector).tanh().sum() for vector in vectors)
    return minigrad.grad(loss, W)


compare(
    "the same through tanh, with the gradient of W", loop_gradient, lambda: minigrad.grad((words @ W.T).tanh().sum(), W)
)

# ---- sentences side by side -----------------------------------------------------------------------------------------

# Time steps depend on each other, so that a loop over time has to be. Sentences do not: B of them go through a
# recurrent network together, each step one product for all.
T, B = 20, 32
cell = nn.LSTMCell(64, 64)
sentences = minigrad.randn(T, B, 64)


def steps(inputs):
    """The cell over T steps of inputs (T, ..., 64): the last state."""
    state = None
    for input in inputs:
        state = cell(input, state)
    return state[0]


compare(
    f"an LSTM over {B} sentences, one by one or together",
    lambda: [minigrad.stack([steps(sentences[:, i]) for i in range(B)])],
    lambda: [steps(sentences)],
)

# ---- and the loop over time inside one op ---------------------------------------------------------------------------

# What is left of the loop can at least be one node. The layer takes the products with the inputs out of the loop, as
# one for all steps, and goes back through time in a hand-written loop of its own.
layer = nn.LSTM(64, 64)
for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
    getattr(layer, f"{name}_l0").data.copy_(getattr(cell, name).data)

compare(
    "its gradient, by a cell in a loop or by the layer",
    lambda: minigrad.grad(steps(sentences).sum(), list(cell.parameters())),
    lambda: minigrad.grad(layer(sentences)[1][0].sum(), list(layer.parameters())),
)
