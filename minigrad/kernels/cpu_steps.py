"""How a recurrence over time lies in memory for NumPy: features by sequences.

A step multiplies weights (K*H, H) by states, and has few sequences b. As `weights @ states`, with states (H, b), BLAS
reads the weights as they are; as `states @ weights.T`, with states (b, H), it first turns them, which takes as long as
the product again: for H, b = 650, 20 a step forward takes 0.30 ms and not 0.57, a step backward 0.32 and not 0.46.
And a gate is then a block of rows, one piece of memory.

So everything inside is turned: a step's states, gates and cells are blocks (F, b), each in one piece, one behind the
other. What all steps have together, for the products over the whole sequence, is (F, N), with a column for each of the
N rows of the input. The outside keeps (T, B, F), or (N, F) where sequences are packed: see `steps`.

What does not depend on the step before is done for many steps at once. A step writes into memory that is there already,
in as few calls as it can. And a sigmoid is a tanh, sigmoid(x) = tanh(x / 2) / 2 + 1/2: one tanh serves all gates.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from minigrad.kernels import memory
from minigrad.kernels.common import time_order
from minigrad.kernels.steps import BatchSizes

Array: TypeAlias = np.ndarray[Any, Any]
Spans: TypeAlias = list[slice]  # of each step among the N rows

# Rows of the input that are multiplied at a time where nothing is kept: in pieces half that long, products of 650 units
# take a tenth longer.
ROWS = 1 << 9


def flat(array: Array) -> Array:
    """All rows of all steps below each other: (T, B, F) -> (N, F), and what is packed as it is."""
    return array.reshape(-1, array.shape[-1])


def spans_of(input: Array, batch_sizes: BatchSizes) -> Spans:
    """Where the rows of each step are."""
    sizes = [input.shape[1]] * input.shape[0] if batch_sizes is None else batch_sizes
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes))]


class Blocks(list[Array]):
    """A block (F, b) for each step, one behind the other in `whole` (F*N)."""

    def __init__(self, whole: Array, F: int, spans: Spans) -> None:
        super().__init__([whole[F * span.start : F * span.stop].reshape(F, span.stop - span.start) for span in spans])
        self.whole, self.F, self.spans = whole, F, spans

    def stack(self, steps: slice, parts: int) -> Array:
        """The blocks of steps that are `alike`, as (steps, parts, F/parts * b)."""
        start = self.F * self.spans[steps.start].start
        size = self.F * rows_of(self.spans, steps)
        return self.whole[start : start + size].reshape(steps.stop - steps.start, parts, -1)


def blocks(F: int, spans: Spans, dtype: Any) -> Blocks:
    """A block (F, b) for each step, to be filled."""
    return Blocks(memory.empty((F * (spans[-1].stop if spans else 0),), dtype), F, spans)


def rows_of(spans: Spans, steps: slice) -> int:
    """How many rows the input has for these steps, which are one at least."""
    return int(spans[steps.stop - 1].stop - spans[steps.start].start)


def alike(spans: Spans, most: int) -> list[slice]:
    """All steps in pieces with equally many sequences in each step, of at most `most` rows of the input or of one step.

    What is called for a piece at once and not for each step pays for fewer calls, and finds the piece in the cache: a
    backward of an LSTM with H, b = 32, 8 takes 0.24 ms and not 0.32, with 200, 20 a thirtieth less.
    """
    pieces: list[slice] = []
    width = 0
    for t, span in enumerate(spans):
        longer = slice(pieces[-1].start, t + 1) if pieces and span.stop - span.start == width else None
        if longer is not None and rows_of(spans, longer) <= most:
            pieces[-1] = longer
        else:
            pieces.append(slice(t, t + 1))
        width = span.stop - span.start
    return pieces


def carried(state: Array, first: Array, b: int) -> Array:
    """The state (H, b) that a step begins with, from that which the step before it ended with.

    Forwards in time sequences end, and their columns are left out; backwards in time they begin, from `first` (H, B).
    """
    known = state.shape[1]
    return state[:, :b] if known >= b else np.concatenate([state, first[:, known:b]], axis=1)


def starts(after: Sequence[Array], first: Array, reverse: bool) -> list[Array]:
    """What each step began with, from what each ended with."""
    before = [first] * len(after)
    state = first
    for t in time_order(len(after), reverse):
        before[t] = carried(state, first, after[t].shape[1])
        state = after[t]
    return before


def rows(after: Sequence[Array], spans: Spans, shape: Sequence[int], dtype: Any) -> Array:
    """The blocks (H, b) of all steps as the outside has them, in memory of its own."""
    whole = memory.empty(shape, dtype)
    below = flat(whole)
    for block, span in zip(after, spans):
        below[span] = block.T
    return whole


def ends(after: Sequence[Array], first: Array, reverse: bool) -> Array:
    """The state of each sequence after its own last step, (B, H), from the steps' states and the `first` (B, H)."""
    final = first.copy()
    done = 0
    for block in after if reverse else reversed(after):
        if block.shape[1] > done:
            final[done : block.shape[1]] = block[:, done:].T
            done = block.shape[1]
    return final


