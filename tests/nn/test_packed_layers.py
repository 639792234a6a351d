"""RNN, LSTM and GRU on packed sequences: each one alone, PyTorch, what padding cannot do, and the graph's size."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from minigrad.nn.utils import weight_drop
from minigrad.nn.utils.rnn import pack_padded_sequence, pad_sequence
from nn.oracle import array, close, runs_on_standin, same_weights, tensor_in, torch
from nn.sequences import Array, is_sorted, lengths_of, padded_of

kinds = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    """The settings of a layer, and a batch of sequences."""
    return {
        "settings": {
            "num_layers": draw(st.integers(1, 2)),
            "bias": draw(st.booleans()),
            "bidirectional": draw(st.booleans()),
        },
        "lengths": draw(lengths_of()),
        "I": draw(st.integers(1, 3)),
        "H": draw(st.integers(1, 3)),
        "P": draw(st.sampled_from([0, 0, 1])),  # the projection of an LSTM
        "stateful": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def projection(kind: str, case: dict[str, Any]) -> int:
    return case["P"] if kind == "LSTM" and case["P"] < case["H"] else 0


def make(library: Any, kind: str, case: dict[str, Any]) -> Any:
    extra = {"proj_size": projection(kind, case)} if kind == "LSTM" else {}
    return getattr(library, kind)(case["I"], case["H"], **case["settings"], **extra).double()


def arrays_of(kind: str, case: dict[str, Any]) -> list[Array]:
    """The padded input (T, B, I), and the first states (L*D, B, H) if the case has some."""
    rng = np.random.default_rng(case["seed"] + 1)
    settings = case["settings"]
    places = settings["num_layers"] * (2 if settings["bidirectional"] else 1)
    widths = [projection(kind, case) or case["H"], case["H"]][: 2 if kind == "LSTM" else 1]
    widths = widths if case["stateful"] else []
    states = [rng.normal(size=(places, len(case["lengths"]), width)) for width in widths]
    return [padded_of(case["lengths"], case["I"], case["seed"]), *states]


def parts_of(last: Any) -> list[Any]:
    return list(last) if isinstance(last, tuple) else [last]


def run(kind: str, module: Any, rnn: Any, lengths: list[int], x: Any, *states: Any) -> list[Any]:
    """(padded output, every last state) by way of a packed sequence."""
    packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=is_sorted(lengths))
    output, last = module(packed, None if not states else states if kind == "LSTM" else states[0])
    return [rnn.pad_packed_sequence(output)[0], *parts_of(last)]


def weighed(library: Any, results: list[Any]) -> Any:
    """One number in which every element of the results counts differently."""
    total = 0
    for position, result in enumerate(results):
        weights = np.cos(np.arange(np.prod(tuple(result.shape)), dtype=float) + position).reshape(tuple(result.shape))
        total = total + (result * tensor_in(library, weights)).sum()
    return total


@kinds
@given(case=layers())
def test_packed_is_each_sequence_alone(kind: str, case: dict[str, Any]) -> None:
    """Values, and gradients: of the input, the states and the weights."""
    module, values = make(nn, kind, case), arrays_of(kind, case)
    tensors = [tensor_in(minigrad, one, True) for one in values]
    found = run(kind, module, nn.utils.rnn, case["lengths"], *tensors)
    weighed(minigrad, found).backward()
    found += [tensor.grad for tensor in tensors] + [parameter.grad for parameter in module.parameters()]

    module.zero_grad()
    tensors = [tensor_in(minigrad, one, True) for one in values]
    alone = []
    for b, length in enumerate(case["lengths"]):
        first = [part[:, b] for part in tensors[1:]]
        output, last = module(
            tensors[0][:length, b], None if not first else tuple(first) if kind == "LSTM" else first[0]
        )
        alone.append([output, *parts_of(last)])
    outputs, *lasts = zip(*alone)
    expected = [pad_sequence(outputs), *(minigrad.stack(last, dim=1) for last in lasts)]
    weighed(minigrad, expected).backward()
    expected += [tensor.grad for tensor in tensors] + [parameter.grad for parameter in module.parameters()]
    for one, other in zip(found, expected, strict=True):
        close(one, other, 1e-10)


@kinds
@pytest.mark.oracle
@given(case=layers())
def test_results_and_gradients_are_pytorchs(kind: str, case: dict[str, Any]) -> None:
    ours, theirs = make(nn, kind, case), make(torch().nn, kind, case)
    same_weights(ours, theirs)
    results = []
    for library, module in ((minigrad, ours), (torch(), theirs)):
        tensors = [tensor_in(library, one, True) for one in arrays_of(kind, case)]
        found = run(kind, module, library.nn.utils.rnn, case["lengths"], *tensors)
        weighed(library, found).backward()
        results.append(found + [one.grad for one in tensors] + [parameter.grad for parameter in module.parameters()])
    for one, other in zip(*results, strict=True):
        close(one, other, 1e-9)


@kinds
@pytest.mark.oracle
@pytest.mark.parametrize("lengths", [[3, 1, 2], [2, 2]])
def test_second_gradients_are_pytorchs(kind: str, lengths: list[int]) -> None:
    case = {
        "settings": {"bidirectional": True},
        "lengths": lengths,
        "I": 2,
        "H": 2,
        "P": 0,
        "stateful": True,
        "seed": 3,
    }
    case["settings"] |= {"num_layers": 1, "bias": True}
    ours, theirs = make(nn, kind, case), make(torch().nn, kind, case)
    same_weights(ours, theirs)
    results = []
    for library, module in ((minigrad, ours), (torch(), theirs)):
        tensors = [tensor_in(library, one, True) for one in arrays_of(kind, case)]
        leaves = [*tensors, *module.parameters()]
        total = weighed(library, run(kind, module, library.nn.utils.rnn, lengths, *tensors))
        gradients = library.autograd.grad(total, leaves, create_graph=True)
        sum((gradient**2).sum() for gradient in gradients).backward()
        results.append([leaf.grad for leaf in leaves])
    for one, other in zip(*results, strict=True):
        close(one, other, 1e-8)


@kinds
@pytest.mark.parametrize("lengths", [[4, 2, 2, 1], [1, 3, 2], [2, 2]])
def test_padding_has_no_influence_and_no_gradient(kind: str, lengths: list[int]) -> None:
    module = getattr(nn, kind)(2, 3, num_layers=2, bidirectional=True).double()
    clean = padded_of(lengths, 2, 0)
    dirty = clean.copy()
    for b, length in enumerate(lengths):
        dirty[length:, b] = np.nan
    x = minigrad.tensor(dirty, requires_grad=True)
    found = run(kind, module, nn.utils.rnn, lengths, x)
    for one, other in zip(found, run(kind, module, nn.utils.rnn, lengths, minigrad.tensor(clean)), strict=True):
        np.testing.assert_array_equal(array(one), array(other))
    weighed(minigrad, found).backward()
    assert all((array(x.grad)[length:, b] == 0).all() for b, length in enumerate(lengths))
    assert all(np.isfinite(array(parameter.grad)).all() for parameter in module.parameters())


@kinds
def test_equal_lengths_are_the_padded_run_to_the_bit(kind: str) -> None:
    module, x = getattr(nn, kind)(3, 4, bidirectional=True), minigrad.randn(5, 2, 3)
    output, last = module(x)
    found = run(kind, module, nn.utils.rnn, [5, 5], x)
    for one, other in zip(found, [output, *parts_of(last)], strict=True):
        np.testing.assert_array_equal(array(one), array(other))


@kinds
def test_a_layer_and_direction_is_one_node(kind: str) -> None:
    """The graph does not grow with the number of steps."""

    def nodes(length: int) -> int:
        packed = pack_padded_sequence(minigrad.randn(length, 2, 3, requires_grad=True), [length, 1])
        output, _ = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True)(packed)
        seen, waiting = set(), [output.data.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [parent for parent, _ in node.next_functions]
        return len(seen)

    assert nodes(2) == nodes(30)


@kinds
@given(case=layers())
def test_it_runs_on_the_standin_device(kind: str, case: dict[str, Any]) -> None:
    module = make(nn, kind, case).float()
    values = [one.astype(np.float32) for one in arrays_of(kind, case)]

    def total(there: nn.Module, *tensors: Any) -> Any:
        return sum((result * result).sum() for result in run(kind, there, nn.utils.rnn, case["lengths"], *tensors))

    runs_on_standin(module, *values, call=total)


@kinds
def test_dropout_is_between_the_layers(kind: str) -> None:
    """With everything dropped, the second layer sees zeros."""
    module = getattr(nn, kind)(3, 4, num_layers=2, dropout=1.0)
    second = getattr(nn, kind)(4, 4)
    second.load_state_dict(
        {name.replace("_l1", "_l0"): value for name, value in module.state_dict().items() if "_l1" in name}
    )
    lengths = [1, 4, 2]
    found = run(kind, module, nn.utils.rnn, lengths, minigrad.randn(4, 3, 3))
    close(found[0], run(kind, second, nn.utils.rnn, lengths, minigrad.zeros(4, 3, 4))[0])
    module.eval()
    x = minigrad.randn(4, 3, 3)
    close(*[run(kind, module, nn.utils.rnn, lengths, x)[0] for _ in range(2)])


@kinds
def test_dropped_weights_serve_packed_sequences(kind: str) -> None:
    module = weight_drop(getattr(nn, kind)(3, 4), "weight_hh_l0", 1.0)
    plain = getattr(nn, kind)(3, 4)
    plain.load_state_dict(module.state_dict())
    plain.weight_hh_l0.data.zero_()
    x = minigrad.randn(3, 2, 3)
    close(*[run(kind, each, nn.utils.rnn, [3, 1], x)[0] for each in (module, plain)])


@kinds
def test_what_does_not_fit_a_layer(kind: str) -> None:
    module = getattr(nn, kind)(5, 3)
    with pytest.raises(RuntimeError, match=rf"{kind}: .*\(N, I\) with input_size=5 features, got shape \(4, 2\)"):
        module(pack_padded_sequence(minigrad.zeros(3, 2, 2), [3, 1]))
    packed, wrong = pack_padded_sequence(minigrad.zeros(3, 2, 5), [3, 1]), minigrad.zeros(1, 3, 3)
    with pytest.raises(RuntimeError, match=rf"{kind}: h0 must have shape \(1, 2, 3\), .*got \(1, 3, 3\)"):
        module(packed, (wrong, wrong) if kind == "LSTM" else wrong)
    sizes = minigrad.tensor([2, 1])
    with pytest.raises(RuntimeError, match="add up to the 4 rows of the packed input, got"):
        module(packed._replace(batch_sizes=sizes))  # which does not look at them
    with pytest.raises(RuntimeError, match="never grow"):
        module(packed._replace(batch_sizes=minigrad.tensor([1, 3])))
