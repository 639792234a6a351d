"""`x.op_(...)` computes what `op(x, ...)` does and puts it where `x` is: derived from the specs, for every such method.

Also the operators: `x op= y`, `y op x`, and `F.op(x, inplace=True)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import PUBLIC, SPECS, Call, unwrapped

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.testing import Case, OpSpec
from minigrad.testing.running import cotangents, gradients_of
from minigrad.testing.strategies import arrays, broadcastable

Host = np.ndarray[Any, Any]


def _writing_methods() -> dict[str, OpSpec]:
    """Each method that writes in place, "add_" or "__iadd__", and the spec of what it writes."""
    specs = {id(unwrapped(spec.call)): spec for spec in (*PUBLIC.values(), *SPECS)}  # the last has no overloads
    found = {}
    for name, method in vars(Tensor).items():
        in_place = (name.endswith("_") and not name.startswith("__")) or name.startswith("__i")
        wrapped = id(getattr(method, "__wrapped__", None))
        if in_place and wrapped in specs:
            found[name] = specs.pop(wrapped)  # once: `absolute_` is `abs_`
    primitives = {spec.name: spec for spec in SPECS}
    return {**found, "fill_": primitives["fill"], "copy_": primitives["copy"]}


WRITING = _writing_methods()
_SWITCHED = [name for name in F.__all__ if "inplace" in inspect.signature(getattr(F, name)).parameters]


def _called(spec: OpSpec, method: Callable[..., Any], inputs: list[Any], settings: dict[str, Any]) -> Any:
    """The method on the first input, with the arguments arranged as for the function."""

    def of_first(*args: Any, **named: Any) -> Any:
        first = [named.pop("input")] if "input" in named else []
        return method(*first, *args, **named)

    call = spec.call
    return call.on(of_first)(*inputs, **settings) if isinstance(call, Call) else of_first(*inputs, **settings)


def _fits(case: Case, result: Tensor) -> bool:
    return result.shape == case.inputs[0].shape and result.dtype == case.inputs[0].dtype


def _written(spec: OpSpec, method: Callable[..., Any], case: Case, needs: list[int]) -> tuple[Tensor, list[Host]]:
    """The tensor after the write, and the gradients of the inputs in `needs`."""
    leaves = case.tensors(needs)
    target = leaves[0].clone() if leaves[0].requires_grad else leaves[0].detach().clone()
    memory, version = target._array, target._version
    result = _called(spec, method, [target, *leaves[1:]], case.settings)
    assert result is target, "an in-place method returns the tensor it was called on"
    assert target._array is memory, "what is written goes into the tensor's own memory"
    assert target._version > version, "a write is counted"
    wanted = [leaves[place] for place in needs]
    return target, gradients_of([target], wanted, cotangents([target._array], 0)) if wanted else []


def _assert_writes_what_it_computes(spec: OpSpec, method: Callable[..., Any], case: Case) -> None:
    needs = spec.differentiable_in(case) if spec.smooth else []
    inputs = case.tensors(needs)
    (expected,) = spec.run(inputs, case.settings)
    if not _fits(case, expected):
        return
    target, gradients = _written(spec, method, case, needs)
    np.testing.assert_array_equal(target._array, expected._array)
    wanted = [inputs[place] for place in needs]
    out_of_place = gradients_of([expected], wanted, cotangents([expected._array], 0)) if wanted else []
    for place, one, other in zip(needs, gradients, out_of_place, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=f"gradient of input {place}")


@pytest.mark.parametrize("name", WRITING)
def test_in_place_is_out_of_place_written_there(name: str) -> None:
    spec = WRITING[name]

    @given(spec.cases().filter(lambda case: isinstance(case.inputs[0], np.ndarray)))
    def holds(case: Case) -> None:
        _assert_writes_what_it_computes(spec, getattr(Tensor, name), case)

    holds()


@pytest.mark.parametrize("name", WRITING)
def test_a_leaf_that_requires_grad_is_not_written(name: str) -> None:
    spec = WRITING[name]

    @settings(max_examples=3)
    @given(spec.cases())
    def holds(case: Case) -> None:
        if 0 not in case.floating():
            return
        leaves = case.tensors([0])
        with pytest.raises(RuntimeError, match="leaf that requires grad"):
            _called(spec, getattr(Tensor, name), leaves, case.settings)
        np.testing.assert_array_equal(leaves[0]._array, case.inputs[0])
        assert leaves[0]._version == 0

    holds()


@pytest.mark.parametrize("name", _SWITCHED)
def test_functions_with_a_switch_write_in_place(name: str) -> None:
    spec = PUBLIC[f"F.{name}"]
    function = getattr(F, name)

    @given(spec.cases())
    def holds(case: Case) -> None:
        if case.settings.get("training") or case.settings.get("p"):
            return  # dropout that does nothing gives its input back
        _assert_writes_what_it_computes(spec, lambda *args, **named: function(*args, **named, inplace=True), case)

    holds()


def test_a_result_that_does_not_fit_is_refused() -> None:
    x = minigrad.ones(3)
    with pytest.raises(RuntimeError, match=r"add_: the result has shape \(2, 3\)"):
        x.add_(minigrad.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"float32 result cannot be put into a int64 tensor"):
        minigrad.ones(3, dtype=minigrad.int64).add_(x)
    assert x.tolist() == [1, 1, 1]
    assert x._version == 0


_REFLECTED = {
    "__radd__": lambda x, y: x + y, "__rsub__": lambda x, y: x - y, "__rmul__": lambda x, y: x * y,
    "__rtruediv__": lambda x, y: x / y, "__rfloordiv__": lambda x, y: x // y, "__rmod__": lambda x, y: x % y,
    "__rpow__": lambda x, y: np.abs(x) ** y,
}  # fmt: skip


@pytest.mark.parametrize("name", _REFLECTED)
@given(data=st.data())
def test_reflected_operators_take_their_operands_in_turn(name: str, data: st.DataObject) -> None:
    one, other = data.draw(broadcastable(2))
    x, y = data.draw(arrays(one, domain=(0.2, 3))), data.draw(arrays(other, domain=(0.2, 3)))
    result = getattr(Tensor, name)(minigrad.tensor(y), minigrad.tensor(x))
    np.testing.assert_allclose(result.numpy(), _REFLECTED[name](x, y), rtol=1e-14)


@pytest.mark.parametrize("name", ["__rand__", "__ror__", "__rxor__"])
def test_reflected_operators_on_bits(name: str) -> None:
    assert getattr(minigrad.tensor([6, 5]), name)(3).tolist() == getattr(np.array([6, 5]), name)(3).tolist()


def test_reflected_matrix_product() -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(Tensor.__rmatmul__(minigrad.tensor(y), minigrad.tensor(x)).numpy(), x @ y)
