"""A failing call written as Python that can be pasted: imports, arrays as literals, and the check that fails."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import to_host
from minigrad.core.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.testing.spec import Case, OpSpec

_TOO_MANY = 400  # numbers in one program
# What of a spec says which calls are drawn, and so means nothing once the call is there.
_OF_DRAWING = {"op", "reference", "arguments", "rare", "domain", "kinks"}
# What stands for something that cannot be imported, and so is no name for an import.
_KINDS = {"func", "op", "reference", "module", "optimizer", "value"}


class Source:
    """Lines of Python, and the imports that they turned out to need."""

    def __init__(self, *names: str) -> None:
        # By module and the name in there: what it is called here.
        self.imports = {("minigrad.testing", name): name for name in names}
        self.blanks: list[tuple[Any, str]] = []  # what is left to be filled in, and its name
        self.taken = {"np", "minigrad", "inputs", "spec", "case", *names}
        self.lines: list[str] = []
        self.numbers = 0

    def text(self) -> str:
        """The whole program; "" if it has more numbers than anybody pastes."""
        if self.numbers > _TOO_MANY:
            return ""
        froms: dict[str, list[str]] = {}
        for (module, name), alias in self.imports.items():
            froms.setdefault(module, []).append(name if alias == name else f"{name} as {alias}")
        imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(froms.items())]
        return "\n".join(["import numpy as np", "", "import minigrad", *imports, "", *self.lines])

    def name(self, value: Any, kind: str) -> str:
        """A name for a function: its own, imported, where it has one to import; else `kind`, to be filled in."""
        home = _home_of(value)
        if home is None:
            return self._blank(value, kind)
        module, path = home
        first, *rest = path.split(".")
        if (module, first) not in self.imports:
            self.imports[module, first] = self._free(first, _KINDS)
        return ".".join([self.imports[module, first], *rest])

    def _blank(self, value: Any, kind: str) -> str:
        """A name for what the reader has to fill in; one thing has one name."""
        for one, name in self.blanks:
            if one is value:
                return name
        name = self._free(kind)
        self.blanks.append((value, name))
        self.lines.append(f"{name} = ...  # your {kind} here: {_path_of(value) or type(value).__name__}")
        return name

    def _free(self, word: str, avoiding: Collection[str] = ()) -> str:
        """The word, or one like it, that nothing else in the program is called; it is taken then."""
        while word in self.taken or word in avoiding:
            word += "_"
        self.taken.add(word)
        return word

    def literal(self, value: Any) -> str:
        """An expression that makes an equal value."""
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, tuple):
            inside = ", ".join(map(self.literal, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.literal, value))}]"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.literal(key)}: {self.literal(one)}" for key, one in value.items()) + "}"
        if isinstance(value, (set, frozenset)):
            inside = ", ".join(sorted(map(self.literal, value)))
            plain = f"{{{inside}}}" if inside else ""
            return plain if plain and isinstance(value, set) else f"{type(value).__name__}({plain})"
        if isinstance(value, slice):
            return f"slice({', '.join(self.literal(one) for one in (value.start, value.stop, value.step))})"
        if isinstance(value, np.dtype):
            return f"np.dtype({self.literal(value.name)})"
        if isinstance(value, np.generic):
            return f"np.{type(value).__name__}({_number(value.item())})"
        if value is Ellipsis:
            return "..."
        if isinstance(value, float):
            return _number(value)
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)  # in double quotes
        if value is None or isinstance(value, (bool, int)):
            return repr(value)
        return self.name(value, "value")

    def array(self, array: np.ndarray[Any, Any]) -> str:
        """`np.array(...)` with the same numbers, dtype and, of a transposed one, order."""
        self.numbers += array.size
        if not array.size:
            return f"np.zeros({tuple(array.shape)}{_dtype(array, np.dtype(np.float64))})"
        plain = array.tolist()
        transposed = array.flags.f_contiguous and not array.flags.c_contiguous
        order = ', order="F"' if transposed else ""
        return f"np.array({_nested(plain)}{_dtype(array, np.array(plain).dtype)}{order})"

    def tensor(self, tensor: Tensor) -> str:
        """`minigrad.tensor(...)`, a leaf, whatever made the tensor."""
        where = "" if tensor.device.type == "cpu" else f", device={self.literal(str(tensor.device))}"
        needs = ", requires_grad=True" if tensor.requires_grad else ""
        return f"minigrad.tensor({self.array(to_host(tensor._array))}{where}{needs})"


def _home_of(value: Any) -> tuple[str, str] | None:
    """The module and the name under which a function can be imported; None for a lambda or one made in a function."""
    module, path = getattr(value, "__module__", None), _path_of(value)
    if module is None or path is None or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return (module, path) if found is not None and found == value else None


def _path_of(value: Any) -> str | None:
    """`Class.method` or `function`; a class method is called by the class it was asked of, not where it is written."""
    owner = getattr(value, "__self__", None)
    return f"{owner.__qualname__}.{value.__name__}" if isinstance(owner, type) else getattr(value, "__qualname__", None)


def _dtype(array: np.ndarray[Any, Any], guessed: np.dtype[Any]) -> str:
    return "" if array.dtype == guessed else f", dtype=np.{array.dtype.name if array.dtype.kind != 'b' else 'bool'}"


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return repr(value)


AGAIN = "To see it again:"  # how the note that an exception carries begins


def said_again(code: str) -> str:
    """The note that an exception carries; `code` is "" where the inputs are too large to print."""
    if not code:
        return f"{AGAIN} this example has more than {_TOO_MANY} numbers, too many to paste: try smaller inputs"
    return f"{AGAIN}\n\n{code}\n"


def code_of_gradcheck(
    check: Callable[..., Any], func: Callable[..., Any], inputs: Sequence[Any], options: dict[str, Any]
) -> str:
    """A program that calls `gradcheck` or `gradgradcheck` as it was called; "" if the inputs are too large to print."""
    source = Source(check.__name__)
    name = source.name(func, "func")
    listed = source.literal(list(inputs))
    defaults = {one.name: one.default for one in inspect.signature(check).parameters.values()}
    changed = [f", {key}={source.literal(value)}" for key, value in options.items() if value != defaults[key]]
    source.lines += [f"inputs = {listed}", f"{check.__name__}({name}, inputs{''.join(changed)})"]
    return source.text()


def code_of_property(spec: OpSpec, prop: str, case: Case, draws: Sequence[Any]) -> str:
    """A program that tries one property on one call; "" if the inputs are too large to print."""
    source = Source("OpSpec", "check_case")
    parts = [source.literal(spec.op) if isinstance(spec.op, str) else source.name(spec.op, "op")]
    if prop == "equals_reference":  # the only one that asks for it
        parts.append(source.name(spec.reference, "reference"))
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name not in _OF_DRAWING and value != field.default:
            parts.append(f"{field.name}={source.literal(value)}")
    drawn = f", draws={source.literal(list(draws))}" if draws else ""
    inputs, settings = source.literal(list(case.inputs)), source.literal(case.settings)
    source.lines += [
        f"spec = OpSpec({', '.join(parts)})",
        f"check_case(spec, {source.literal(prop)}, inputs={inputs}, settings={settings}{drawn})",
    ]
    return source.text()


def code_of_check(
    check: str, spec: Any, case: Any, prop: str, draws: Sequence[Any], *, drawing: set[str], asked_by: Mapping[str, str]
) -> str:
    """A program that tries one property on one case with `check_module` or `check_optimizer`; "" if it is too long.

    Args:
        check: the function's name.
        spec: a dataclass, whose first field is what is checked.
        case: a dataclass.
        prop: the property's name.
        draws: what it drew besides.
        drawing: the fields of the spec that say which cases are drawn, and so mean nothing once the case is there.
        asked_by: by field, a word in the names of the only properties that ask for it.
    """
    source = Source(check)
    first, *others = fields(spec)
    parts = [source.name(getattr(spec, first.name), first.name)]
    for field in others:
        value = getattr(spec, field.name)
        if field.name not in drawing and value != field.default and asked_by.get(field.name, "") in prop:
            said = source.name(value, field.name) if callable(value) else source.literal(value)
            parts.append(f"{field.name}={said}")
    inside = ", ".join(source.literal(getattr(case, one.name)) for one in fields(case))
    source.lines.append(f"case = {source.name(type(case), type(case).__name__)}({inside})")
    drawn = f", draws={source.literal(draws)}" if draws else ""
    source.lines.append(f"{check}({', '.join(parts)}, case=case, only={source.literal(prop)}{drawn})")
    return source.text()
