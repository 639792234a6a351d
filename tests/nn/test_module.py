"""Module: what it registers, how it is walked through, saved, moved and shown."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
from minigrad import nn
from nn.oracle import array, close, torch


class Net(nn.Module):
    """Two layers, a buffer that is saved and one that is not, and a parameter left out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(minigrad.tensor([2.0]))
        self.second = nn.Sequential(nn.Tanh(), nn.Linear(4, 2, bias=False))
        self.register_buffer("count", minigrad.tensor([7]))
        self.register_buffer("scratch", minigrad.tensor([0.5]), persistent=False)
        self.register_parameter("absent", None)

    def forward(self, input: Any) -> Any:
        return self.second(self.first(input)) * self.scale


# ---- registration ---------------------------------------------------------------------------------------------------


def test_assignment_registers_in_pytorchs_order() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "second.1.weight"]
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"]
    assert list(net.state_dict()) == ["scale", "count", "first.weight", "first.bias", "second.1.weight"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert net.absent is None


def test_a_name_belongs_to_one_table() -> None:
    net = Net()
    del net.first
    net.first = nn.Parameter(minigrad.ones(2))
    assert "first" in dict(net.named_parameters())
    assert "first" not in dict(net.named_children())
    net.first = nn.Linear(1, 1)
    assert "first" not in dict(net.named_parameters())
    net.first = None
    assert "first" not in dict(net.named_children())
    net.first = nn.Linear(1, 1)
    assert "first" in dict(net.named_children())


def test_forgetting_super_init_is_explained() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    class Unready(nn.Module):
        def __init__(self) -> None:
            self.size = 3

    with pytest.raises(AttributeError, match=r"Forgetful.*'layer'.*super\(\).__init__\(\)"):
        Forgetful()
    with pytest.raises(AttributeError, match=r"Unready.*super\(\).__init__\(\)"):
        list(Unready().parameters())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("scale", minigrad.tensor([1.0]), r"Net.scale is a parameter.*nn.Parameter"),
        ("scale", 1.0, r"Net.scale is a parameter"),
        ("first", minigrad.tensor([1.0]), r"Net.first is a submodule"),
        ("count", 3, r"Net.count is a buffer"),
    ],
)
def test_what_is_registered_keeps_its_kind(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        setattr(Net(), name, value)


def test_a_buffer_may_be_replaced_by_a_tensor() -> None:
    net = Net()
    net.count = minigrad.tensor([8])
    assert net.state_dict()["count"].item() == 8


@pytest.mark.parametrize("name", ["", "a.b", "forward"])
def test_bad_names_are_refused(name: str) -> None:
    for register in (nn.Module.register_parameter, nn.Module.register_buffer, nn.Module.register_module):
        with pytest.raises(KeyError):
            register(nn.Module(), name, None)


def test_registering_what_does_not_fit_is_refused() -> None:
    module = nn.Module()
    with pytest.raises(TypeError, match=r"nn.Parameter or None, got Tensor"):
        module.register_parameter("p", minigrad.ones(1))
    with pytest.raises(TypeError, match="Tensor or None, got int"):
        module.register_buffer("b", 3)
    with pytest.raises(TypeError, match="Module or None, got int"):
        module.add_module("m", 3)


def test_a_missing_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'third'"):
        Net().third  # noqa: B018
    assert not hasattr(Net(), "third")


def test_forward_must_be_defined() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


def test_parameter_is_a_leaf_that_shares_memory() -> None:
    data = minigrad.zeros(3)
    parameter = nn.Parameter(data)
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert isinstance(parameter, minigrad.Tensor)
    data.fill_(5)
    close(parameter, np.full(3, 5, np.float32))
    assert parameter._version == data._version
    parameter.note = "tensors refuse this"
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(minigrad.tensor([1]))
    with pytest.raises(TypeError, match="made of a Tensor"):
        nn.Parameter([1.0])


# ---- walking, sharing, copying --------------------------------------------------------------------------------------


def test_tied_weights_are_one_parameter_under_two_names() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Embedding(5, 3)
            self.decoder = nn.Linear(3, 5)
            self.decoder.weight = self.encoder.weight

    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["encoder.weight", "decoder.bias"]
    assert "decoder.weight" in dict(model.named_parameters(remove_duplicate=False))
    assert list(model.state_dict()) == ["encoder.weight", "decoder.weight", "decoder.bias"]
    model.decoder(model.encoder(minigrad.tensor([1]))).sum().backward()
    assert model.encoder.weight.grad is model.decoder.weight.grad
    other = copy.deepcopy(model)
    assert other.encoder.weight is other.decoder.weight
    assert other.encoder.weight is not model.encoder.weight
    model.double()
    assert model.encoder.weight is model.decoder.weight
    assert model.decoder.weight.dtype == minigrad.float64


def test_a_module_used_twice_comes_once() -> None:
    layer = nn.Linear(2, 2)
    row = nn.Sequential(layer, nn.Tanh(), layer)
    assert len(list(row.parameters())) == 2
    assert [name for name, _ in row.named_modules()] == ["", "0", "1"]
    assert list(row.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(row) == 3


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "Tanh", "Linear", "Sequential", "Net"]


def test_train_and_eval_reach_everything() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="True or False"):
        net.train("yes")  # type: ignore[arg-type]


