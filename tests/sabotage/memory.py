"""Faults of memory, dtype and device: what is written, shared, remembered, rounded, or read too early."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad import fused, primitive
from minigrad.backend import Array, namespace
from minigrad.core import engine
from minigrad.testing import OpSpec

from .making import Patch, Sabotage, cube, cubed, double, doubled

# ---- written --------------------------------------------------------------------------------------------------------


def doubles_in_place(g: Any) -> Any:
    """The gradient of x * 2, made in the memory of the one that flows in."""
    g *= 2
    return g


@primitive
def written(input: Array) -> Array:
    """Writes to its input."""
    input *= 2
    return input * 1


written.vjp(input=lambda g: g * 2)


@fused(composite=lambda input: input.exp())
def exp_that_scales_its_result(input: Array, *, keep: bool = False) -> Any:
    """Keeps its result, and overwrites it in backward."""
    ans = namespace(input).exp(input)
    return ans, ans


@exp_that_scales_its_result.backward
def _scales_the_result(ans: Any, g: Any, needs: Any) -> Any:
    ans *= g
    return (ans,)


@fused(composite=lambda input: input.exp())
def exp_kept_out_of_sight(input: Array, *, keep: bool = False) -> Any:
    """Keeps its result where the engine, which watches arrays, tuples, lists and dicts, does not see it."""
    ans = namespace(input).exp(input)
    return ans, SimpleNamespace(ans=ans)


exp_kept_out_of_sight.backward(lambda residuals, g, needs: (residuals.ans * g,))


# ---- shared ---------------------------------------------------------------------------------------------------------


@primitive
def lent(input: Array) -> Array:
    """Gives its input away as its result."""
    return input


lent.vjp(input=lambda g: g)

_workspace: dict[Any, Any] = {}


@fused(composite=lambda input: input * input)
def square_in_a_workspace(input: Array, *, keep: bool = False) -> Any:
    """Keeps its input in memory that the next call of this shape writes."""
    held = _workspace.setdefault((input.shape, input.dtype), input.copy())
    held[...] = input
    return input * input, held


square_in_a_workspace.backward(lambda held, g, needs: (g * 2 * held,))

_last: dict[Any, Any] = {}


@fused(composite=lambda input: input * input)
def square_of_the_last_call(input: Array, *, keep: bool = False) -> Any:
    """Saves the array that the call before this one had."""
    stale = _last.get((input.shape, input.dtype), input)
    _last[input.shape, input.dtype] = input * 1
    return input * input, stale


square_of_the_last_call.backward(lambda stale, g, needs: (g * 2 * stale,))


@primitive
def added(input: Array, other: Array) -> Array:
    """x + y: its rules hand one gradient to both."""
    return input + other


added.vjp(input=lambda g: g, other=lambda g: g)


# ---- layout, dtype, device ------------------------------------------------------------------------------------------


@primitive
def rows_only(input: Array) -> Array:
    """Takes the memory that its input lies in for the input."""
    memory = input if input.base is None or input.base.size != input.size else input.base
    return memory.reshape(input.shape) * 2


rows_only.vjp(input=lambda g: g * 2)


@fused(composite=lambda input: input * 2.0)
def doubled_of_contiguous_gradients(input: Array, *, keep: bool = False) -> Any:
    """Its backward takes the memory that the gradient lies in for the gradient."""
    return input * 2, None


@doubled_of_contiguous_gradients.backward
def _reads_all_memory(residuals: Any, g: Any, needs: Any) -> Any:
    memory = g if g.base is None or g.base.size != g.size else g.base
    return (memory.reshape(g.shape) * 2,)


@primitive
def in_float64(input: Array) -> Array:
    """Computes in float64, whatever comes in."""
    return input.astype(np.float64) * 2


in_float64.vjp(input=lambda g: g * 2)


@primitive
def on_the_host(input: Array) -> Array:
    """Calls NumPy where the array may be on another device."""
    return np.exp(input)


on_the_host.vjp(input=lambda g, ans: g * ans)


@primitive
def looks(input: Array) -> Array:
    """Reads a value, for which the host waits."""
    return input * 2 if input.size and input.reshape(-1)[:1].sum() > 100 else input * 1


looks.vjp(input=lambda g: g * 1)


def wrong_in_float32(g: Any, input: Any) -> Any:
    """3 x² in float64, 2 x² in float32."""
    return g * (2.0 if input.dtype.itemsize == 4 else 3.0) * input * input


_ADDED = OpSpec(added, lambda x, y: x + y)

SABOTAGES = [
    Sabotage(
        "a write to g",
        OpSpec(doubled(doubles_in_place), double),
        "writes_nothing",
        "read-only",
        users="in which func gives another result each time",
    ),
    Sabotage(
        "a write to the input", OpSpec(written, double), "writes_nothing", "read-only", users="Arrays are not equal"
    ),
    Sabotage(
        "a saved result overwritten in backward",
        OpSpec(exp_that_scales_its_result, np.exp, exact=False),
        "writes_nothing",
        "second backward|was written",
    ),
    Sabotage(
        "a saved result written by the user, unnoticed",
        OpSpec(exp_kept_out_of_sight, np.exp, exact=False),
        "writing_in_place_is_noticed",
        "written, unnoticed",
    ),
    Sabotage("the input as the result", OpSpec(lent, lambda x: x), "keeps_its_memory_apart", "shares memory"),
    Sabotage(
        "state shared between calls",
        OpSpec(square_in_a_workspace, lambda x: x * x, exact=False),
        "calls_are_independent",
        "after another call",
    ),
    Sabotage(
        "a stale saved array",
        OpSpec(square_of_the_last_call, lambda x: x * x, exact=False),
        "calls_are_independent",
        "after another call",
        users="square_of_the_last_call",
    ),
    Sabotage(
        "one gradient's memory in two .grad",
        _ADDED,
        "gradients_are_owned",
        "shares memory with",
        Patch(engine, "own", lambda array: np.asarray(array)),
    ),
    Sabotage(
        "a gradient overwrites another",
        _ADDED,
        "repeated_input_adds_up",
        "one tensor as inputs 0 and 1",
        Patch(engine, "_add", lambda first, second: second),
        users="is wrong in",
    ),
    Sabotage("only contiguous memory", OpSpec(rows_only, double), "layout_does_not_matter", "memory"),
    Sabotage(
        "only contiguous gradients",
        OpSpec(doubled_of_contiguous_gradients, double, exact=False),
        "gradient_layout_does_not_matter",
        "for a g that is reversed in memory",
    ),
    Sabotage(
        "wrong only in float32", OpSpec(cubed(wrong_in_float32), cube), "gradient_is_the_same_in_float32", "in float32"
    ),
    Sabotage("a wider dtype", OpSpec(in_float64, double), "equals_reference", "dtype float64, expected float32"),
    Sabotage(
        "a gradient of a wider dtype",
        OpSpec(in_float64, double),
        "gradient_has_the_inputs_dtype",
        "its gradient float64",
        users="dtype float64, expected float32",
    ),
    Sabotage("NumPy on another device", OpSpec(on_the_host, np.exp), "runs_on_another_device", "another device"),
    Sabotage("waiting for the device", OpSpec(looks, lambda x: x * 1), "runs_on_another_device", "makes the host wait"),
]
