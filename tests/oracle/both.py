"""One call of a spec in minigrad and in PyTorch, and what came of it: results and gradients, or an error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from specs import PUBLIC, SPECS, Call

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.backend import to_host
from minigrad.testing import Case, OpSpec
from minigrad.testing.running import cotangents, gradients_of

Host = np.ndarray[Any, Any]

NOT_IN_PYTORCH = {
    "F.hinge_loss": "PyTorch has no binary hinge",
    "F.zero_one_loss": "PyTorch has no such metric",
    "unfold": "a method alone in PyTorch",
}

# What PyTorch refuses or gets wrong, by name: calls that are not compared, and calls of which only values are.
Question = Callable[[Case], bool]
BEYOND_PYTORCH: dict[str, Question] = {
    # its bounds must not be larger than the input
    "clamp": lambda case: np.broadcast(*map(_or_0, case.inputs)).shape != case.inputs[0].shape,
    "prod": lambda case: case.settings["dim"] is None and case.settings["keepdim"],  # no such overload
    "norm": lambda case: case.settings["p"] == "fro" and _dimensions_named(case) > 2,  # there a norm of matrices
    "addmv": lambda case: not case.inputs[1].size,  # a wrong shape, of nothing
    "F.linear": lambda case: case.inputs[1].ndim == 1 and case.inputs[2] is not None,  # a bias wants a matrix
    "F.linear_cross_entropy": lambda case: case.inputs[0].ndim > 2,  # one or two dimensions there
}
WITHOUT_GRADIENT: dict[str, Question] = {
    "floor_divide": lambda case: True,  # not implemented there
    "scatter": lambda case: case.inputs[1].shape != case.inputs[2].shape,  # backward wants equal shapes
    "scatter_add": lambda case: case.inputs[1].shape != case.inputs[2].shape,
    "F.cosine_similarity": lambda case: case.settings["eps"] > 1,  # there the bound on the norm has no derivative
    "index_fill": lambda case: len(set(case.inputs[1].tolist())) < len(case.inputs[1]),  # a place counts twice there
}
COARSE = {"F.hardsigmoid": 1e-7}  # its backward multiplies by 1/6 in single precision


def _dimensions_named(case: Case) -> int:
    """How many dimensions a reduction is told of; with keepdim alone PyTorch names all."""
    dim = case.settings["dim"]
    return case.inputs[0].ndim * case.settings["keepdim"] if dim is None else np.size(dim)


def _or_0(value: Any) -> Any:
    return 0 if value is None else value


def torch() -> Any:
    """PyTorch; without it the test is skipped."""
    return pytest.importorskip("torch")


def _names_of_primitives() -> dict[str, OpSpec]:
    """The primitives that users call, by a public name; one that is public only inside a function is checked there."""
    by_call = {id(spec.call): spec for spec in SPECS}
    found: dict[str, OpSpec] = {}
    seen: set[int] = set()
    for prefix, owner, names in (
        ("", minigrad, vars(minigrad)),
        ("F.", F, F.__all__),
        ("Tensor.", Tensor, vars(Tensor)),
    ):
        for name in names:
            one = id(getattr(owner, name, None))
            if one in by_call and one not in seen and not name.startswith("__"):
                seen.add(one)
                found[prefix + name] = by_call[one]
    return found


def shared() -> dict[str, OpSpec]:
    """Every spec of a function that PyTorch has, too."""
    everything = {**_names_of_primitives(), **PUBLIC}
    return {name: spec for name, spec in everything.items() if name not in NOT_IN_PYTORCH}


def counterpart(name: str) -> Callable[..., Any]:
    """PyTorch's function of this name in the specs."""
    library = torch()
    short = name.partition("/")[0]
    if short.startswith("F."):
        return getattr(library.nn.functional, short[2:])
    return getattr(library.Tensor, short[7:]) if short.startswith("Tensor.") else getattr(library, short)


# ---- one call in either library -------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a call gave: host arrays for the outputs, gradients of the inputs asked for, or the error."""

    outputs: list[Host]
    gradients: list[Host | None]
    error: Exception | None = None


def in_minigrad(spec: OpSpec, case: Case, needs: Sequence[int] = ()) -> Outcome:
    """The call here."""
    inputs = case.tensors(needs)
    outputs = spec.run(inputs, case.settings)
    values = [to_host(one._array) for one in outputs]
    wanted = [inputs[place] for place in needs]
    return Outcome(values, list(gradients_of(outputs, wanted, cotangents(values, 0))) if wanted else [])


