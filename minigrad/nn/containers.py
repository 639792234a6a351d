"""Modules that hold modules: in a row, in a list, in a dictionary; and parameters in a list."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from minigrad.core.tensor import Tensor
from minigrad.nn.module import Module, indented
from minigrad.nn.parameter import Parameter


class _Row(Module):
    """Submodules numbered from 0: what Sequential and ModuleList have in common."""

    _part: Callable[[slice], Any]  # another of the same kind, with the modules of a slice

    def _members(self) -> list[Module]:
        attributes = self.__dict__
        return [attributes[name] for name in self._module_names]

    def _replace(self, modules: Iterable[Module]) -> None:
        """Hold these modules and no others, numbered anew."""
        modules = list(modules)
        for name in list(self._module_names):
            delattr(self, name)
        for number, module in enumerate(modules):
            self.register_module(str(number), module)

    def _name_at(self, index: Any) -> str:
        names, position = list(self._module_names), operator.index(index)
        if not -len(names) <= position < len(names):
            raise IndexError(f"index {position} is out of range for a {type(self).__name__} of {len(names)} modules")
        return names[position]

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members())

    def __contains__(self, module: object) -> bool:
        return any(member is module for member in self._members())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        return self.__dict__[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        members = self._members()
        del members[index]
        self._replace(members)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`."""
        members = self._members()
        members.insert(index, module)
        self._replace(members)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out."""
        module = self[index]
        del self[index]
        return module


class Sequential(_Row):
    """Modules in a row, each called with the result of the one before: `Sequential(a, b)(x)` is `b(a(x))`.

    Also takes one dictionary of named modules.
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.register_module(name, module)
        else:
            self.extend(modules)

    def _part(self, index: slice) -> Self:
        return type(self)({name: self.__dict__[name] for name in list(self._module_names)[index]})

    def forward(self, input: Any) -> Any:
        """The modules one after the other."""
        attributes = self.__dict__
        for name in self._module_names:
            input = attributes[name](input)
        return input


class ModuleList(_Row):
    """Modules in a list; what is done with them is for the owner's `forward()` to say."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def _part(self, index: slice) -> Self:
        return type(self)(self._members()[index])

    def _described_children(self) -> list[str]:
        """Modules that look alike share a line: `(0-5): 6 x Linear(...)`."""
        lines, start = [], 0
        for text, alike in itertools.groupby(map(repr, self._members())):
            count = len(list(alike))
            numbers, times = (f"{start}", "") if count == 1 else (f"{start}-{start + count - 1}", f"{count} x ")
            lines.append(f"({numbers}): {times}{indented(text)}")
            start += count
        return lines


class ModuleDict(Module):
    """Modules by name."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def __getitem__(self, name: str) -> Any:
        if name not in self._module_names:
            raise KeyError(name)
        return self.__dict__[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.register_module(name, module)

    def __delitem__(self, name: str) -> None:
        if name not in self._module_names:
            raise KeyError(name)
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._module_names)

    def __contains__(self, name: object) -> bool:
        return name in self._module_names

    def keys(self) -> list[str]:
        """The names, in the order they were added."""
        return list(self._module_names)

    def values(self) -> list[Module]:
        """The modules."""
        return [self.__dict__[name] for name in self._module_names]

    def items(self) -> list[tuple[str, Module]]:
        """The names with their modules."""
        return list(zip(self.keys(), self.values(), strict=True))

    def pop(self, name: str) -> Module:
        """Take a module out."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in self.keys():
            delattr(self, name)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules of a dictionary, or of (name, module) pairs."""
        for name, module in dict(modules).items():
            self.register_module(name, module)


class ParameterList(Module):
    """Parameters in a list, numbered from 0. A plain Tensor that is put in becomes a Parameter."""

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def __len__(self) -> int:
        return len(self._parameter_names)

    def __iter__(self) -> Iterator[Parameter]:
        return iter([self.__dict__[name] for name in self._parameter_names])

    def __getitem__(self, index: Any) -> Any:
        return type(self)(list(self)[index]) if isinstance(index, slice) else list(self)[operator.index(index)]

    def __setitem__(self, index: int, value: Tensor) -> None:
        position = range(len(self))[operator.index(index)]
        self.register_parameter(str(position), _as_parameter(value))

    def append(self, value: Tensor) -> Self:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Add parameters at the end."""
        for value in list(values):
            self.append(value)
        return self

    def _described_children(self) -> list[str]:
        return [
            f"({number}): Parameter containing: [{parameter.dtype} of size {'x'.join(map(str, parameter.shape))}]"
            for number, parameter in enumerate(self)
        ]


def _as_parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)