def test_deepcopy_is_independent() -> None:
    net = Net()
    net(minigrad.ones(1, 3)).sum().backward()
    other = copy.deepcopy(net)
    for mine, copied in zip(net.parameters(), other.parameters(), strict=True):
        assert isinstance(copied, nn.Parameter)
        close(copied, mine)
        close(copied.grad, mine.grad)
        assert not np.shares_memory(mine._array, copied._array)


def test_get_submodule_and_parameter() -> None:
    net = Net()
    assert net.get_submodule("second.1") is net.second[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("second.1.weight") is net.second[1].weight
    with pytest.raises(AttributeError, match="no submodule 'third'"):
        net.get_submodule("second.third")
    with pytest.raises(AttributeError, match="no parameter 'count'"):
        net.get_parameter("count")


def test_a_module_is_freed_without_the_collector() -> None:
    gc.disable()
    try:
        net = Net()
        net(minigrad.ones(1, 3)).sum().backward()
        ghosts = [weakref.ref(net), *(weakref.ref(parameter) for parameter in net.parameters())]
        del net
        assert all(ghost() is None for ghost in ghosts)
    finally:
        gc.enable()


# ---- gradients, dtypes, devices -------------------------------------------------------------------------------------


def test_zero_grad() -> None:
    net = Net()
    net(minigrad.ones(1, 3)).sum().backward()
    held = net.scale.grad
    net.zero_grad(set_to_none=False)
    assert net.scale.grad is held
    assert not array(held).any()
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_requires_grad() -> None:
    net = Net()
    assert not any(parameter.requires_grad for parameter in net.requires_grad_(False).parameters())
    assert not net(minigrad.ones(1, 3)).requires_grad
    assert all(parameter.requires_grad for parameter in net.requires_grad_().parameters())


def test_to_converts_in_place_and_keeps_integers() -> None:
    net = Net()
    net(minigrad.ones(1, 3)).sum().backward()
    parameters = list(net.parameters())
    assert net.to(minigrad.float64) is net
    assert all(one is other for one, other in zip(net.parameters(), parameters, strict=True))
    assert {parameter.dtype for parameter in parameters} == {minigrad.float64}
    assert {parameter.grad.dtype for parameter in parameters} == {minigrad.float64}
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in parameters)
    assert net.count.dtype == minigrad.int64
    net(minigrad.ones(1, 3, dtype=minigrad.float64)).sum().backward()
    assert net.float().scale.dtype == minigrad.float32
    assert net.half().scale.dtype == minigrad.float16
    assert net.to(minigrad.ones(1)).scale.dtype == minigrad.float32
    assert net.to("cpu", minigrad.float64).scale.dtype == minigrad.float64
    with pytest.raises(TypeError, match="floating point"):
        net.to(minigrad.int64)


def test_to_another_device_and_back() -> None:
    from minigrad.testing import standin

    standin.install()
    net = Net()
    before = {name: array(value) for name, value in net.state_dict().items()}
    net(minigrad.ones(1, 3)).sum().backward()
    net.to("standin")
    everything = [*net.parameters(), *net.buffers(), *(parameter.grad for parameter in net.parameters())]
    assert {tensor.device.type for tensor in everything} == {"standin"}
    for name, value in net.cpu().state_dict().items():
        np.testing.assert_array_equal(array(value), before[name])


# ---- state ----------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_is_detached() -> None:
    net = Net()
    state = net.state_dict(prefix="model.")
    assert not any(value.requires_grad for value in state.values())
    state["model.scale"].fill_(9)
    assert net.scale.item() == 9
    assert net.state_dict(keep_vars=True)["scale"] is net.scale


