"""LockedDropout, EmbeddingDropout and weight_drop: noise drawn once for a sequence, a word, a weight."""

from __future__ import annotations

import copy
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.core.rows import Rows
from minigrad.nn.utils import weight_drop
from minigrad.nn.utils.rnn import PackedSequence, pack_padded_sequence
from minigrad.testing import gradcheck
from nn.oracle import array, close, runs_on_standin

Array = Any
kinds = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
probabilities = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])


def share_is(kept: Array, p: float) -> None:
    """The share of what was kept is 1 - p, to six standard deviations."""
    assert abs(kept.mean() - (1 - p)) <= 6 * math.sqrt(p * (1 - p) / kept.size) + 1e-9


def first_of(result: Any) -> Any:
    """A layer's output without its last state."""
    return result[0] if isinstance(result, tuple) else result


# ---- LockedDropout --------------------------------------------------------------------------------------------------


@given(p=probabilities, T=st.integers(1, 4), batched=st.booleans(), seed=st.integers(0, 99))
def test_a_feature_is_dropped_at_all_steps_or_at_none(p: float, T: int, batched: bool, seed: int) -> None:
    minigrad.manual_seed(seed)
    x = minigrad.ones(T, *([5, 200] if batched else [1000]), requires_grad=True)
    result = nn.LockedDropout(p)(x)
    result.sum().backward()
    values = array(result)
    close(x.grad, values)
    assert (values == values[0]).all()
    assert set(np.unique(values)) <= {np.float32(0), np.float32(1 / (1 - p) if p < 1 else 0)}
    share_is(values[0] != 0, p)


def test_sequences_and_calls_are_dropped_each_by_itself() -> None:
    locked, x = nn.LockedDropout(0.5), minigrad.ones(3, 4, 100)
    first, second = array(locked(x)), array(locked(x))
    assert (first != second).any()
    assert all((first[0, b] != first[0, 0]).any() for b in range(1, 4))


def test_locked_dropout_keeps_the_mean_and_is_silent_in_evaluation() -> None:
    minigrad.manual_seed(0)
    locked, x = nn.LockedDropout(0.3), minigrad.randn(2, 3, 4)
    mean = sum(array(locked(x)) for _ in range(4000)) / 4000
    np.testing.assert_allclose(mean, array(x), atol=6 * np.abs(array(x)).max() * math.sqrt(0.3 / 0.7 / 4000))
    assert nn.LockedDropout(0)(x) is x
    assert locked.eval()(x) is x
    assert repr(locked) == "LockedDropout(p=0.3)"
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        nn.LockedDropout(1.5)
    with pytest.raises(ValueError, match=r"must be \(T, B, F\).*got shape \(3,\)"):
        nn.LockedDropout()(minigrad.zeros(3))


def test_locked_dropout_runs_on_the_standin_device() -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    runs_on_standin(nn.LockedDropout(0.4), values)

    def packed(there: nn.Module, x: Any) -> Any:
        return there(pack_padded_sequence(x, [1, 3], enforce_sorted=False)).data

    runs_on_standin(nn.LockedDropout(0.4), values, call=packed)


@given(
    p=probabilities, lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), sort=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_locked_dropout_of_packed_sequences_is_that_of_the_padded_ones(
    p: float, lengths: list[int], sort: bool, seed: int
) -> None:
    lengths = sorted(lengths, reverse=True) if sort else lengths
    values = np.random.default_rng(seed).normal(size=(max(lengths), len(lengths), 5))
    locked, results = nn.LockedDropout(p), []
    for drop_first in (True, False):
        minigrad.manual_seed(seed)
        x = minigrad.tensor(values, requires_grad=True)
        packed = pack_padded_sequence(locked(x) if drop_first else x, lengths, enforce_sorted=sort)
        dropped = packed if drop_first else locked(packed)
        assert isinstance(dropped, PackedSequence)
        (dropped.data**2).sum().backward()
        results.append([dropped.data, x.grad, *(part for part in dropped[1:] if part is not None)])
    for one, other in zip(*results, strict=True):
        close(one, other, 1e-12)


def test_dropout_and_packed_sequences() -> None:
    packed = pack_padded_sequence(minigrad.ones(3, 2, 4), [3, 1])
    assert nn.LockedDropout(0)(packed) is packed
    assert nn.LockedDropout(0.5).eval()(packed) is packed
    words = pack_padded_sequence(minigrad.zeros(3, 2), [3, 1])
    with pytest.raises(ValueError, match=r"data of the packed sequence must be \(N, F\), got shape \(4,\)"):
        nn.LockedDropout(0.5)(words)
    with pytest.raises(TypeError, match="takes a Tensor or a PackedSequence, got list"):
        nn.LockedDropout(0.5)([1.0])
    for drop in (nn.Dropout(0.5), nn.Dropout(0.5).eval(), nn.Dropout(0)):
        with pytest.raises(TypeError, match=r"got PackedSequence: .*PackedSequence\(dropout\(packed.data\), \*packed"):
            drop(packed)
    assert tuple(nn.GRU(4, 3)(PackedSequence(nn.Dropout(0.5)(packed.data), *packed[1:]))[0].data.shape) == (4, 3)


