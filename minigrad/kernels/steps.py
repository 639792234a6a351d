"""Where the steps of a recurrence lie in its arrays, and how a state goes from one to the next.

Sequences of one length are an array (T, B, ...), and step t is its row t. Sequences of different lengths are packed,
(N, ...): below each other the rows of step 0, of step 1, ..., each with those `batch_sizes[t]` sequences that are that
long, the longest first. So nothing is computed for padding, and step t is a slice. Either way `array[steps[t]]` are the
rows of step t, (b, ...), and they belong to the first b of the B sequences.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

from minigrad.backend import namespace
from minigrad.kernels.common import Array, time_order

BatchSizes: TypeAlias = Sequence[int] | None  # how many sequences each step has, never more than the step before it
Steps: TypeAlias = list[int] | list[slice]


def steps_of(input: Array, batch_sizes: BatchSizes) -> Steps:
    """What to index an array over time with, to get one step."""
    if batch_sizes is None:
        return list(range(input.shape[0]))
    return [slice(end - size, end) for size, end in zip(batch_sizes, accumulate(batch_sizes), strict=True)]


def carry(state: Array, first: Array, rows: int) -> Array:
    """The state that a step of `rows` sequences begins with, from the state the step before it ended with.

    Forwards in time sequences end, and their rows are left out; backwards in time sequences begin, from `first`.
    """
    if state.shape[0] >= rows:
        return state[:rows]
    return namespace(state).concatenate([state, first[state.shape[0] : rows]])


def starts(states: Array, first: Array, steps: Steps, reverse: bool) -> Array:
    """The state each step began with, in one array as `states`, which has those each step ended with."""
    before = [first] * len(steps)
    state = first
    for t in time_order(len(steps), reverse):
        after = states[steps[t]]
        before[t] = carry(state, first, after.shape[0])
        state = after
    if not steps:
        return states
    return namespace(states).concatenate(before).reshape(states.shape)


def ends(after: Sequence[Array], first: Array, reverse: bool) -> Array:
    """From the states after each step, that of each of the B sequences after its own last step, in its own memory."""
    if not len(after):
        return first.copy()
    final = after[0 if reverse else -1]
    if final.shape[0] == first.shape[0]:
        return final.copy()
    pieces, rows = [], 0
    for state in reversed(after):
        if state.shape[0] > rows:
            pieces.append(state[rows:])
            rows = state.shape[0]
    return namespace(first).concatenate(pieces)
