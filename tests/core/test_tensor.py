"""What a tensor says of itself, what Python may do with it, and its `.grad`: with the answers PyTorch gives."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.testing import standin

Ask = Callable[[Any], Any]  # a question, asked of minigrad or of torch


def leaf(m: Any) -> Any:
    return m.tensor([1.0, 2.0], requires_grad=True)


def after(x: Any, act: Callable[[Any], Any]) -> Any:
    """`x` once `act` was done to it."""
    act(x)
    return x


def differentiated(m: Any) -> Any:
    """A leaf with a gradient, [2, 4]."""
    return after(leaf(m), lambda x: (x * x).sum().backward())


def with_new_data(m: Any) -> Any:
    x = leaf(m)
    x.data = m.ones(3)
    (x * 2).sum().backward()
    return x.grad.tolist()


def copied_gradient(m: Any) -> Any:
    x = differentiated(m)
    copied = copy.deepcopy(x)
    x.grad.zero_()
    return copied.grad.tolist()


def hooked(m: Any, answer: Callable[[Any], Any]) -> Any:
    x = leaf(m)
    x.register_hook(answer)
    x.sum().backward()
    return x.grad.tolist()


def no_longer_asked_for(m: Any) -> Any:
    x = leaf(m)
    y = (x * 2).sum()
    x.requires_grad_(False)
    y.backward()
    return x.grad


def asked_for_again(m: Any) -> Any:
    x = leaf(m)
    y = (x * 2).sum()
    x.requires_grad_(False)
    x.requires_grad_(True)
    y.backward()
    return x.grad.tolist()


def names_of_nodes(m: Any) -> Any:
    node = (leaf(m) * 2).grad_fn
    return node.name(), node.next_functions[0][0].name().split("::")[-1]  # torch::autograd::AccumulateGrad


def give_gradient(m: Any, gradient: Any) -> None:
    leaf(m).grad = gradient


# One line each: the question, and the answer of both libraries.
ANSWERS: dict[str, tuple[Ask, Any]] = {
    # the sizes and the memory
    "size": (lambda m: tuple(m.ones(2, 3).size()), (2, 3)),
    "size of one dimension": (lambda m: [m.ones(2, 3).size(dim) for dim in (0, -1)], [2, 3]),
    "dim": (lambda m: m.ones(2, 3).dim(), 2),
    "numel of a shape": (lambda m: m.ones(2, 3).shape.numel(), 6),
    "nelement": (lambda m: m.ones(2, 3).nelement(), 6),
    "a shape in words": (lambda m: repr(m.ones(2, 3).shape).split(".")[1], "Size([2, 3])"),
    "bytes of an element": (lambda m: m.ones(2, dtype=m.float64).element_size(), 8),
    "the first dimension, from the end": (lambda m: m.ones(2, 3).size(-2), 2),
    "strides": (lambda m: m.ones(2, 3).stride(), (3, 1)),
    "strides are whole numbers": (lambda m: {type(step) for step in m.ones(2, 3).stride()}, {int}),
    "strides of a transpose": (lambda m: m.ones(2, 3).T.stride(), (1, 3)),
    "one stride": (lambda m: m.ones(2, 3).stride(0), 3),
    "contiguous": (lambda m: [x.is_contiguous() for x in (m.ones(2, 3), m.ones(2, 3).T)], [True, False]),
    "a view's address": (lambda m: (lambda x: x[1].data_ptr() - x.data_ptr())(m.ones(2, 3)), 12),
    "floating": (lambda m: [m.tensor(x).is_floating_point() for x in (1.0, 1, 1j)], [True, False, False]),
    "complex": (lambda m: [m.tensor(x).is_complex() for x in (1.0, 1, 1j)], [False, False, True]),
    "on a card": (lambda m: m.ones(2).is_cuda, False),
    # made of
    "Tensor of a list": (lambda m: m.Tensor([[1, 2]]).tolist(), [[1.0, 2.0]]),
    "Tensor of a size": (lambda m: tuple(m.Tensor(2, 3).shape), (2, 3)),
    "Tensor of nothing": (lambda m: tuple(m.Tensor().shape), (0,)),
    "tensors in a list": (lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]).tolist(), [1.0, 2.0]),
    "a tensor of a tensor": (lambda m: m.tensor(m.ones(2).detach().numpy()).tolist(), [1.0, 1.0]),
    "an empty list": (lambda m: str(m.tensor([]).dtype).split(".")[-1], "float32"),
    "a NumPy scalar": (lambda m: str(m.tensor(np.float64(2)).dtype).split(".")[-1], "float64"),
    "truncated": (lambda m: m.tensor([1.7, -1.7], dtype=m.int64).tolist(), [1, -1]),
    # Python's protocols
    "int, float, complex": (lambda m: [kind(m.tensor(2.0)) for kind in (int, float, complex)], [2, 2.0, 2 + 0j]),
    "truth": (lambda m: [bool(m.tensor([x])) for x in (0.0, 2.0)], [False, True]),
    "an index": (lambda m: ["a", "b", "c"][m.tensor([1])], "b"),
    "a condition as an index": (lambda m: ["a", "b", "c"][m.tensor(True)], "b"),
    "length": (lambda m: len(m.ones(3, 2)), 3),
    "rows of another number": (lambda m: [row.tolist() for row in m.tensor([[1, 2]])], [[1, 2]]),
    "rows": (lambda m: [row.tolist() for row in m.tensor([[1, 2], [3, 4]])], [[1, 2], [3, 4]]),
    "contains a number": (lambda m: [x in m.tensor([1, 2]) for x in (2, 3)], [True, False]),
    "contains a tensor": (lambda m: m.tensor(2) in m.tensor([1, 2]), True),
    "contains NaN": (lambda m: float("nan") in m.tensor([float("nan")]), False),
    "formatted": (lambda m: f"{m.tensor(1.5):.3f} {m.tensor(1.5)} {m.tensor(7):>3}", "1.500 1.5   7"),
    "formatted as a whole": (lambda m: f"{m.tensor([1, 2])}", "tensor([1, 2])"),
    "as NumPy's": (lambda m: np.array(m.tensor([1.0, 2.0]), copy=None).tolist(), [1, 2]),
    "as NumPy's of another dtype": (lambda m: str(m.ones(2).__array__(np.dtype("int64")).dtype), "int64"),
    "complex numbers": (lambda m: str(m.tensor([1j])[0].dtype).split(".")[-1], "complex64"),
    "in a set": (lambda m: len({m.ones(1), m.ones(1)}), 2),
    # in words
    "a leaf in words": (lambda m: repr(leaf(m)), "tensor([1., 2.], requires_grad=True)"),
    "a result in words": (lambda m: repr(leaf(m) * 3), "tensor([3., 6.], grad_fn=<MulBackward0>)"),
    "integers in words": (lambda m: repr(m.tensor([1, 2])), "tensor([1, 2])"),
    # requires_grad
    "asked twice": (lambda m: leaf(m).requires_grad_().requires_grad, True),
    "asked of a result": (lambda m: (leaf(m) * 2).requires_grad_().is_leaf, False),
    "asked by setting": (lambda m: after(m.ones(2), lambda x: setattr(x, "requires_grad", True)).requires_grad, True),
    "no longer": (lambda m: leaf(m).requires_grad_(False).requires_grad, False),
    "detach_": (lambda m: (leaf(m) * 2).detach_().requires_grad, False),
    "the nodes' names": (names_of_nodes, ("MulBackward0", "AccumulateGrad")),
    "retain_grad of a leaf": (lambda m: after(leaf(m), lambda x: x.retain_grad()).retains_grad, False),
    "retain_grad of a result": (lambda m: after(leaf(m) * 2, lambda x: x.retain_grad()).retains_grad, True),
    "retain_grad where there is no graph": (lambda m: m.ones(1).retains_grad, False),
    "which result of its node": (lambda m: [x.output_nr for x in (m.ones(1), *leaf(m).split(1))], [0, 0, 1]),
    # .grad
    "grad taken away": (lambda m: after(differentiated(m), lambda x: delattr(x, "grad")).grad, None),
    "grad set": (lambda m: after(leaf(m), lambda x: setattr(x, "grad", m.ones(2))).grad.tolist(), [1.0, 1.0]),
    "new data of what asks for no gradient": (
        lambda m: after(m.ones(2), lambda x: setattr(x, "data", m.zeros(3))).tolist(), [0.0, 0.0, 0.0]
    ),
    "a copy of what asks for no gradient": (lambda m: copy.deepcopy(m.ones(2)).requires_grad, False),
    "grad of new data": (with_new_data, [2.0, 2.0, 2.0]),
    "a copy has its own": (copied_gradient, [2.0, 4.0]),
    "a copy asks for gradients": (lambda m: copy.deepcopy(leaf(m)).requires_grad, True),
    "nothing beside a tensor is copied as nothing": (lambda m: copy.deepcopy([leaf(m), None])[1], None),
    "a copied parameter": (lambda m: type(copy.deepcopy(m.nn.Parameter(m.ones(1)))).__name__, "Parameter"),
    "copied once": (lambda m: (lambda pair: pair[0] is pair[1])(copy.deepcopy([leaf(m)] * 2)), True),
    "no longer asked for": (no_longer_asked_for, None),
    "asked for again": (asked_for_again, [2.0, 2.0]),
    "a hook's answer": (lambda m: hooked(m, lambda g: g * 10), [10.0, 10.0]),
}  # fmt: skip

# What both libraries refuse with an exception of the same kind, and what ours says.
REFUSALS: dict[str, tuple[Ask, type[Exception], str]] = {
    "no such dimension": (lambda m: m.ones(2).size(3), IndexError, "dim 3 is out of range for a tensor of 1 dim"),
    "one dimension too far": (lambda m: m.ones(2, 3).size(2), IndexError, "dim 2 is out of range for a tensor of 2"),
    "integers": (lambda m: m.tensor([1, 2], requires_grad=True), RuntimeError, r"convert it with .float\(\)"),
    "a result that stops": (lambda m: (leaf(m) * 2).requires_grad_(False), RuntimeError, "only a leaf can stop"),
    "a grad that is no tensor": (lambda m: give_gradient(m, [1.0]), TypeError, "must be a Tensor or None, got list"),
    "a grad of another shape": (lambda m: give_gradient(m, m.ones(3)), RuntimeError, r"shape \(2,\), got \(3,\)"),
    "a grad of another dtype": (lambda m: give_gradient(m, m.ones(2).double()), RuntimeError, "float32, got float64"),
    "a hook without gradients": (lambda m: m.ones(2).register_hook(print), RuntimeError, "register_hook.. needs a"),
    "retain_grad without gradients": (lambda m: m.ones(2).retain_grad(), RuntimeError, "retain_grad.. needs a"),
    "a hook that returns a number": (lambda m: hooked(m, lambda g: 3), TypeError, "this one returned int"),
    "a hook with another shape": (lambda m: hooked(m, lambda g: m.ones(4)), RuntimeError, r"shape \(4,\)"),
    "a hook with another dtype": (lambda m: hooked(m, lambda g: g.double()), RuntimeError, "a hook returned float64"),
    "detach_ of a view": (lambda m: m.ones(2, requires_grad=True).view(1, 2).detach_(), RuntimeError, "use detach"),
    "one item of two": (lambda m: m.ones(2).item(), RuntimeError, r"needs a tensor of one element, this one has shape"),
    "the truth of two": (lambda m: bool(m.ones(2)), RuntimeError, r"use .any\(\) or .all\(\)"),
    "the truth of none": (lambda m: bool(m.tensor([])), RuntimeError, "ambiguous"),
    "a float as an index": (lambda m: [1, 2][m.tensor(1.0)], TypeError, "only an integer tensor of one element can be"),
    "two indices": (lambda m: [1, 2][m.tensor([0, 1])], TypeError, r"this one is int64 of shape \(2,\)"),
    "no length": (lambda m: len(m.tensor(1.0)), TypeError, "a 0-d tensor has no length"),
    "no rows": (lambda m: iter(m.tensor(1.0)), TypeError, "a 0-d tensor cannot be iterated"),
    "a vector formatted as a number": (lambda m: f"{m.ones(2):.2f}", TypeError, "unsupported format string"),
    "NumPy's while it requires grad": (lambda m: leaf(m).numpy(), RuntimeError, r"use .detach\(\).numpy\(\)"),
    "a copy of a result": (lambda m: copy.deepcopy(leaf(m) * 2), RuntimeError, "only leaves can be deep-copied"),
    "ragged rows": (lambda m: m.tensor([[1.0], [1.0, 2.0]]), ValueError, "regular nesting"),
    "a word": (lambda m: m.tensor("word"), TypeError, "a tensor holds numbers"),
}  # fmt: skip


@pytest.mark.parametrize("question", ANSWERS)
def test_the_answer(question: str) -> None:
    ask, expected = ANSWERS[question]
    assert ask(minigrad) == expected


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("question", ANSWERS)
def test_the_answer_is_pytorchs(question: str) -> None:
    ask, expected = ANSWERS[question]
    assert ask(pytest.importorskip("torch")) == expected


@pytest.mark.parametrize("what", REFUSALS)
def test_the_refusal(what: str) -> None:
    ask, kind, said = REFUSALS[what]
    with pytest.raises(kind, match=said):
        ask(minigrad)


@pytest.mark.oracle
@pytest.mark.parametrize("what", REFUSALS)
def test_the_refusal_is_pytorchs(what: str) -> None:
    ask, kind, _ = REFUSALS[what]
    torch = pytest.importorskip("torch")
    with pytest.raises(kind):
        ask(torch)


# ---- what is minigrad's own -----------------------------------------------------------------------------------------


def test_a_tensor_is_not_pickled() -> None:
    with pytest.raises(TypeError, match=r"minigrad\.save writes"):
        pickle.dumps(minigrad.ones(2))


def test_a_gradient_is_set_on_leaves() -> None:
    with pytest.raises(RuntimeError, match=r"retain_grad\(\) keeps the gradient of a result"):
        (leaf(minigrad) * 2).grad = minigrad.ones(2)


def test_another_dtype_and_device_are_in_the_words() -> None:
    standin.install()
    assert repr(minigrad.ones(2, dtype=minigrad.float64)) == "tensor([1., 1.], dtype=float64)"
    x = minigrad.ones(2).to("standin")
    assert repr(x) == "tensor([1., 1.], device='standin:0')"
    with pytest.raises(TypeError, match=r"a tensor on standin:0 has no .numpy\(\): use .cpu\(\).numpy\(\)"):
        x.numpy()


def test_a_tensor_of_an_array_on_a_device_stays_there_unless_told() -> None:
    standin.install()
    x = minigrad.ones(2).to("standin")
    assert str(minigrad.tensor(x).device) == "standin:0"
    assert str(minigrad.tensor(x, device="cpu").device) == "cpu"


def test_words_of_a_node() -> None:
    node = (leaf(minigrad) * 2).grad_fn
    assert repr(node) == "<MulBackward0>"
    assert "test_tensor.py" in node.line
    assert node.next_functions[0][0].line == "an unrecorded line"


# ---- inference mode -------------------------------------------------------------------------------------------------


def test_an_inference_tensor_stays_outside() -> None:
    with minigrad.inference_mode():
        x = minigrad.ones(2)
        x.add_(1)  # its writes are not counted
        inside = minigrad.ones(2).requires_grad_()
    assert x.tolist() == [2, 2]
    assert inside.requires_grad
    with pytest.raises(RuntimeError, match=r"cannot require grad outside inference_mode\(\): clone\(\) it"):
        x.requires_grad_()
    with pytest.raises(RuntimeError, match="an inference tensor cannot be saved for backward"):
        leaf(minigrad) * x
    assert (leaf(minigrad) * x.clone()).requires_grad


def test_large_and_small_numbers_in_words() -> None:
    x = minigrad.tensor([[1.0, 1e-5], [12.34567, 0.0]])
    assert repr(x) == "tensor([[1.0000e+00, 1.0000e-05],\n        [1.2346e+01, 0.0000e+00]])"
    assert repr(minigrad.tensor([0.123456])) == "tensor([0.1235])"
    assert "..." not in repr(minigrad.zeros(1000))
    assert "..." in repr(minigrad.zeros(1001))


def test_complex_numbers_follow_the_default_dtype() -> None:
    assert minigrad.tensor([1j]).dtype == minigrad.complex64
    minigrad.set_default_dtype(minigrad.float64)
    try:
        assert minigrad.tensor([1j]).dtype == minigrad.complex128
    finally:
        minigrad.set_default_dtype(minigrad.float32)


def test_numpy_may_ask_for_a_copy() -> None:
    x = minigrad.ones(2)
    np.array(x, copy=True).fill(5)
    assert x.tolist() == [1, 1]
    np.asarray(x).fill(5)  # without one it is the same memory
    assert x.tolist() == [5, 5]
