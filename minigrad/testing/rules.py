"""Whether a rule reads as a rule: in words that raw arrays and Tensors both understand.

A rule runs on raw arrays in `backward()` and on Tensors under `create_graph`. What only one of the two has (`.copy()`,
`numpy.where`, `._array`) would fail on the other, or fall silently out of the graph. So a rule's syntax tree may hold
operators, indexing, conditions on shapes and settings, and calls of minigrad's own functions; in a rule of a user's,
also of the user's own, which are read in the same way.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from minigrad.core.primitive import Op

_FACTS = {"shape", "ndim", "dtype", "T", "mT"}
_SHARED_METHODS = {"reshape", "sum", "swapaxes", "cumsum"}  # the same name and meaning on arrays and Tensors
_OF_LISTS = {"append", "extend", "index", "count", "insert"}  # shape arithmetic
_SHAPE_ARITHMETIC = {
    "all", "any", "enumerate", "int", "isinstance", "len", "list", "max", "min", "range", "reversed", "set", "slice",
    "sorted", "sum", "tuple", "zip",
}  # fmt: skip
_ON_NUMBERS = {"abs", "float", "pow"}  # users' rules may: minigrad's own use ops, whose dtype is certain
_ARRAY_LIBRARIES = {"numpy", "cupy", "scipy", "torch", "jax"}
_WRITING = (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.Try, ast.With, ast.Delete, ast.Await, ast.Yield)


def rules_can_be_read(op: Op) -> bool:
    """Whether the op has rules, and their source is in files; at a prompt it is not, nor that of a callable object."""
    rules = [rule for rule, _ in op.rules.values() if not hasattr(rule, "op")]
    return bool(op.rules) and all(_can_be_read(rule) for rule in rules)


def faults_of_rules(op: Op) -> list[str]:
    """What in the op's rules is not a rule's language, one sentence each."""
    faults = []
    for name, (rule, _) in op.rules.items():
        for fault in _faults(rule):
            faults.append(f"{op.name}.vjp({name}=...): {fault}")
    return faults


def _can_be_read(rule: Any) -> bool:
    return isinstance(rule, FunctionType) and Path(rule.__code__.co_filename).is_file()


def _faults(rule: Any, reading: tuple[Any, ...] = ()) -> list[str]:
    """`reading` are the functions that called this one, which may call each other again."""
    if hasattr(rule, "op") or rule in reading:
        return []  # a primitive used as a rule
    reading = (*reading, rule)
    tree = _syntax_of(rule)
    arguments = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    local = arguments | {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    # All names of its module: `getclosurevars` finds those that a comprehension or a lambda inside uses only if they
    # are used outside of it as well.
    outside = {**rule.__globals__, **inspect.getclosurevars(rule).nonlocals}
    faults = []
    for node in ast.walk(tree):
        fault = _fault_of(node, arguments, local, outside, reading)
        if fault:
            faults.append(f"line {getattr(node, 'lineno', 0)}: {fault}")
    return faults


def _fault_of(
    node: ast.AST, arguments: set[str], local: set[str], outside: dict[str, Any], reading: tuple[Any, ...]
) -> str | None:
    if isinstance(node, _WRITING):
        return f"{type(node).__name__.lower()} has no place in a rule"
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return f"`{ast.unparse(node)} = ...` writes to an array, which may belong to someone else"
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in arguments:
        return f"`{ast.unparse(node)}` may write to an array, which may belong to someone else"
    if isinstance(node, ast.Call):
        return _fault_of_call(node, local, outside, reading)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in local:
        return _fault_of_word(node.attr)
    return None


def _fault_of_word(word: str) -> str | None:
    if word in _FACTS | _SHARED_METHODS | _OF_LISTS:
        return None
    return f"`.{word}` is not among what arrays and Tensors share: {', '.join(sorted(_FACTS | _SHARED_METHODS))}"


def _fault_of_call(node: ast.Call, local: set[str], outside: dict[str, Any], reading: tuple[Any, ...]) -> str | None:
    function = node.func
    if isinstance(function, ast.Name):
        builtin = _SHAPE_ARITHMETIC if _is_ours(reading[0]) else _SHAPE_ARITHMETIC | _ON_NUMBERS
        if function.id in local or (function.id in builtin and function.id not in outside):
            return None
        if function.id not in outside:
            kind = "a builtin" if hasattr(builtins, function.id) else "not known"
            return f"`{function.id}()` is {kind}, and not a function of minigrad's"
        return _fault_of_function(function.id, outside[function.id], reading)
    if isinstance(function, ast.Attribute):
        owner = function.value
        if isinstance(owner, ast.Name) and owner.id in outside and owner.id not in local:
            called = getattr(outside[owner.id], function.attr, None)
            return _fault_of_function(ast.unparse(function), called, reading)
        return _fault_of_word(function.attr)
    return f"`{ast.unparse(node)}` calls what has no name: use an op of minigrad's"


def _fault_of_function(name: str, function: Any, reading: tuple[Any, ...]) -> str | None:
    if hasattr(function, "op"):
        return None
    module = getattr(function, "__module__", None) or getattr(function, "__name__", "")
    if str(module).startswith("math"):
        return None  # on sizes
    if str(module).startswith("minigrad.") and not str(module).startswith("minigrad.backend"):
        return None
    users = not _is_ours(reading[0]) and str(module).split(".")[0] not in _ARRAY_LIBRARIES
    if users and _can_be_read(function):
        return "; ".join(f"in `{name}()`, {fault}" for fault in _faults(function, reading)) or None
    return f"`{name}()` belongs to {module or 'nothing known'}: use an op of minigrad's, which is recorded"


def _is_ours(rule: Callable[..., Any]) -> bool:
    return str(rule.__module__).startswith("minigrad.")


# ---- finding a rule in its file -------------------------------------------------------------------------------------


@cache
def _functions_in(filename: str) -> list[ast.Lambda | ast.FunctionDef]:
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Lambda, ast.FunctionDef))]


def _syntax_of(rule: Callable[..., Any]) -> ast.Lambda | ast.FunctionDef:
    """The rule's syntax tree: `inspect.getsource` cannot cut a lambda out of the call it is written in."""
    code = rule.__code__
    line, words = code.co_firstlineno, list(code.co_varnames[: code.co_argcount])
    for node in _functions_in(code.co_filename):
        first = min([node.lineno, *[one.lineno for one in getattr(node, "decorator_list", [])]])
        if first == line and [one.arg for one in node.args.args] == words and _body_matches(node, code):
            return node
    raise LookupError(f"the rule at {code.co_filename}:{line} was not found in its file")


def _body_matches(node: ast.Lambda | ast.FunctionDef, code: Any) -> bool:
    """Tells two lambdas of one line apart by the column their code starts at."""
    if not isinstance(node, ast.Lambda):
        return node.name == code.co_name
    columns = [
        (start, column) for start, _, column, _ in code.co_positions() if column is not None and start is not None
    ]
    body = node.body
    inside = [(body.lineno, body.col_offset), (body.end_lineno or body.lineno, body.end_col_offset or 0)]
    return any(inside[0] <= place <= inside[1] and place > (node.lineno, node.col_offset) for place in columns)