def columns(each: Sequence[Array], spans: Spans, F: int, dtype: Any) -> Array:
    """The blocks (F, b) of all steps side by side, (F, N)."""
    whole = memory.empty((F, spans[-1].stop if spans else 0), dtype)
    for block, span in zip(each, spans):
        whole[:, span] = block
    return whole


def turned(state: Array) -> Array:
    """(B, H) as (H, B), or back, in memory of its own."""
    return state.T.copy()


@cache
def one_half(dtype: Any) -> Array:
    """0.5 as an array: a Python number is converted in every call, 0.3 microseconds of 0.6 for 256 gates."""
    return np.array(0.5, dtype)


def gradient_of_last(g: Array | None, like: Array) -> Array:
    """The gradient of the last state, turned, to be added to; zeros where that state was not used."""
    return np.zeros(like.shape[::-1], like.dtype) if g is None else turned(g)


# ---- products over the whole sequence -------------------------------------------------------------------------------


def project(input: Array, weight: Array, bias: Array | None) -> Array:
    """weight @ input + bias for all steps in one matrix product: (N, I) -> (K*H, N)."""
    source = flat(input)
    projected = memory.empty((weight.shape[0], source.shape[0]), source.dtype)
    np.matmul(weight, source.T, out=projected)
    if bias is not None:
        projected += bias[:, None]
    return projected


def sum_biases(b_ih: Array | None, b_hh: Array | None) -> Array | None:
    """What both add to every step."""
    if b_ih is None or b_hh is None:
        return b_hh if b_ih is None else b_ih
    return b_ih + b_hh


def input_gradient(d_gates: Array, weight: Array, shape: Sequence[int]) -> Array:
    """(K*H, N) through the input weights to the input's shape."""
    gradient = memory.empty(shape, weight.dtype)
    np.matmul(d_gates.T, weight, out=flat(gradient))
    return gradient


def weight_gradient(d_gates: Array, source: Array) -> Array:
    """The sum over all rows n of d_gates[:, n] (outer) source[n], as one matrix product; source (N, F)."""
    gradient = memory.empty((d_gates.shape[0], source.shape[1]), d_gates.dtype)
    return np.matmul(d_gates, source, out=gradient)


def recurrent_gradient(d_gates: Array, h_after: Sequence[Array], h0: Array, spans: Spans, reverse: bool) -> Array:
    """That of w_hh, (K*H, H)."""
    h_before = columns(starts(h_after, turned(h0), reverse), spans, h0.shape[1], h0.dtype)
    return weight_gradient(d_gates, h_before.T)


def bias_gradient(d_gates: Array) -> Array:
    """The sum over all rows, by BLAS: half the time of sum()."""
    return d_gates @ np.ones(d_gates.shape[1], d_gates.dtype)


# ---- a recurrence that nothing is kept of ---------------------------------------------------------------------------


def without_residuals(
    input: Array, h: Array, w_ih: Array, w_hh: Array, bias: Array | None, spans: Spans, reverse: bool,
    step: Callable[[Array, Array, int], None],
) -> Array:  # fmt: skip
    """The output of a recurrence that nothing is kept of. Its state `h` (H, B) moves along time in place, by
    step(w_hh h, what comes from the input, b), the first two (K*H, b), over the first b sequences.

    A sequence that has ended, or not begun, keeps its column meanwhile: in the end `h` holds the last states. What
    comes from the input is multiplied for ROWS rows at a time: memory is needed for the output, and for little beside.
    """
    B, height, order = h.shape[1], w_hh.shape[0], time_order(len(spans), reverse)
    output = memory.empty((*input.shape[:-1], h.shape[0]), input.dtype)
    source, below = flat(input), flat(output)
    scratch = np.empty((height * B,), input.dtype)
    count = max(1, ROWS // max(1, B))
    for at in range(0, len(order), count):
        steps = order[at : at + count]
        first, last = sorted((steps[0], steps[-1]))
        start = spans[first].start
        from_input = project(source[start : spans[last].stop], w_ih, bias)
        for t in steps:
            span = spans[t]
            b = span.stop - span.start
            z, state = scratch[: height * b].reshape(height, b), h[:, :b]
            np.matmul(w_hh, state, out=z)
            step(z, from_input[:, span.start - start : span.stop - start], b)
            below[span] = state.T
    return output
