"""What a module does besides computing: it is built, switched, frozen, copied, converted, saved, loaded and shown.

Every function is one property: `(spec, case, draw)`, with AssertionError where it does not hold.
"""

from __future__ import annotations

import ast
import copy
import inspect
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad.backend import to_host
from minigrad.core.tensor import wrap
from minigrad.nn.module import Module
from minigrad.testing import standin
from minigrad.testing.module_running import Call, assert_same, assert_same_bits, state_of
from minigrad.testing.module_spec import ModuleCase, ModuleSpec
from minigrad.testing.trying import Draw

__tracebackhide__ = True  # pytest shows the message and the caller's lines, not these


def _shapes(module: Module) -> dict[str, tuple[Any, ...]]:
    return {name: (tuple(one.shape), one.dtype) for name, one in module.state_dict().items()}


# ---- built ----------------------------------------------------------------------------------------------------------


def begins_from_the_seed(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """One seed gives one module, to the bit; in training mode, with parameters that are leaves and want gradients."""
    first, second = spec.construct(case), spec.construct(case)
    before = state_of(first)
    for name, one in state_of(second).items():
        np.testing.assert_array_equal(one, before[name], f"{spec.name}: {name} of a second one from the same seed")
    assert all(module.training for module in first.modules()), f"{spec.name} does not begin in training mode"
    for name, parameter in first.named_parameters():
        assert parameter.is_leaf, f"{spec.name}: {name} is no leaf"
        assert np.isfinite(to_host(parameter._array)).all(), f"{spec.name}: {name} is not initialised"


def resets_as_it_began(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """`reset_parameters()`, where there is one, draws what the constructor draws."""
    module = spec.construct(case)
    before = state_of(module)
    for parameter in module.parameters():
        parameter.data = wrap(parameter._array + 1)
    minigrad.manual_seed(case.seed)
    done: set[int] = set()  # the parts of a module that resets them with itself
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if reset is not None and id(part) not in done:
            reset()
            done.update(map(id, part.modules()))
    if done:
        for name, one in state_of(module).items():
            np.testing.assert_array_equal(one, before[name], f"{spec.name}: {name} after reset_parameters()")


def takes_dtype_and_device(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """The constructor's `dtype` and `device`, where it has them, are those of every parameter."""
    accepted = words_of(spec)
    if "dtype" in accepted:
        for dtype in (np.float32, np.float64):
            for name, one in spec.construct(case, dtype, dtype=dtype).named_parameters():
                assert one.dtype == dtype, f"{spec.name}(dtype={np.dtype(dtype)}): {name} is {one.dtype}"
    if "device" in accepted:
        standin.install()
        for name, one in spec.construct(case, device="standin").named_parameters():
            assert one.device.type == "standin", f"{spec.name}(device='standin'): {name} is on {one.device}"


def words_of(spec: ModuleSpec) -> set[str]:
    """The words that the constructor, or one that it hands `**kwargs` on to, takes."""
    classes = inspect.getmro(spec.module) if isinstance(spec.module, type) else ()
    functions = [vars(one)["__init__"] for one in classes if "__init__" in vars(one)] or [spec.module]
    words: set[str] = set()
    for function in functions:
        words |= set(inspect.signature(function).parameters)
        if not _passes_on(function):
            break
    return words


def converts_in_place(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """`.double()`, `.float()` and `.to(device)` keep every parameter object, and convert its values and its `.grad`."""
    call = Call(spec, case, np.float32)
    module, parameters = call.module, list(call.module.parameters())
    values = [to_host(one._array).copy() for one in parameters]
    for one in parameters:
        one.grad = minigrad.ones_like(one)
    standin.install()
    for convert in (module.double, module.float, lambda: module.to("standin"), module.cpu):
        assert convert() is module
    module.to(np.dtype("float64"))
    for one, same, value in zip(list(module.parameters()), parameters, values, strict=True):
        assert one is same, f"{spec.name}: a parameter became another object"
        assert one.dtype == np.float64
        assert one.requires_grad
        assert one.grad is not None
        assert one.grad.dtype == np.float64
        np.testing.assert_array_equal(to_host(one._array), value)
    for name, buffer in module.named_buffers():
        dtype = buffer.dtype
        assert dtype.kind != "f" or dtype == np.float64, f"{spec.name}: the buffer {name} stayed {dtype}"


# ---- switched -------------------------------------------------------------------------------------------------------


def train_and_eval_switch(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """`train()` and `eval()` reach every submodule. Only a random module gives something else in training, and that is
    noise which the seed decides; evaluation never draws."""
    call = Call(spec, case)
    assert call.module.train() is call.module
    assert all(one.training for one in call.module.modules())
    noisy = [call.results() for _ in range(2)]
    assert_same_bits(spec, noisy[1], noisy[0], "drawn again from the same seed")
    assert call.module.eval() is call.module
    assert not any(one.training for one in call.module.modules())
    counter = minigrad.default_generator.get_state
    minigrad.manual_seed(case.seed)
    before = counter()
    outputs = {f"output {at}": to_host(one._array) for at, one in enumerate(call.outputs())}
    assert counter() == before, f"{spec.name} draws random numbers in evaluation"
    if spec.noise is None:
        try:
            assert_same_bits(spec, {name: noisy[0][name] for name in outputs}, outputs, "in training and in evaluation")
        except AssertionError as error:
            raise AssertionError(
                f"{spec.name} gives something else in training than in evaluation. If that is meant, as in dropout, "
                f"say so with noise=: a function (output, state, *inputs, **arguments) that raises AssertionError for "
                f"an output in training that cannot have come about\n{error}"
            ) from error
        return
    state = state_of(call.module)
    spec.noise(noisy[0]["output 0"], state, *case.inputs, **case.arguments)


def frozen_parameters_get_none(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """Parameters with `requires_grad_(False)` get no gradient, the others the same as before; with all of them frozen,
    and inputs that want none, there is no graph."""
    call = Call(spec, case)
    expected = call.results()
    names = [name for name, _ in call.module.named_parameters()]
    chosen = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    for name in chosen:
        call.module.get_parameter(name).requires_grad_(False)
    kept = {name: one for name, one in expected.items() if name.removeprefix("gradient of ") not in chosen}
    assert_same(spec, call.results(), kept, f"with {sorted(chosen)} frozen")
    assert call.module.requires_grad_(False) is call.module
    call.tensors = [one.detach() for one in call.tensors]
    assert not any(one.requires_grad for one in call.outputs()), (
        f"{spec.name}: nothing wants a gradient, but the output"
    )


# ---- copied, saved, loaded ------------------------------------------------------------------------------------------


def copies_are_independent(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """`copy.deepcopy` gives the same module in other memory: what happens to one does not happen to the other."""
    call = Call(spec, case)
    twin = Call(spec, case, module=copy.deepcopy(call.module))
    expected = call.results()
    assert_same_bits(spec, twin.results(), expected, "of a deep copy")
    for name, one in twin.module.state_dict().items():
        original = call.module.state_dict()[name]
        assert not np.shares_memory(one._array, original._array), f"{spec.name}: a deep copy shares {name}"
    with minigrad.no_grad():
        for parameter in twin.module.parameters():
            parameter.zero_()
    assert_same_bits(spec, call.results(), expected, "after its deep copy was written")


def state_dict_round_trips(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """The state dict names every parameter and loads into another instance, which then gives the same bits."""
    call = Call(spec, case)
    state = call.module.state_dict()
    assert set(state) >= {name for name, _ in call.module.named_parameters()}
    other = spec.build(ModuleCase(case.arguments, case.inputs, case.seed + 1))
    loaded = other.load_state_dict(state)
    assert not loaded.missing_keys
    assert not loaded.unexpected_keys
    assert_same_bits(spec, Call(spec, case, module=other).results(), call.results(), "with the state dict of another")
    for name, one in other.state_dict().items():
        assert not np.shares_memory(one._array, state[name]._array), f"{spec.name}: loading shares the memory of {name}"


def wrong_state_dicts_are_refused(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """A missing name, an unknown name or another shape is refused by name, and nothing has changed then."""
    module = spec.build(case)
    before = state_of(module)
    given = {name: one + 1 for name, one in module.state_dict().items()}
    wrong = [({**given, "nothing.here": minigrad.ones(1)}, "nothing.here")]
    for name in draw(st.lists(st.sampled_from(sorted(given)), unique=True, max_size=2)) if given else ():
        wrong.append(({other: one for other, one in given.items() if other != name}, name))
        wrong.append(({**given, name: minigrad.ones(*given[name].shape, 2)}, name))
    for state, culprit in wrong:
        said = _refusal(module, state)
        assert said is not None, f"{spec.name} takes a state dict with a wrong {culprit!r}"
        assert culprit in said, f"{spec.name}: the refusal does not name {culprit!r}: {said}"
        for name, one in state_of(module).items():
            np.testing.assert_array_equal(one, before[name], f"{spec.name}: {name} after a refused state dict")


def _refusal(module: Module, state: dict[str, Any]) -> str | None:
    """What `load_state_dict` says against a state; None if it takes it."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        return str(error)
    return None


# ---- shown ----------------------------------------------------------------------------------------------------------


def shows_its_constructor(spec: ModuleSpec) -> bool:
    """Whether the class says in `extra_repr` how it is built; one that it inherits is about the inherited constructor,
    unless that is extended by `**kwargs`."""
    if not isinstance(spec.module, type):
        return True  # each of what a function builds is looked at
    for one in inspect.getmro(spec.module):
        if "extra_repr" in vars(one):
            return one is not Module
        if "__init__" in vars(one) and not _passes_on(vars(one)["__init__"]):
            return False
    return False


def _passes_on(function: Any) -> bool:
    """Whether a constructor takes `**kwargs`."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())


def repr_is_the_constructors(spec: ModuleSpec, case: ModuleCase, draw: Draw) -> None:
    """The repr reads as a call of the constructor; what that builds, with the same state, gives the same bits."""
    call = Call(spec, case)
    text = repr(call.module)
    assert text.startswith(type(call.module).__name__ + "("), f"{spec.name} shows itself as {text}"
    if call.module._module_names or not isinstance(spec.module, type):
        return  # its parts are shown line by line; each is a module of its own
    told = {name: case.arguments[name] for name in spec.untold if name in case.arguments}
    try:
        positional, shown = _read(text)
        arguments = dict(inspect.signature(spec.module).bind_partial(*positional, **shown).arguments)
        arguments |= arguments.pop("kwargs", {})
        again = spec.build(ModuleCase(arguments | told, case.inputs, case.seed))
    except (SyntaxError, TypeError, ValueError) as error:
        raise AssertionError(
            f"{spec.name} shows itself as {text}, and that does not build one ({error}): extra_repr should say the "
            f"constructor's arguments; untold= names those that it may leave out"
        ) from error
    assert repr(again) == text, f"{spec.name}: {text} builds {again!r}"
    assert _shapes(again) == _shapes(call.module), f"{spec.name}: {text} builds one of other parameters"
    again.load_state_dict(call.module.state_dict())
    assert_same_bits(spec, Call(spec, case, module=again).results(), call.results(), f"of what {text} builds")


def _read(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments in a repr, read and not run; a word without quotes, as PyTorch's reprs have some, is a string."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise SyntaxError("it is no call")

    def value(node: ast.expr) -> Any:
        return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)

    return [value(node) for node in call.args], {word.arg or "": value(word.value) for word in call.keywords}