def test_load_state_dict_copies_and_counts_the_write() -> None:
    net, other = Net(), Net()
    loss = other(minigrad.ones(1, 3)).sum()
    result = other.load_state_dict(net.state_dict())
    assert result == ([], [])
    for name, value in other.state_dict().items():
        close(value, net.state_dict()[name])
    assert not np.shares_memory(net.scale._array, other.scale._array)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_load_state_dict_converts_to_the_models_dtype() -> None:
    net = Net()
    net.load_state_dict(Net().double().state_dict())
    assert net.scale.dtype == minigrad.float32


def test_load_state_dict_can_assign() -> None:
    net, state = Net(), Net().double().state_dict()
    net.load_state_dict(state, assign=True)
    assert net.scale.dtype == minigrad.float64
    assert np.shares_memory(net.scale._array, state["scale"]._array)
    assert net.scale.requires_grad


def test_load_state_dict_says_everything_and_changes_nothing() -> None:
    net = Net()
    before = {name: array(value) for name, value in net.state_dict().items()}
    state = {name: value.detach() + 1 for name, value in net.state_dict().items()}
    state["third"] = state.pop("scale")
    state["first.weight"] = minigrad.ones(3, 4)
    state["first.bias"] = [1, 2, 3, 4]  # type: ignore[assignment]
    with pytest.raises(RuntimeError) as raised:
        net.load_state_dict(state)
    sentence = str(raised.value)
    assert "Error(s) in loading state_dict for Net" in sentence
    assert 'Missing key(s) in state_dict: "scale"' in sentence
    assert 'Unexpected key(s) in state_dict: "third"' in sentence
    assert "size mismatch for first.weight" in sentence
    assert "(3, 4)" in sentence
    assert "(4, 3)" in sentence
    assert '"first.bias" must be a Tensor' in sentence
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(array(value), before[name])


def test_load_state_dict_not_strict() -> None:
    net = Net()
    missing, unexpected = net.load_state_dict(
        {"scale": minigrad.tensor([3.0]), "third": minigrad.ones(1)}, strict=False
    )
    assert missing == ["count", "first.weight", "first.bias", "second.1.weight"]
    assert unexpected == ["third"]
    assert net.scale.item() == 3
    with pytest.raises(TypeError, match="dictionary"):
        net.load_state_dict([1])  # type: ignore[arg-type]


# ---- hooks ----------------------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace() -> None:
    layer = nn.Linear(2, 2)
    seen: list[Any] = []
    before = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    after = layer.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    x = minigrad.ones(1, 2)
    expected = array(layer.forward(x * 2))
    close(layer(x), expected)
    assert seen[0][0] is layer
    close(seen[0][1][0], array(x) * 2)
    before.remove()
    before.remove()
    close(layer(x), array(layer.forward(x)))
    after.remove()
    layer.register_forward_hook(lambda module, args, output: output + 1)
    layer.register_forward_hook(lambda module, args, output: output * 10, prepend=True)
    close(layer(x), array(layer.forward(x)) * 10 + 1)
    assert len(seen) == 2


def test_hooks_with_kwargs() -> None:
    class Adds(nn.Module):
        def forward(self, x: Any, *, bias: Any = 0) -> Any:
            return x + bias

    module = Adds()
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"bias": kwargs["bias"] + 1}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, out: out * kwargs["bias"], with_kwargs=True)
    assert module(2, bias=4) == (2 + 5) * 5


# ---- beside PyTorch -------------------------------------------------------------------------------------------------

leaves = st.sampled_from(["Linear", "Embedding", "LSTM", "LayerNorm", "Tanh"])
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def build(library: Any, tree: Any) -> Any:
    layers = {
        "Linear": lambda: library.Linear(2, 3),
        "Embedding": lambda: library.Embedding(4, 2, padding_idx=1),
        "LSTM": lambda: library.LSTM(2, 3, 2, bidirectional=True),
        "LayerNorm": lambda: library.LayerNorm(3),
        "Tanh": lambda: library.Tanh(),
    }
    return layers[tree]() if isinstance(tree, str) else library.Sequential(*[build(library, one) for one in tree])


@given(trees)
@pytest.mark.oracle
def test_names_and_repr_are_pytorchs(tree: Any) -> None:
    ours, theirs = build(nn, tree), build(torch().nn, tree)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    shapes = {name: tuple(value.shape) for name, value in ours.state_dict().items()}
    assert list(shapes.items()) == [(name, tuple(value.shape)) for name, value in theirs.state_dict().items()]