# ---- EmbeddingDropout -----------------------------------------------------------------------------------------------


@given(
    p=probabilities, sparse=st.booleans(), padding_idx=st.sampled_from([None, 0, -1]), seed=st.integers(0, 99),
    shape=st.lists(st.integers(1, 9), max_size=2),
)  # fmt: skip
def test_a_word_is_dropped_wherever_it_occurs(
    p: float, sparse: bool, padding_idx: int | None, seed: int, shape: list[int]
) -> None:
    minigrad.manual_seed(seed)
    embedding = nn.Embedding(6, 3, padding_idx=padding_idx, sparse=sparse)
    words = np.random.default_rng(seed).integers(0, 6, size=shape)
    result = nn.EmbeddingDropout(p)(embedding, minigrad.tensor(words))
    g = np.random.default_rng(seed).normal(size=(*shape, 3)).astype(np.float32)
    (result * minigrad.tensor(g)).sum().backward()
    assert isinstance(embedding.weight.grad, Rows) == sparse
    table, values, found = array(embedding.weight), array(result), array(embedding.weight.grad)
    for word in range(6):
        here = words == word
        kept = np.abs(values[here]).sum() > 0
        scale = 1 / (1 - p) if kept else 0.0
        np.testing.assert_allclose(values[here], scale * table[word] * np.ones_like(values[here]), rtol=1e-6)
        known = kept or padding_idx is None or word != padding_idx % 6
        wanted = 0 if padding_idx is not None and word == padding_idx % 6 else scale * g[here].sum(axis=0)
        assert known or not found[word].any()
        np.testing.assert_allclose(found[word], wanted, rtol=1e-5, atol=1e-6)


def test_embedding_dropout_drops_a_share_of_the_words_and_keeps_the_mean() -> None:
    minigrad.manual_seed(0)
    embedding, drop = nn.Embedding(3000, 2), nn.EmbeddingDropout(0.2)
    everything = minigrad.arange(3000)
    first, second = array(drop(embedding, everything)), array(drop(embedding, everything))
    kept = (first != 0).any(axis=1)
    share_is(kept, 0.2)
    np.testing.assert_allclose(first[kept], array(embedding.weight)[kept] / 0.8, rtol=1e-6)
    assert ((first != 0).any(axis=1) != (second != 0).any(axis=1)).any()
    assert repr(drop) == "EmbeddingDropout(p=0.2)"


def test_embedding_dropout_is_the_plain_lookup_in_evaluation_and_at_0() -> None:
    embedding, words = nn.Embedding(5, 2), minigrad.tensor([[0, 4], [1, 1]])
    for drop in (nn.EmbeddingDropout(0.9).eval(), nn.EmbeddingDropout(0)):
        close(drop(embedding, words), embedding(words))
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.EmbeddingDropout(-1)
    with pytest.raises(IndexError, match="row 5, the table has 5 rows"):
        nn.EmbeddingDropout()(embedding, minigrad.tensor([5]))


def test_embedding_dropout_draws_one_number_a_row_and_runs_on_the_standin_device() -> None:
    words = np.array([[0, 3], [2, 3]])

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.drop = nn.Embedding(4, 3), nn.EmbeddingDropout(0.5)

        def forward(self, input: Any) -> Any:
            return self.drop(self.table, input)

    runs_on_standin(Both(), words)


# ---- weight_drop ----------------------------------------------------------------------------------------------------


def dropped_layer(kind: str, p: float, **settings: Any) -> nn.Module:
    """A layer of two levels with all its hidden weights dropped."""
    layer = getattr(nn, kind)(3, 4, num_layers=2, **settings).double()
    return weight_drop(layer, [name for name, _ in layer.named_parameters() if name.startswith("weight_hh")], p)


@kinds
@given(p=probabilities, seed=st.integers(0, 99), bidirectional=st.booleans())
def test_the_weights_a_layer_sees_are_dropped_and_its_own_are_not(
    kind: str, p: float, seed: int, bidirectional: bool
) -> None:
    """The layer with masked weights gives the same; so one mask served all steps."""
    minigrad.manual_seed(seed)
    layer = dropped_layer(kind, p, bidirectional=bidirectional)
    x = minigrad.randn(4, 2, 3, dtype=minigrad.float64)
    before = {name: array(value) for name, value in layer.state_dict().items()}
    minigrad.manual_seed(seed)
    output = first_of(layer(x))
    output.sum().backward()

    minigrad.manual_seed(seed)
    plain = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=bidirectional).double()
    plain.load_state_dict(layer.state_dict())
    minigrad.manual_seed(seed)
    masks = {}
    for name, parameter in plain.named_parameters():
        if name.startswith("weight_hh"):
            masks[name] = array(nn.Dropout(p)(minigrad.ones_like(parameter)))
            parameter.data *= minigrad.tensor(masks[name])
    expected = first_of(plain(x))
    expected.sum().backward()
    close(output, expected, 1e-12)
    for (name, parameter), raw in zip(plain.named_parameters(), layer.parameters(), strict=True):
        close(raw.grad, array(parameter.grad) * masks.get(name, 1.0), 1e-12)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(array(value), before[name])