def in_pytorch(name: str, spec: OpSpec, case: Case, needs: Sequence[int] = ()) -> Outcome:
    """The call there."""
    function = counterpart(name)
    like = next((one.dtype for one in case.inputs if isinstance(one, np.ndarray)), None)
    inputs = [_tensor(one, like, name) for one in case.inputs]
    for place in needs:
        inputs[place].requires_grad_()
    call = spec.call.on(function) if isinstance(spec.call, Call) else function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = call(*inputs, **_settings(name, case))
    outputs = list(results) if isinstance(results, (tuple, list)) else [results]
    values = [_numpy(one) for one in outputs]
    return Outcome(values, _gradients(outputs, [inputs[place] for place in needs], cotangents(values, 0)))


_NEEDS_TENSORS = {"maximum", "minimum", "atan2", "max/other", "min/other"}  # which take no numbers there


def _tensor(value: Any, like: Any, name: str) -> Any:
    if isinstance(value, np.ndarray):
        return torch().tensor(value)
    like = like if np.dtype(like).kind == "f" else np.float32
    return torch().tensor(np.asarray(value, like)) if isinstance(value, float) and name in _NEEDS_TENSORS else value


def _settings(name: str, case: Case) -> dict[str, Any]:
    """The settings in PyTorch's words: None is left out, but where `keepdim` needs the dimensions named."""
    given = dict(case.settings)
    if given.get("dim", 0) is None and given.get("keepdim") and not name.startswith("arg"):
        given["dim"] = tuple(range(case.inputs[0].ndim))
    elif given.get("dim", 0) is None and not name.startswith("arg"):
        given.pop("keepdim", None)
        if "unbiased" in given:
            given["correction"] = int(given.pop("unbiased"))
    return {word: _translated(value) for word, value in given.items() if value is not None or word == "index"}


def _translated(value: Any) -> Any:
    """A setting in PyTorch's words."""
    library = torch()
    if isinstance(value, np.dtype):
        return getattr(library, value.name)
    if isinstance(value, np.ndarray):
        return library.tensor(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_translated(part) for part in value)
    return value


def _numpy(value: Any) -> Host:
    dense = value.detach().to_dense() if value.layout is torch().sparse_coo else value.detach()
    return (dense.resolve_neg() if dense.is_neg() else dense).clone().numpy()


def _gradients(outputs: list[Any], wanted: list[Any], gs: list[Any]) -> list[Host | None]:
    library = torch()
    used = [(out, library.tensor(g)) for out, g in zip(outputs, gs, strict=True) if g is not None and out.requires_grad]
    if not wanted:
        return []
    if not used:
        return [None] * len(wanted)
    found = library.autograd.grad([out for out, _ in used], wanted, [g for _, g in used], allow_unused=True)
    return [None if one is None else _numpy(one) for one in found]


def attempted(run: Callable[[], Outcome]) -> Outcome:
    """The outcome, an exception of either library being one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run()
        except Exception as error:
            return Outcome([], [], error)


# ---- whether both agree ---------------------------------------------------------------------------------------------


def assert_same(found: Sequence[Host | None], expected: Sequence[Host | None], what: str, rtol: float = 1e-9) -> None:
    """Shapes, dtypes and numbers are equal; no gradient is as good as zeros."""
    assert len(found) == len(expected), f"{len(found)} {what}s, PyTorch has {len(expected)}"
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one is None or other is None:
            present = other if one is None else one
            assert present is None or not np.any(present), f"{what} {place}: {one}, in PyTorch {other}"
            continue
        assert one.dtype == other.dtype, f"{what} {place} is {one.dtype}, in PyTorch {other.dtype}"
        assert one.shape == other.shape, f"{what} {place} has shape {one.shape}, in PyTorch {other.shape}"
        coarse = {2: 2e-3, 4: 2e-5}.get(one.dtype.itemsize, rtol) if one.dtype.kind == "f" else 0
        finite = np.abs(other[np.isfinite(other)]) if one.dtype.kind == "f" else np.zeros(0)
        atol = coarse * max(float(finite.max()) if finite.size else 0.0, 1.0)
        np.testing.assert_allclose(one, other, rtol=max(rtol, coarse), atol=atol, err_msg=f"{what} {place}")
