"""Sequential, ModuleList, ModuleDict and ParameterList behave as Python's list and dict."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from nn.oracle import close, torch

operations = st.lists(
    st.one_of(
        st.just(("append",)),
        st.tuples(st.just("insert"), st.integers(-6, 6)),
        st.tuples(st.just("pop"), st.integers(-4, 4)),
        st.tuples(st.just("set"), st.integers(-4, 4)),
        st.tuples(st.just("delete slice"), st.integers(-4, 4), st.integers(-4, 4)),
        st.tuples(st.just("extend"), st.integers(0, 3)),
    ),
    max_size=12,
)


def perform(target: Any, operation: tuple[Any, ...], fresh: Any) -> Any:
    name, *where = operation
    if name == "append":
        return target.append(fresh[0])
    if name == "insert":
        return target.insert(where[0], fresh[0])
    if name == "pop":
        return target.pop(where[0])
    if name == "set":
        target[where[0]] = fresh[0]
    elif name == "extend":
        target.extend(fresh[: where[0]])
    else:
        del target[where[0] : where[1]]
    return None


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
@given(operations=operations)
def test_a_row_of_modules_behaves_as_a_list(kind: Any, operations: list[tuple[Any, ...]]) -> None:
    ours, model = kind(), []
    for operation in operations:
        fresh = [nn.Tanh() for _ in range(3)]
        try:
            expected = perform(model, operation, fresh)
        except IndexError:
            with pytest.raises(IndexError):
                perform(ours, operation, fresh)
            continue
        result = perform(ours, operation, fresh)
        assert operation[0] != "pop" or result is expected
        assert list(ours) == model
        assert len(ours) == len(model)
        assert [name for name, _ in ours.named_modules()][1:] == [str(i) for i in range(len(model))]
        for index in range(-len(model), len(model)):
            assert ours[index] is model[index]
        assert list(ours[1:-1]) == model[1:-1]
        assert type(ours[::2]) is kind
        assert list(ours.children()) == model
    assert all(module in ours for module in model)
    assert nn.ReLU() not in ours


def test_sequential_is_composition() -> None:
    minigrad.manual_seed(0)
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    x = minigrad.randn(4, 2)
    close(nn.Sequential(first, nn.Tanh(), second)(x), second(first(x).tanh()))
    assert nn.Sequential()(x) is x


def test_sequential_of_names() -> None:
    row = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), squash=nn.Tanh(), out=nn.Linear(3, 1)))
    assert list(row.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert row.hidden is row[0]
    assert [name for name, _ in row[1:].named_children()] == ["squash", "out"]


def test_module_dict() -> None:
    modules = nn.ModuleDict({"a": nn.Tanh(), "b": nn.Linear(1, 1)})
    modules["c"] = nn.ReLU()
    assert list(modules) == modules.keys() == ["a", "b", "c"]
    assert [type(module).__name__ for module in modules.values()] == ["Tanh", "Linear", "ReLU"]
    assert dict(modules.items())["b"] is modules["b"]
    assert "a" in modules
    assert len(modules) == 3
    assert isinstance(modules.pop("a"), nn.Tanh)
    del modules["c"]
    assert list(modules.state_dict()) == ["b.weight", "b.bias"]
    with pytest.raises(KeyError):
        modules["a"]
    with pytest.raises(KeyError):
        del modules["training"]
    with pytest.raises(KeyError, match="'keys' already"):
        modules["keys"] = nn.Tanh()
    modules.clear()
    assert len(modules) == 0


def test_parameter_list() -> None:
    values = nn.ParameterList([nn.Parameter(minigrad.ones(2)), minigrad.zeros(3)])
    values.append(nn.Parameter(minigrad.ones(1)))
    assert [name for name, _ in values.named_parameters()] == ["0", "1", "2"]
    assert all(isinstance(value, nn.Parameter) for value in values)
    assert values[-1] is values[2]
    assert len(values[:2]) == 2
    values[-1] = minigrad.full((2,), 5.0)
    np.testing.assert_array_equal(values[2].detach().numpy(), [5, 5])
    with pytest.raises(IndexError):
        values[3]
    assert "(0): Parameter containing: [float32 of size 2]" in repr(values)


@pytest.mark.oracle
def test_repr_is_pytorchs() -> None:
    def build(library: Any) -> Any:
        return library.ModuleDict(
            {
                "list": library.ModuleList(
                    [
                        library.Linear(2, 2),
                        library.Linear(2, 2),
                        library.Sequential(library.Tanh()),
                        library.Dropout(0.1),
                    ]
                ),
                "empty": library.ModuleList(),
                "dict": library.ModuleDict(),
            }
        )

    assert repr(build(nn)) == repr(build(torch().nn))
