"""Functions of the user's that run before and after a module's `forward()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.core.engine import RemovableHandle

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one module; a module without any has no such object, and is called the shorter way."""

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}
        self.with_kwargs: set[int] = set()

    def add(self, hooks: dict[int, Hook], hook: Hook, prepend: bool, with_kwargs: bool) -> RemovableHandle:
        """Put a hook at the end of `self.before` or `self.after`, or at the front."""
        handle = RemovableHandle(hooks)
        others = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[handle.id] = hook
        hooks.update(others)
        if with_kwargs:
            self.with_kwargs.add(handle.id)
        return handle

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run `module.forward(*args, **kwargs)` between the hooks."""
        for number, hook in list(self.before.items()):
            if number in self.with_kwargs:
                args, kwargs = hook(module, args, kwargs) or (args, kwargs)
                continue
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        output = module.forward(*args, **kwargs)
        for number, hook in list(self.after.items()):
            given = (module, args, kwargs, output) if number in self.with_kwargs else (module, args, output)
            changed = hook(*given)
            output = output if changed is None else changed
        return output
