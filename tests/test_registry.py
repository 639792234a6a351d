"""Whatever can be called has a spec, or stands in a table with the reason why it has none; a missing one is named.

Public are the functions of `minigrad`, the methods of `Tensor` and the functions of `minigrad.nn.functional`. Most
methods are the functions themselves. What writes in place has the spec of what it writes (tests/ops/test_in_place.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
from specs import PUBLIC, SPECS, unwrapped

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor
from minigrad.core.primitive import registry

# Every module has put its primitives into the registry once it is imported. The kernels have none, and need a GPU.
for _module in pkgutil.walk_packages(minigrad.__path__, "minigrad."):
    if not _module.name.startswith(("minigrad.kernels.", "minigrad.testing")):
        importlib.import_module(_module.name)


# ---- what has no spec, and why --------------------------------------------------------------------------------------

_WITHOUT: dict[str, str] = {
    "makes a tensor from nothing (tests/ops/test_creation.py)": """
        BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor arange
        as_tensor asarray empty empty_like eye from_numpy full full_like linspace ones ones_like tensor zeros zeros_like
        Tensor.new Tensor.new_empty Tensor.new_full Tensor.new_ones Tensor.new_tensor Tensor.new_zeros
    """,
    "draws random numbers (tests/test_random.py)": """
        bernoulli multinomial normal rand rand_like randint randint_like randn randn_like randperm
        Tensor.bernoulli_ Tensor.exponential_ Tensor.normal_ Tensor.random_ Tensor.uniform_
    """,
    "sets or tells the seed (tests/test_random.py)": "initial_seed manual_seed",
    "the autograd machinery (tests/core, tests/test_autograd.py)": """
        enable_grad fused grad inference_mode is_grad_enabled is_inference_mode_enabled no_grad primitive
        Tensor.backward Tensor.detach Tensor.detach_ Tensor.register_hook Tensor.requires_grad_ Tensor.retain_grad
    """,
    "tells or sets a dtype (tests/core/test_dtypes.py)": """
        get_default_dtype promote_types result_type set_default_dtype Tensor.is_complex Tensor.is_floating_point
    """,
    "tells what kind of thing it is": "device is_tensor",
    "files (tests/test_io.py)": "load save",
    "threads of the kernels (tests/kernels)": "get_num_threads set_num_threads",
    "gives a Python bool (tests/ops/test_python_values.py)": """
        allclose equal Tensor.__bool__ Tensor.__contains__ Tensor.__eq__ Tensor.__ne__
    """,
    "gives a Python value or a NumPy array (tests/ops/test_python_values.py)": """
        Tensor.__array__ Tensor.__complex__ Tensor.__float__ Tensor.__format__ Tensor.__hash__ Tensor.__index__
        Tensor.__int__ Tensor.__iter__ Tensor.__len__ Tensor.__repr__ Tensor.item Tensor.numpy Tensor.tolist
    """,
    "tells the shape or the memory (tests/core/test_tensor.py)": """
        Tensor.data_ptr Tensor.dim Tensor.element_size Tensor.is_contiguous Tensor.nelement Tensor.numel Tensor.size
        Tensor.stride
    """,
    "copies or writes the object (tests/core, tests/test_io.py)": "Tensor.__deepcopy__ Tensor.__reduce_ex__",
    "needs a CUDA device; `to` is the same function": "Tensor.cuda",
    "index and value in one statement; its primitives have specs": "Tensor.__setitem__",
}
WITHOUT_SPEC = {name: reason for reason, names in _WITHOUT.items() for name in names.split()}

_IN_PLACE_OF_PRIMITIVES = {"fill_": "fill", "zero_": "fill", "copy_": "copy"}


# ---- what is public -------------------------------------------------------------------------------------------------


def _functions(owner: Any, names: Any) -> dict[str, Callable[..., Any]]:
    found = {name: getattr(owner, name) for name in names}
    return {name: one for name, one in found.items() if callable(one) and not isinstance(one, type)}


def _methods() -> dict[str, Callable[..., Any]]:
    own = {name for kind in Tensor.__mro__[:-1] for name in vars(kind)}
    public = [name for name in sorted(own) if not name.startswith("_") or name.endswith("__")]
    boilerplate = {"__new__", "__init__", "__init_subclass__", "__class_getitem__", "__getattr__", "__slots__"}
    return _functions(Tensor, [name for name in public if name not in boilerplate])


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every public function by its name in the specs: "cat", "Tensor.view", "F.elu"."""
    top = _functions(minigrad, [name for name in vars(minigrad) if not name.startswith("_")])
    return {
        **top,
        **{f"Tensor.{name}": one for name, one in _methods().items()},
        **{f"F.{name}": one for name, one in _functions(F, F.__all__).items()},
    }


def _has_spec(name: str, function: Any, covered: list[Any]) -> bool:
    """By identity: a method is its function. In place and reflected versions name what they wrap."""
    if any(function is one for one in covered):
        return True
    short = name.removeprefix("Tensor.")
    if short in _IN_PLACE_OF_PRIMITIVES:
        return _IN_PLACE_OF_PRIMITIVES[short] in registry
    return short != name and hasattr(function, "__wrapped__") and _has_spec("", function.__wrapped__, covered)


def _covered() -> list[Any]:
    return [spec.call for spec in SPECS] + [unwrapped(spec.call) for spec in PUBLIC.values()]


def _without_spec() -> list[str]:
    functions, covered = public_functions(), _covered()
    excused = [functions[name] for name in WITHOUT_SPEC if name in functions]
    return [name for name, one in functions.items() if one not in excused and not _has_spec(name, one, covered)]


# ---- the checks -----------------------------------------------------------------------------------------------------


def test_every_primitive_has_a_spec() -> None:
    without = sorted(set(registry) - {spec.name for spec in SPECS})
    assert not without, f"write an OpSpec in tests/specs for {', '.join(without)}"


def test_every_spec_has_a_primitive() -> None:
    gone = sorted({spec.name for spec in SPECS} - set(registry))
    assert not gone, f"no primitive is called {', '.join(gone)}"


def test_no_primitive_has_two_specs() -> None:
    names = [spec.name for spec in SPECS]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def test_every_public_function_has_a_spec_or_a_reason() -> None:
    without = _without_spec()
    assert not without, f"write an OpSpec in tests/specs, or a reason in WITHOUT_SPEC, for {', '.join(without)}"


def test_the_table_of_reasons_holds_what_is_there_and_has_no_spec() -> None:
    functions, covered = public_functions(), _covered()
    gone = [name for name in WITHOUT_SPEC if name not in functions]
    assert not gone, f"no longer public: {', '.join(gone)}"
    twice = [name for name in WITHOUT_SPEC if _has_spec(name, functions[name], covered)]
    assert not twice, f"have a spec, and so no reason for having none: {', '.join(twice)}"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_spec_is_of_the_function_it_is_named_after(name: str) -> None:
    assert unwrapped(PUBLIC[name].call) is public_functions()[name.partition("/")[0]]


def test_a_new_function_without_a_spec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minigrad, "twice", lambda x: x + x, raising=False)
    assert _without_spec() == ["twice"]


def test_methods_are_the_functions_of_their_name() -> None:
    """`where` alone takes its arguments in another order, as in PyTorch."""
    functions = public_functions()
    different = [
        name
        for name in _methods()
        if name in functions and functions[name] is not functions[f"Tensor.{name}"] and name not in ("device", "where")
    ]
    conversions = {"bool", "double", "float", "half", "int", "long", "short"}  # `minigrad.float` is a dtype
    assert set(different) <= conversions