@kinds
def test_dropped_weights_change_with_each_call_and_not_in_evaluation(kind: str) -> None:
    layer, x = dropped_layer(kind, 0.5), minigrad.randn(4, 2, 3, dtype=minigrad.float64)
    assert (array(first_of(layer(x))) != array(first_of(layer(x)))).any()
    layer.eval()
    plain = getattr(nn, kind)(3, 4, num_layers=2).double().eval()
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(array(first_of(layer(x))), array(first_of(plain(x))))


@kinds
def test_the_gradient_of_a_dropped_weight_is_numerically_right(kind: str) -> None:
    layer = weight_drop(getattr(nn, kind)(2, 2).double(), "weight_hh_l0", 0.5)
    x = minigrad.randn(3, 2, 2, dtype=minigrad.float64)

    def seeded(*parameters: Any) -> Any:
        del parameters  # the layer's own, which gradcheck moves in place
        minigrad.manual_seed(3)
        return first_of(layer(x))

    gradcheck(seeded, tuple(layer.parameters()))


@kinds
def test_a_module_with_dropped_weights_is_otherwise_as_before(kind: str) -> None:
    plain = getattr(nn, kind)(3, 4, num_layers=2)
    layer = copy.deepcopy(plain)
    parameters = list(layer.parameters())
    assert weight_drop(layer, "weight_hh_l1", 0.3) is layer
    assert weight_drop(layer, ["weight_hh_l0"], 0.6) is layer
    assert list(layer.state_dict()) == list(plain.state_dict())
    assert all(one is other for one, other in zip(layer.parameters(), parameters, strict=True))
    assert isinstance(layer, type(plain))
    expected = repr(plain)[:-1] + ", weight_drop={weight_hh_l1: 0.3, weight_hh_l0: 0.6})"
    assert repr(layer) == expected
    layer.load_state_dict(plain.state_dict())
    assert [one is other for one, other in zip(layer.parameters(), parameters, strict=True)] == [True] * 8


def test_a_copy_drops_its_own_weights() -> None:
    layer = weight_drop(nn.Linear(3, 4), "weight", 1.0)
    twin = copy.deepcopy(layer)
    twin.bias.data.fill_(7.0)
    close(twin(minigrad.ones(3)), np.full(4, 7, dtype=np.float32))
    assert (array(layer(minigrad.ones(3))) != 7).all()
    twin(minigrad.ones(3)).sum().backward()
    assert twin.weight.grad is not None
    assert layer.weight.grad is None


def test_the_parameters_are_back_when_forward_fails() -> None:
    layer = weight_drop(nn.LSTM(3, 4), ["weight_hh_l0", "bias_hh_l0"], 0.5)
    own = dict(layer.named_parameters())
    with pytest.raises(RuntimeError, match="input_size=3"):
        layer(minigrad.zeros(2, 2, 5))
    assert all(layer.__dict__[name] is parameter for name, parameter in own.items())


def test_any_module_that_reads_its_parameter_can_be_dropped() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(minigrad.ones(1000))
            self.missing: Any = None
            self.register_parameter("nothing", None)

        def forward(self, input: Any) -> Any:
            return input * self.factor

    minigrad.manual_seed(0)
    module = weight_drop(Scale(), "factor", 0.25)
    seen: list[Any] = []
    module.register_forward_hook(lambda module, args, output: seen.append(module.factor))
    values = array(module(minigrad.ones(1)))
    share_is(values != 0, 0.25)
    assert seen[0] is module.factor  # hooks run outside: they see the parameter itself
    for name in ("factors", "missing", "nothing", "factor.x"):
        with pytest.raises(AttributeError, match=rf"Scale has no parameter '{name}' of its own: it has factor"):
            weight_drop(module, name)


@pytest.mark.parametrize("names", [["weight"], ["bias", "weight"], ["bias", "bias"]])
def test_a_parameter_is_dropped_once(names: list[str]) -> None:
    layer = weight_drop(nn.Linear(3, 4), "weight", 0.5)
    with pytest.raises(RuntimeError, match=f"'{names[-1]}' of this Linear is dropped already: name each parameter"):
        weight_drop(layer, names)
    assert repr(layer).endswith("weight_drop={weight: 0.5})")  # nothing has changed
    with pytest.raises(ValueError, match="between 0 and 1"):
        weight_drop(layer, "bias", 2)


@kinds
def test_weight_drop_runs_on_the_standin_device(kind: str) -> None:
    layer = dropped_layer(kind, 0.5).float()
    x = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    runs_on_standin(layer, x, call=lambda there, input: first_of(there(input)))
