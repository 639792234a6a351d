"""Specs of the dropouts: nothing in evaluation; in training zeros, and the rest divided by what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.testing.module_spec import Batch, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays, integers, shapes

Call = tuple[dict[str, Any], list[Any]]
_SHARES = st.sampled_from([0.5, 0.25, 0.0, 1.0])


def _masked(output: Host, x: Host, p: float, constant_along: tuple[int, ...] = ()) -> None:
    """Each element is 0 or x / (1 - p), decided alike along some dimensions."""
    kept = output != 0
    scaled = x / (1 - p) if p < 1 else np.zeros_like(x)
    np.testing.assert_allclose(output, np.where(kept, scaled, 0), rtol=1e-12)
    if p == 0:
        np.testing.assert_array_equal(output, x)
    for axis in constant_along:
        assert (kept == kept.take([0], axis)).all(), f"the mask differs along dimension {axis}"


@st.composite
def _any_shape(draw: st.DrawFn) -> Call:
    return {"p": draw(_SHARES)}, [draw(arrays(shapes(), kinks=(0,)))]


@st.composite
def _sequences(draw: st.DrawFn) -> Call:
    """(T, B, F), or (T, F); at least one step, for a mask to be seen at."""
    shape = draw(shapes(min_dims=2, min_side=1))
    return {"p": draw(_SHARES)}, [draw(arrays(shape, kinks=(0,)))]


class Words(nn.Module):
    """An embedding whose words are dropped: EmbeddingDropout takes the table as an input."""

    def __init__(self, words: int, width: int, p: float) -> None:
        super().__init__()
        self.table, self.drop = nn.Embedding(words, width), nn.EmbeddingDropout(p)

    def forward(self, input: minigrad.Tensor) -> minigrad.Tensor:
        """Word numbers (...) -> (..., width)."""
        return self.drop(self.table, input)


@st.composite
def _words(draw: st.DrawFn) -> Call:
    words = draw(st.integers(1, 4))
    settings = {"words": words, "width": draw(st.integers(1, 3)), "p": draw(_SHARES)}
    return settings, [draw(integers(shapes(max_dims=2, min_side=1), 0, words))]


def _whole_words(output: Host, state: Any, index: Host, words: int, width: int, p: float) -> None:
    """A word is dropped wherever it occurs, or nowhere."""
    _masked(output, state["table.weight"][index], p, constant_along=(index.ndim,))
    for word in range(words):
        assert len(set(output[index == word].any(-1).tolist())) < 2, f"word {word} is dropped here and kept there"


class Dropped(nn.Module):
    """A linear layer that sees its weight through dropout, by `nn.utils.weight_drop`."""

    def __init__(self, inside: int, out: int, p: float) -> None:
        super().__init__()
        self.layer = nn.utils.weight_drop(nn.Linear(inside, out), "weight", p)

    def forward(self, input: minigrad.Tensor) -> minigrad.Tensor:
        """(..., inside) -> (..., out)."""
        return self.layer(input)


@st.composite
def _dropped(draw: st.DrawFn) -> Call:
    inside = draw(st.integers(1, 3))
    settings = {"inside": inside, "out": draw(st.integers(1, 3)), "p": draw(_SHARES)}
    return settings, [draw(arrays((draw(st.integers(0, 3)), inside), kinks=(0,)))]


def _some_weights(output: Host, state: Any, x: Host, inside: int, out: int, p: float) -> None:
    """Each output is that of some subset of its weights, divided by what is kept; the same for all rows."""
    weight, bias = state["layer.weight"] / max(1 - p, 1e-300), state["layer.bias"]
    subsets = np.array(list(np.ndindex(*[2] * inside)))  # 2**I, I
    for row, shift, found in zip(weight, bias, output.T, strict=True):
        possible = x @ (subsets * (0 if p == 1 else row)).T + shift  # B, 2**I
        close = np.isclose(possible, found[:, None], rtol=1e-9, atol=1e-9).all(0)
        assert close.any(), "no mask on the weights gives this output"


def _examples_first(case: ModuleCase) -> Batch | None:
    return Batch((0,), (0,)) if case.arrays()[0].ndim > 1 else None


SPECS = [
    ModuleSpec(
        nn.Dropout, _any_shape(), lambda state, x, p: x, torch="Dropout",
        noise=lambda output, state, x, p: _masked(output, x, p),
    ),
    ModuleSpec(
        nn.LockedDropout, _sequences(), lambda state, x, p: x, packs=True,
        noise=lambda output, state, x, p: _masked(output, x, p, constant_along=(0,)),
        batch=lambda case: Batch((1,), (1,)) if case.arrays()[0].ndim == 3 else None,
    ),
    ModuleSpec(
        Words, _words(), lambda state, index, **settings: state["table.weight"][index], noise=_whole_words,
        covers=nn.EmbeddingDropout,
    ),
    ModuleSpec(
        Dropped, _dropped(), lambda state, x, **settings: x @ state["layer.weight"].T + state["layer.bias"],
        noise=_some_weights, covers=nn.utils.weight_drop, batch=_examples_first,
    ),
]  # fmt: skip
