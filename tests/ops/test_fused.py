"""The hand-written pairs: equal to their composites, to numeric derivatives, and to PyTorch where it is installed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import backend
from minigrad.core.tensor import Tensor, wrap
from minigrad.ops import cells, fused, loss, norm, recurrent
from minigrad.ops.embedding import embedding_rows
from minigrad.testing import gradcheck, gradgradcheck, standin

seeds = st.integers(0, 2**32 - 1)
few = st.integers(1, 3)


@dataclass
class Call:
    """A fused op and arguments for it; None among the inputs leaves an optional one out."""

    op: Any
    inputs: list[Any]
    settings: dict[str, Any] = field(default_factory=dict)

    def differentiable(self) -> list[int]:
        """The positions of the inputs that can have a gradient."""
        classes = self.op in (loss.cross_entropy_rows, loss.linear_cross_entropy_rows)
        last = len(self.inputs) - 1 if classes else len(self.inputs)  # the class weights have none
        return [i for i, x in enumerate(self.inputs[:last]) if x is not None and x.dtype.kind == "f"]


def normal(rng: Any, *shape: int) -> Tensor:
    return minigrad.tensor(rng.standard_normal(shape))


# ---- arguments ------------------------------------------------------------------------------------------------------

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@st.composite
def sequence_calls(draw: Any, kind: str) -> Call:
    T, B, D, H, K = draw(few), draw(few), draw(few), draw(few), GATES[kind]
    rng = np.random.default_rng(draw(seeds))
    biases = [normal(rng, K * H) if draw(st.booleans()) else None for _ in range(2)]
    states = [normal(rng, B, H) for _ in range(2 if kind == "lstm" else 1)]
    settings: dict[str, Any] = {"reverse": draw(st.booleans())}
    if kind == "rnn":
        settings["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    weights = [normal(rng, K * H, D), normal(rng, K * H, H)]
    return Call(getattr(recurrent, kind), [normal(rng, T, B, D), *states, *weights, *biases], settings)


@st.composite
def cell_calls(draw: Any, kind: str) -> Call:
    B, D, H, K = draw(few), draw(few), draw(few), GATES[kind]
    rng = np.random.default_rng(draw(seeds))
    batch = (B,) if draw(st.booleans()) else ()
    biases = [normal(rng, K * H) if draw(st.booleans()) else None for _ in range(2)]
    states = [normal(rng, *batch, H) for _ in range(2 if kind == "lstm" else 1)]
    settings = {"nonlinearity": draw(st.sampled_from(["tanh", "relu"]))} if kind == "rnn" else {}
    op = cells.lstm_cell_fused if kind == "lstm" else getattr(cells, f"{kind}_cell")
    weights = [normal(rng, K * H, D), normal(rng, K * H, H)]
    return Call(op, [normal(rng, *batch, D), *states, *weights, *biases], settings)


@st.composite
def loss_calls(draw: Any, folded: bool) -> Call:
    N, C, D = draw(few), draw(st.integers(1, 5)), draw(few)
    rng = np.random.default_rng(draw(seeds))
    target = rng.integers(0, C, N)
    target[rng.random(N) < draw(st.sampled_from([0.0, 0.5]))] = -100
    target[0] = 0  # at least one row counts
    weight = minigrad.tensor(rng.random(C) + 0.1) if draw(st.booleans()) else None
    settings = {
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.3])),
    }
    if not folded:
        return Call(loss.cross_entropy_rows, [normal(rng, N, C), minigrad.tensor(target), weight], settings)
    bias = normal(rng, C) if draw(st.booleans()) else None
    inputs = [normal(rng, N, D), normal(rng, C, D), minigrad.tensor(target), bias, weight]
    return Call(loss.linear_cross_entropy_rows, inputs, settings)


@st.composite
def norm_calls(draw: Any) -> Call:
    shape = (*draw(st.lists(few, max_size=2)), 3, draw(st.integers(2, 4)))
    rng, dims = np.random.default_rng(draw(seeds)), draw(st.integers(1, 2))
    optional = [normal(rng, *shape[-dims:]) if draw(st.booleans()) else None for _ in range(2)]
    return Call(norm.layer_norm_last, [normal(rng, *shape), *optional], {"dims": dims, "eps": 1e-3})


@st.composite
def embedding_calls(draw: Any) -> Call:
    V, D = draw(few), draw(few)
    rng = np.random.default_rng(draw(seeds))
    index = minigrad.tensor(rng.integers(0, V, draw(st.lists(few, max_size=2))))
    settings = {"padding_idx": draw(st.sampled_from([None, 0])), "scale_grad_by_freq": draw(st.booleans())}
    return Call(embedding_rows, [index, normal(rng, V, D)], settings)


CALLS = {
    **{kind: sequence_calls(kind) for kind in GATES},
    **{f"{kind}_cell": cell_calls(kind) for kind in GATES},
    "cross_entropy": loss_calls(False),
    "linear_cross_entropy": loss_calls(True),
    "layer_norm": norm_calls(),
    "embedding": embedding_calls(),
}
every_op = pytest.mark.parametrize("name", CALLS)


def listed(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


# ---- equal to the composite -----------------------------------------------------------------------------------------


def gradients(function: Callable[..., Any], call: Call, wanted: tuple[int, ...], used: tuple[int, ...]) -> list[Any]:
    """The gradients of the inputs `wanted` of a fixed weighing of the outputs `used`."""
    inputs = [None if x is None else x.detach() for x in call.inputs]
    for position in wanted:
        inputs[position].requires_grad_()
    results = listed(function(*inputs, **call.settings))
    rng = np.random.default_rng(0)
    total = sum((results[place] * normal(rng, *results[place].shape)).sum() for place in used)
    total.backward()
    return [inputs[position].grad for position in wanted]


def subsets(positions: list[int]) -> list[tuple[int, ...]]:
    return [part for count in range(1, len(positions) + 1) for part in itertools.combinations(positions, count)]


@every_op
@given(data=st.data())
def test_the_value_is_the_composites(name: str, data: Any) -> None:
    call = data.draw(CALLS[name])
    results, expected = call.op(*call.inputs, **call.settings), call.op.composite(*call.inputs, **call.settings)
    for one, other in zip(listed(results), listed(expected), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)


@every_op
@given(data=st.data())
def test_the_gradients_are_the_composites_for_every_choice_of_inputs_and_outputs(name: str, data: Any) -> None:
    call = data.draw(CALLS[name])
    outputs = list(range(len(listed(call.op(*call.inputs, **call.settings)))))
    wanted = data.draw(st.sampled_from(subsets(call.differentiable())))
    for used in subsets(outputs):
        ours = gradients(call.op, call, wanted, used)
        expected = gradients(call.op.composite, call, wanted, used)
        for one, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-9, atol=1e-10)


@every_op
@given(data=st.data())
def test_numeric_gradients_of_both_orders(name: str, data: Any) -> None:
    call = data.draw(CALLS[name].filter(lambda call: call.settings.get("nonlinearity") != "relu"))
    call.settings.pop("padding_idx", None)  # a gradient left out on purpose is no derivative
    call.settings.pop("scale_grad_by_freq", None)
    inputs = [None if x is None else x.detach() for x in call.inputs]
    for position in call.differentiable():
        inputs[position].requires_grad_()

    def function(*given: Any) -> Any:
        return call.op(*given, **call.settings)

    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


@every_op
@given(data=st.data())
def test_the_inputs_and_the_flowing_gradient_are_not_written_and_backward_runs_twice(name: str, data: Any) -> None:
    call = data.draw(CALLS[name])
    inputs = [None if x is None else x.detach() for x in call.inputs]
    for position in call.differentiable():
        inputs[position].requires_grad_()
    for tensor in inputs:
        if tensor is not None:
            tensor._array.flags.writeable = False
    results = listed(call.op(*inputs, **call.settings))
    flowing = [minigrad.ones(*one.shape, dtype=one.dtype) for one in results]
    for one in flowing:
        one._array.flags.writeable = False
    wanted = [inputs[position] for position in call.differentiable()]
    first = minigrad.grad(results, wanted, flowing, retain_graph=True)
    second = minigrad.grad(results, wanted, flowing)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-14)


@every_op
@given(data=st.data())
def test_a_view_of_what_was_written_since_leads_where_it_should(name: str, data: Any) -> None:
    """Its gradient goes through what was written, which the view does not know of until it is used."""
    call = data.draw(CALLS[name])
    leaves, views = list(call.inputs), list(call.inputs)
    for position in call.differentiable():
        leaves[position] = call.inputs[position].detach().clone().requires_grad_()
        base = leaves[position] * 1
        views[position] = base[...]
        base.mul_(2)
    expected = [None if x is None else x.detach() for x in views]
    for position in call.differentiable():
        expected[position].requires_grad_()
    for inputs in (views, expected):
        results = listed(call.op(*inputs, **call.settings))
        sum([one.sum() for one in results]).backward()
    for position in call.differentiable():
        found = leaves[position].grad
        np.testing.assert_allclose(found.numpy(), 2 * expected[position].grad.numpy(), rtol=1e-9, atol=1e-11)


@every_op
@given(data=st.data())
def test_on_another_device_without_waiting(name: str, data: Any) -> None:
    standin.install()
    call = data.draw(CALLS[name])
    host = [None if x is None else x.detach() for x in call.inputs]
    away = [None if x is None else wrap(backend.transfer(x._array, "standin")) for x in call.inputs]
    for position in call.differentiable():
        host[position].requires_grad_()
        away[position].requires_grad_()
    expected = listed(call.op(*host, **call.settings))
    minigrad.core.engine.backward(expected, [one.detach() for one in expected])
    flowing = [wrap(backend.transfer(one._array, "standin")) for one in expected]
    with standin.no_synchronisation():
        results = listed(call.op(*away, **call.settings))
        minigrad.core.engine.backward(results, flowing)
    for position in call.differentiable():
        found = backend.to_host(away[position].grad._array)
        np.testing.assert_allclose(found, host[position].grad.numpy(), rtol=1e-9, atol=1e-11)


# ---- one input computed from another --------------------------------------------------------------------------------


def test_a_state_computed_from_the_input_is_counted_once() -> None:
    rng = np.random.default_rng(0)
    x, w, w_ih, w_hh = (normal(rng, *shape).requires_grad_() for shape in [(3, 2, 2), (2, 2), (8, 2), (8, 2)])

    def function(x: Tensor, w: Tensor, w_ih: Tensor, w_hh: Tensor) -> Any:
        h0 = minigrad.tanh(x.sum(0) @ w)
        return recurrent.lstm(x, h0, h0 * h0, w_ih, w_hh)

    assert gradcheck(function, (x, w, w_ih, w_hh))
    assert gradgradcheck(function, (x, w, w_ih, w_hh))


def test_one_tensor_as_two_inputs() -> None:
    rng = np.random.default_rng(1)
    x, w = normal(rng, 2, 3, 3).requires_grad_(), normal(rng, 9, 3).requires_grad_()
    assert gradcheck(lambda x, w: recurrent.gru(x, x[0], w, w), (x, w))
    assert gradgradcheck(lambda x, w: recurrent.gru(x, x[0], w, w), (x, w))


def test_steps_of_a_cell_are_the_layer() -> None:
    rng = np.random.default_rng(2)
    x, h, c = normal(rng, 4, 2, 3), normal(rng, 2, 5), normal(rng, 2, 5)
    weights = [normal(rng, *shape).requires_grad_() for shape in [(20, 3), (20, 5), (20,), (20,)]]
    output, h_n, c_n = fused.lstm(x, h, c, *weights)
    output.sum().backward()
    expected = [weight.grad.clone() for weight in weights]
    for weight in weights:
        weight.grad = None
    total = 0
    for t in range(4):
        h, c = fused.lstm_cell(x[t], (h, c), *weights)
        total = total + h.sum()
    total.backward()
    np.testing.assert_allclose(h.detach().numpy(), h_n.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(c.detach().numpy(), c_n.detach().numpy(), rtol=1e-12)
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.grad.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)


# ---- recurrent layers and layer norm against torch ------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "lstm_cell", "gru_cell", "rnn_cell"])
@given(few, few, few, few, seeds)
def test_recurrent_ops_follow_torch(name: str, T: int, B: int, D: int, H: int, seed: int) -> None:
    torch = pytest.importorskip("torch")
    kind, cell = name.removesuffix("_cell"), name.endswith("_cell")
    rng = np.random.default_rng(seed)
    module = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}[kind] + ("Cell" if cell else "")
    theirs = getattr(torch.nn, module)(D, H).double()
    parameters = [minigrad.tensor(p.detach().numpy()).requires_grad_() for p in theirs.parameters()]
    input = rng.standard_normal((B, D) if cell else (T, B, D))
    states = [rng.standard_normal((B, H)) for _ in range(2 if kind == "lstm" else 1)]
    x, s = minigrad.tensor(input), [minigrad.tensor(state) for state in states]
    given = [torch.tensor(state if cell else state[None]) for state in states]
    expected = theirs(torch.tensor(input), tuple(given) if len(given) == 2 else given[0])
    if cell:
        found = listed(getattr(fused, name)(x, tuple(s) if len(s) == 2 else s[0], *parameters))
        expected = listed(expected)
    else:
        found = getattr(fused, name)(x, *s, *parameters)
        expected = (expected[0], *[state[0] for state in listed(expected[1])])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), rtol=1e-9, atol=1e-12)
    sum((one * one).sum() for one in found).backward()
    sum((one * one).sum() for one in expected).backward()
    for ours, other in zip(parameters, theirs.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad.numpy(), other.grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.oracle
@given(norm_calls())
def test_layer_norm_follows_torch(call: Call) -> None:
    torch = pytest.importorskip("torch")
    x = call.inputs[0]
    sizes = tuple(x.shape[x.ndim - call.settings["dims"] :])
    given = [None if one is None else torch.tensor(one.numpy(), requires_grad=True) for one in call.inputs]
    inputs = [None if one is None else one.detach().requires_grad_() for one in call.inputs]
    found = fused.layer_norm(inputs[0], sizes, inputs[1], inputs[2], 1e-3)
    expected = torch.nn.functional.layer_norm(given[0], sizes, given[1], given[2], 1e-3)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    (found * found * found).sum().backward()
    (expected * expected * expected).sum().backward()
    for ours, theirs in zip(inputs, given, strict=True):
        if ours is not None:
            np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-8, atol=1e-10)


# ---- what does not fit ----------------------------------------------------------------------------------------------


def lstm_arguments(**other: Any) -> list[Any]:
    shapes = {"input": (3, 2, 4), "h0": (2, 5), "c0": (2, 5), "w_ih": (20, 4), "w_hh": (20, 5)}
    shapes |= {"b_ih": (20,), "b_hh": (20,), **other}
    return [minigrad.ones(*shape) for shape in shapes.values()]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"w_ih": (20, 3)}, r"w_ih has shape \(20, 3\), with input \(3, 2, 4\) and hidden size 5.*must be \(20, 4\)"),
        ({"c0": (3, 5)}, r"c0 has shape \(3, 5\).*must be \(2, 5\)"),
        ({"b_hh": (5,)}, r"b_hh has shape \(5,\).*must be \(20,\)"),
        ({"input": (2, 4)}, r"input must be \(T, B, I\)"),
        ({"input": (0, 2, 4)}, "has no steps"),
    ],
)
def test_recurrent_shapes_are_named(other: Any, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        fused.lstm(*lstm_arguments(**other))


def test_recurrent_dtypes_and_words_are_named() -> None:
    x, *rest = lstm_arguments()
    with pytest.raises(RuntimeError, match="input is float64 and h0 float32"):
        fused.lstm(x.double(), *rest)
    with pytest.raises(RuntimeError, match="nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"):
        fused.rnn(x, rest[0], minigrad.ones(5, 4), minigrad.ones(5, 5), nonlinearity="sigmoid")
    with pytest.raises(RuntimeError, match=r"gru_cell: input must be \(B, I\) or \(I\)"):
        fused.gru_cell(x, rest[0], minigrad.ones(15, 4), minigrad.ones(15, 5))


def test_layer_norm_misfits() -> None:
    x = minigrad.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"must end in normalized_shape \(2,\)"):
        fused.layer_norm(x, 2)
    with pytest.raises(RuntimeError, match=r"weight is float32 of shape \(2,\)"):
        fused.layer_norm(x, 3, minigrad.ones(2))


@pytest.mark.parametrize("H", [5, 7])  # cut into a gate more, fewer units would give the same pieces
@pytest.mark.parametrize(("kind", "gates"), [("lstm", 4), ("gru", 3)])
def test_a_step_cuts_its_gates_apart(kind: str, gates: int, H: int) -> None:
    rng = np.random.default_rng(0)
    x, *state = (normal(rng, 2, 1, 3), *(normal(rng, 1, H) for _ in range(2 if kind == "lstm" else 1)))
    weights = normal(rng, gates * H, 3), normal(rng, gates * H, H)
    for found, expected in zip(
        getattr(fused, kind)(x, *state, *weights), getattr(recurrent, f"{kind}_steps")(x, *state, *weights)
    ):
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_the_slope_of_relu_is_0_at_0_in_a_cell() -> None:
    h = minigrad.zeros(1, 2, requires_grad=True)
    weights = minigrad.eye(2), minigrad.eye(2)
    cells.rnn_cell(minigrad.zeros(1, 2), h, *weights, nonlinearity="relu").sum().backward()
    np.testing.assert_array_equal(h.grad.numpy(), np.zeros((1, 2)))
