"""A module beside PyTorch's: the same state, the same inputs, the same outputs, gradients, repr and refusals."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad.testing.module_running import Call, Flow, Results, assert_same, state_of, steady
from minigrad.testing.module_spec import Beside, ModuleCase, ModuleSpec, leaves, rebuilt
from minigrad.testing.strategies import Host
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def installed() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def _torch() -> Any:
    return importlib.import_module("torch")


def _theirs(beside: Beside, case: ModuleCase) -> Any:
    """PyTorch's module, in evaluation and float64."""
    torch = _torch()
    given = {name: torch.tensor(one) if isinstance(one, np.ndarray) else one for name, one in case.arguments.items()}
    return getattr(torch.nn, beside.name)(**given).double().eval()


def equals_pytorch(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """PyTorch's module of that name has the same state dict, and with the same state gives the same outputs, and the
    same gradients of every input and parameter; it shows itself the same way."""
    beside = spec.beside
    if beside is None or (beside.takes and not beside.takes(case)):
        return
    call, theirs, torch = Call(spec, case), _theirs(beside, case), _torch()
    state = state_of(call.module)
    assert list(theirs.state_dict()) == list(state), f"{spec.name}: {list(state)}, PyTorch: {list(theirs.state_dict())}"
    theirs.load_state_dict({name: torch.tensor(one) for name, one in state.items()})
    if beside.same_repr:
        assert repr(call.module) == repr(theirs), f"{call.module!r}, PyTorch shows {theirs!r}"
    inputs = [torch.tensor(one).requires_grad_(at in call.needs) for at, one in enumerate(case.arrays())]
    wanted = {f"input {at}": inputs[at] for at in call.needs} | (dict(theirs.named_parameters()) if spec.smooth else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of what is going to change there
        outputs = _flat(theirs(*rebuilt(case.inputs, iter(inputs))))
        expected = _results(torch, outputs, wanted, steady)
    assert_same(replace(spec, rtol=beside.rtol), call.results(steady), expected, "beside PyTorch")


def _flat(value: Any) -> list[Any]:
    return [one for part in value for one in _flat(part)] if isinstance(value, (tuple, list)) else [value]


def _results(torch: Any, outputs: list[Any], wanted: dict[str, Any], flow: Flow) -> Results:
    values = [one.detach().numpy() for one in outputs]
    results = {f"output {at}": value for at, value in enumerate(values)}
    if not wanted:
        return results
    flowing = zip(outputs, flow(values), strict=True)
    used = [(one, torch.tensor(g)) for one, g in flowing if g is not None and one.requires_grad]
    found = [None] * len(wanted)
    if used:
        ends, gs = zip(*used, strict=True)
        found = torch.autograd.grad(ends, list(wanted.values()), gs, allow_unused=True)
    pairs = zip(wanted.items(), found, strict=True)
    return results | {f"gradient of {name}": _gradient(one, like) for (name, like), one in pairs}


def _gradient(gradient: Any, like: Any) -> Host:
    if gradient is None:
        return np.zeros(tuple(like.shape))
    return (gradient.to_dense() if gradient.is_sparse else gradient).detach().numpy()


# ---- what does not fit ----------------------------------------------------------------------------------------------


def _flawed(array: Host, flaw: str) -> Host | None:
    """The array with a flaw, None where it cannot have it. What is longer repeats an end: indices stay valid."""
    if flaw == "one dimension more":
        return array[None]
    if flaw == "another kind":
        return None if array.dtype.kind == "f" else array.astype(np.float64)
    if not array.size or not array.ndim:
        return None
    if flaw == "one dimension less":
        return np.asarray(array[0])
    axis = -1 if flaw == "a longer last dimension" else 0
    return np.concatenate([array, array.take([0], axis)], axis)


def refuses_what_pytorch_refuses(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """With an input of another shape, or real numbers in the place of whole ones, both raise or both give the same."""
    arrays, beside = case.arrays(), spec.beside
    at, flaw = draw(st.integers(0, len(arrays) - 1)), draw(st.sampled_from(beside.flaws if beside else ()))
    wrong = _flawed(arrays[at], flaw)
    if beside is None or wrong is None or (beside.takes and not beside.takes(case)):
        return
    arrays[at] = wrong
    torch, ours, theirs = _torch(), spec.build(case), _theirs(beside, case)
    theirs.load_state_dict({name: torch.tensor(one) for name, one in state_of(ours).items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of shapes that broadcast
        expected = _tried(theirs, rebuilt(case.inputs, iter([torch.tensor(one) for one in arrays])))
        found = _tried(ours, rebuilt(case.inputs, iter([minigrad.tensor(one) for one in arrays])))
    where = f"{spec.name}: input {at} with {flaw}, {wrong.dtype}{list(wrong.shape)}"
    if isinstance(expected, Exception):
        assert isinstance(found, Exception), f"{where}: PyTorch refuses it ({expected}), and this gives a result"
        return
    assert not isinstance(found, Exception), f"{where}: PyTorch takes it, and this refuses: {found}"
    values = {f"output {place}": one.numpy() for place, one in enumerate(_flat(expected))}
    ours_values = {f"output {place}": one.numpy() for place, one in enumerate(leaves((found,)))}
    assert_same(replace(spec, rtol=beside.rtol), ours_values, values, where)


def _tried(module: Any, inputs: Any) -> Any:
    """The result without its graph, or what was raised."""
    try:
        with _torch().no_grad(), minigrad.no_grad():
            return module(*inputs)
    except Exception as error:
        return error
