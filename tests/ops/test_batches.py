"""Each example of a batch has the value and the gradient that it has alone, and knows nothing of its company.

Ops on numbers go through this with all others (`OpSpec.batched` tells them). Here are the ops on rows and sequences,
where the batch is a dimension of its own: the calls of their specs that are such a batch.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from specs import PUBLIC, SPECS
from specs.fused import SIZES, _cross_entropy, _layer_norm, _linear_cross_entropy, _recurrent
from specs.linalg import _linear

from minigrad.testing import OpSpec
from minigrad.testing.properties import PROPERTIES, verify
from minigrad.testing.strategies import arrays, integers, shapes

Calls = st.SearchStrategy[Any]
BY_NAME = {**{spec.name: spec for spec in SPECS}, **PUBLIC}


def _each_row(calls: Calls) -> Calls:
    """Losses before they are added up."""
    return calls.map(lambda call: (call[0], {**call[1], "reduction": "none"}))


def _of_rank(least: int, calls: Calls) -> Calls:
    """The calls whose first input has a dimension for the batch, and an example in it."""
    return calls.filter(lambda call: call[0][0].ndim >= least and len(call[0][0]))


@st.composite
def _batches_of_products(draw: st.DrawFn) -> Any:
    b, n, k, m = draw(st.integers(1, 3)), draw(SIZES), draw(SIZES), draw(SIZES)
    return [draw(arrays((b, n, k))), draw(arrays((b, k, m)))], {}


@st.composite
def _lookups(draw: st.DrawFn) -> Any:
    V, D = draw(SIZES), draw(SIZES)
    index = draw(integers(shapes(min_dims=1, max_dims=2, min_side=1), 0, V))
    return [index, draw(arrays((V, D)))], {"sparse": False}


def _whole(gates: int, states: int, **choices: Any) -> Calls:
    """Sequences of one length: of packed ones an example is no slice."""
    return _recurrent(gates, states, True, reverse=st.booleans(), **choices).filter(lambda c: "batch_sizes" not in c[1])


_SHARED = (None, None, None, None)  # two weights, two biases
_TANH = {"nonlinearity": st.just("tanh")}

# The calls, and the dimension that counts the examples in each input and output.
BATCHES: dict[str, tuple[Calls, tuple[int | None, ...], tuple[int, ...]]] = {
    "linear": (_of_rank(2, _linear()), (0, None, None), (0,)),
    "matmul": (_batches_of_products(), (0, 0), (0,)),
    "layer_norm_last": (
        _of_rank(2, _layer_norm()).filter(lambda c: c[1]["dims"] < c[0][0].ndim),
        (0, None, None),
        (0,),
    ),
    "embedding_rows": (_lookups(), (0, None), (0,)),
    "cross_entropy_rows": (_each_row(_cross_entropy()), (0, 0, None), (0,)),
    "linear_cross_entropy_rows": (_each_row(_linear_cross_entropy()), (0, None, 0, None, None), (0,)),
    "lstm": (_whole(4, 2), (1, 0, 0, *_SHARED), (1, 0, 0)),
    "gru": (_whole(3, 1), (1, 0, *_SHARED), (1, 0)),
    "rnn": (_whole(1, 1, **_TANH), (1, 0, *_SHARED), (1, 0)),
    "lstm_cell_fused": (_of_rank(2, _recurrent(4, 2, False)), (0, 0, 0, *_SHARED), (0, 0)),
    "gru_cell": (_of_rank(2, _recurrent(3, 1, False)), (0, 0, *_SHARED), (0,)),
    "rnn_cell": (_of_rank(2, _recurrent(1, 1, False, **_TANH)), (0, 0, *_SHARED), (0,)),
}


@pytest.mark.parametrize("name", BATCHES)
def test_an_example_is_the_same_in_any_company(name: str) -> None:
    calls, batched, outputs = BATCHES[name]
    known = BY_NAME[name]
    spec = OpSpec(
        known.op, known.reference, calls,
        differentiable=known.differentiable, exact=known.exact, batched=batched, batched_outputs=outputs,
    )  # fmt: skip
    verify(spec, PROPERTIES["batch_equals_one_by_one"])
