"""Module: the base of every layer and network.

A module is an ordinary object whose attributes are ordinary attributes. What makes it a module is that it remembers
which of them are parameters, buffers and submodules: three tables of *names*, filled by assignment. The values stay in
the instance's `__dict__`, so `self.weight` costs what any attribute costs, and every traversal (`parameters()`,
`state_dict()`, `to()`) reads the tables: parameters first, then buffers, then submodules, in order of assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minigrad.core.engine import RemovableHandle
from minigrad.core.rows import Rows
from minigrad.core.tensor import Tensor
from minigrad.nn import state
from minigrad.nn.hooks import Hook, Hooks
from minigrad.nn.parameter import Parameter, clear_gradients


class Module:
    """A piece of a network: parameters, buffers, submodules, and `forward()`.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Linear(2, 4)

            def forward(self, input):
                return self.hidden(input).tanh()

    Call the module, not `forward()`, so that its hooks run.
    """

    training: bool = True
    _hooks: Hooks | None = None
    # Names in the order of registration; dictionaries because a set has no order.
    _parameter_names: dict[str, None]
    _buffer_names: dict[str, bool]  # whether the buffer belongs to the state dict
    _module_names: dict[str, None]

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_parameter_names"] = {}
        attributes["_buffer_names"] = {}
        attributes["_module_names"] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): define forward(self, ...) in the class")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    # ---- attributes -------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, (Parameter, Module)):
            self._check_initialised(name)
            kept = self._parameter_names if isinstance(value, Parameter) else self._module_names
            for table in (self._parameter_names, self._buffer_names, self._module_names):
                if table is not kept:
                    table.pop(name, None)
            kept.setdefault(name)
            attributes[name] = value
            return
        if "_parameter_names" in attributes and value is not None:
            self._check_kind(name, value)
        object.__setattr__(self, name, value)

    def _check_initialised(self, name: str) -> None:
        if "_parameter_names" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: {name!r} was assigned before Module.__init__() ran: "
                f"begin __init__ with super().__init__()"
            )

    def _check_kind(self, name: str, value: Any) -> None:
        """What is registered stays of its kind: a plain tensor in a parameter's place would silently not be learned."""
        given, owner = type(value).__name__, type(self).__name__
        if name in self._parameter_names:
            raise TypeError(
                f"{owner}.{name} is a parameter, and a {given} cannot take its place: assign nn.Parameter(...) or "
                f"None, or write into it under no_grad() with .copy_()"
            )
        if name in self._module_names:
            raise TypeError(
                f"{owner}.{name} is a submodule, and a {given} cannot take its place: assign a Module or None"
            )
        if name in self._buffer_names and not isinstance(value, Tensor):
            raise TypeError(f"{owner}.{name} is a buffer, and a {given} cannot take its place: assign a Tensor or None")

    def __getattr__(self, name: str) -> Any:
        if name in ("_parameter_names", "_buffer_names", "_module_names"):
            raise AttributeError(
                f"{type(self).__name__} is used before Module.__init__() ran: begin __init__ with super().__init__()"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        for table in (self._parameter_names, self._buffer_names, self._module_names):
            table.pop(name, None)

    def _check_name(self, name: Any, table: Mapping[str, Any], kind: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {kind} is a string, got {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"the name of a {kind} can neither be empty nor contain '.', got {name!r}")
        if name not in table and hasattr(self, name):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already, the {kind} needs another name")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, as `self.name = param` does; None keeps its place for one that is left out."""
        self._check_initialised(name)
        self._check_name(name, self._parameter_names, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"the parameter {name!r} must be an nn.Parameter or None, got {type(param).__name__}")
        if param is not None and not param.is_leaf:
            raise ValueError(f"the parameter {name!r} was computed from other tensors: .detach() it first")
        self._parameter_names.setdefault(name)
        self.__dict__[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module but is not learned; part of the state dict if `persistent`."""
        self._check_initialised(name)
        self._check_name(name, self._buffer_names, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"the buffer {name!r} must be a Tensor or None, got {type(tensor).__name__}")
        self._buffer_names[name] = persistent
        self.__dict__[name] = tensor

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule, as `self.name = module` does, under any name."""
        self._check_initialised(name)
        self._check_name(name, self._module_names, "module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"the submodule {name!r} must be a Module or None, got {type(module).__name__}")
        self._module_names.setdefault(name)
        self.__dict__[name] = module

    add_module = register_module

    # ---- walking through it -----------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each once."""
        seen: set[Module] = set()
        for name in self._module_names:
            child = self.__dict__[name]
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted names; `remove_duplicate` is for one used in several places."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name in self._module_names:
            child = self.__dict__[name]
            if child is not None:
                yield from child.named_modules(memo, _joined(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _named_tensors(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name in getattr(module, table):
                tensor = module.__dict__[name]
                if tensor is None or id(tensor) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(tensor))
                yield _joined(path, name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with dotted names; a shared one comes once, under its first name."""
        return self._named_tensors("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with dotted names."""
        return self._named_tensors("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path such as `"encoder.0"`; AttributeError where there is none."""
        module = self
        for name in target.split(".") if target else []:
            if name not in module._module_names:
                raise AttributeError(f"{type(module).__name__} has no submodule {name!r} (on the way to {target!r})")
            module = module.__dict__[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path such as `"encoder.0.weight"`; AttributeError where there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._parameter_names:
            raise AttributeError(f"{type(module).__name__} has no parameter {name!r} (looking for {target!r})")
        return module.__dict__[name]

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below this one, then on this one: to initialise weights, say."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- modes ------------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (dropout drops), or with False to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError(f"train() takes True or False, got {mode!r}")
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero in place."""
        clear_gradients(self.parameters(), set_to_none)

    # ---- device and dtype -------------------------------------------------------------------------------------------

    def _convert(self, convert: Callable[[Tensor], Tensor]) -> Self:
        """Put `convert`'s result in the place of every parameter, buffer and gradient. The objects stay the same ones,
        so an optimizer that holds the parameters, and layers that share one, see the change."""
        for tensor in (*self.parameters(), *self.buffers()):
            gradient = tensor.grad
            tensor.data = convert(tensor.data)
            if gradient is not None:
                tensor.grad = convert(gradient.to_dense() if isinstance(gradient, Rows) else gradient)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move everything to a device, or its floating point tensors to a dtype: `to("cuda")`, `to(minigrad.float64)`,
        `to(device, dtype)`, `to(other_tensor)`. In place; returns the module."""
        device, dtype = _destination(*args, **kwargs)
        if dtype is not None and dtype.kind not in "fc":
            raise TypeError(f"a module's parameters are floating point, so to() cannot make them {dtype}")

        def convert(tensor: Tensor) -> Tensor:
            return tensor.to(
                device=tensor.device if device is None else device,
                dtype=dtype if dtype is not None and tensor.dtype.kind in "fc" else tensor.dtype,
            )

        return self._convert(convert)

    def cpu(self) -> Self:
        """Move everything to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move everything to a CUDA device, the current one unless a number or name is given."""
        return self.to("cuda" if device is None else device)

    def float(self) -> Self:
        """Make the floating point tensors float32."""
        return self.to(np.dtype("float32"))

    def double(self) -> Self:
        """Make the floating point tensors float64."""
        return self.to(np.dtype("float64"))

    def half(self) -> Self:
        """Make the floating point tensors float16."""
        return self.to(np.dtype("float16"))

    # ---- state ------------------------------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, in the memory of the module; `minigrad.save` takes it.

        Args:
            destination: a dictionary to add to, instead of a new one.
            prefix: put before every name.
            keep_vars: give the parameters themselves rather than detached tensors.
        """
        result = {} if destination is None else destination
        for name, tensor in self._named_state(prefix):
            result[name] = tensor if keep_vars else tensor.detach()
        return result

    def _named_state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(remove_duplicate=False):
            persistent = [name for name, keep in module._buffer_names.items() if keep]
            for name in (*module._parameter_names, *persistent):
                tensor = module.__dict__[name]
                if tensor is not None:
                    yield prefix + _joined(path, name), tensor

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy the values of a state dict into the parameters and buffers, converted to their device and dtype.

        Args:
            state_dict: tensors by dotted name, as `state_dict()` gives them.
            strict: every name must have its counterpart; otherwise what has none is skipped and returned.
            assign: take over the given tensors' memory, device and dtype instead of copying.

        Raises RuntimeError that lists every missing and unexpected name and every shape that differs. Nothing is
        changed then.
        """
        return state.load(type(self).__name__, dict(self._named_state()), state_dict, strict, assign)

    # ---- hooks ------------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward()`; what it returns, if not None, replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)` and returns `(args, kwargs)` or None.
        """
        hooks = self._own_hooks()
        return hooks.add(hooks.before, hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward()`; what it returns, if not None, replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`.
        """
        hooks = self._own_hooks()
        return hooks.add(hooks.after, hook, prepend, with_kwargs)

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    # ---- shown ------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr, before the submodules."""
        return ""

    def _described_children(self) -> list[str]:
        return [f"({name}): " + indented(repr(self.__dict__[name])) for name in self._module_names]

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = self._described_children()
        name = type(self).__name__
        if not children and len(lines) <= 1:
            return f"{name}({extra})"
        return "\n  ".join([f"{name}(", *lines, *children]) + "\n)"


def indented(text: str) -> str:
    """The lines after the first moved in, to stand inside a repr."""
    return text.replace("\n", "\n  ")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _destination(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, copy: bool = False
) -> tuple[Any, np.dtype[Any] | None]:
    """The device and dtype that `to()`'s arguments name, each None if they do not."""
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            dtype = value
        elif not isinstance(value, bool) and value is not None:
            device = value
    return device, None if dtype is None else np.dtype(dtype)
