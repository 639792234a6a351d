"""A public function called as a spec calls it: the tensors in front, the settings by keyword.

Some of PyTorch's functions take their tensors in a list, or a setting before them. A `Call` arranges the arguments, and
`on` does the same to PyTorch's function of that name, so that one spec serves both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class Call:
    """`function` with its arguments arranged by `arrange(function, *inputs, **settings)`."""

    def __init__(self, function: Callable[..., Any], arrange: Callable[..., Any]) -> None:
        self.function, self.arrange = function, arrange
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        return self.arrange(self.function, *inputs, **settings)

    def on(self, function: Callable[..., Any]) -> Call:
        """The same arrangement for another library's function."""
        return Call(function, self.arrange)


def listed(function: Callable[..., Any]) -> Call:
    """The tensors in one list: `cat([x, y], dim=1)`."""
    return Call(function, lambda function, *inputs, **settings: function(list(inputs), **settings))


def named(function: Callable[..., Any], *names: str) -> Call:
    """The tensors by keyword, for a function whose settings stand between them: `index_add(input=..., index=...)`."""

    def arrange(function: Callable[..., Any], *inputs: Any, **settings: Any) -> Any:
        given = {name: one for name, one in zip(names, inputs, strict=True) if one is not None}
        return function(**given, **settings)

    return Call(function, arrange)


def leading(function: Callable[..., Any], name: str) -> Call:
    """One setting in front of the tensors: `einsum("ij->ji", x)`."""
    return Call(function, lambda function, *inputs, **settings: function(settings.pop(name), *inputs, **settings))


def trailing(function: Callable[..., Any], name: str) -> Call:
    """One setting behind the tensors by position, whose name differs between the libraries: `x.view((2, 3))`."""
    return Call(function, lambda function, *inputs, **settings: function(*inputs, settings.pop(name), **settings))


def unwrapped(call: Any) -> Any:
    """The function that a spec's call is of."""
    return call.function if isinstance(call, Call) else call
