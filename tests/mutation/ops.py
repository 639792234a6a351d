"""Mutation testing of `minigrad/ops`: change one thing in an op or a rule, and see whether its properties tell.

    PYTHONPATH=tests python -m mutation.ops                # every file
    PYTHONPATH=tests python -m mutation.ops softmax norm   # some
    PYTHONPATH=tests python -m mutation.ops --seconds 90   # as many of each as 90 seconds allow, in a drawn order

mutmut skips decorated functions and what stands outside functions, and ops and rules are just that. Here a mutant is
the code object of one function, compiled from the file with one change and put into the function that is there
already; so a mutant costs a few examples, no import and no process. The properties of the ops that are the function or
call it may find the mutant; where no spec is so near, those of all the file's ops.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import math
import pkgutil
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from hypothesis import HealthCheck, Phase
from specs import PUBLIC, SPECS

import minigrad
from minigrad.testing import OpSpec
from minigrad.testing.properties import properties_of, verify

FEW: dict[str, Any] = {
    "max_examples": 8,
    "derandomize": True,
    "database": None,
    "deadline": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
EVERY = [*SPECS, *PUBLIC.values()]
PATIENCE = 20  # seconds for one property: a mutant may never end

_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class TooLongError(Exception):
    """A mutant did not end in time."""


# ---- mutants --------------------------------------------------------------------------------------------------------


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What can stand in the place of an expression: another operator, one operand alone, another constant."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in _SWAPS:
            yield ast.BinOp(node.left, _SWAPS[type(node.op)](), node.right)
        if isinstance(node.op, ast.MatMult):
            yield ast.BinOp(node.right, node.op, node.left)
        yield from (node.left, node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        yield ast.Compare(node.left, [_SWAPS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(_SWAPS[type(node.op)](), node.values)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield ast.Constant(node.value + 1)


class _Replaced(ast.NodeTransformer):
    def __init__(self, target: ast.AST, new: ast.AST) -> None:
        self.target, self.new = target, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.target else self.generic_visit(node)


def sites(tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions inside functions and lambdas, but not those of annotations, defaults, decorators and errors."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, inside = stack.pop()
        if isinstance(node, (ast.Raise, ast.ImportFrom, ast.Import, ast.JoinedStr)):
            continue
        if inside and isinstance(node, ast.expr):
            yield node
        if isinstance(node, ast.Lambda):
            stack.append((node.body, True))
        elif isinstance(node, ast.FunctionDef):
            stack += [(one, True) for one in node.body]
        elif isinstance(node, ast.AnnAssign):
            stack += [(node.value, inside)] if node.value else []
        else:
            stack += [(one, inside) for one in ast.iter_child_nodes(node)]


def codes(code: CodeType) -> list[CodeType]:
    """A code object and all those inside, in order."""
    return [code, *(inner for one in code.co_consts if isinstance(one, CodeType) for inner in codes(one))]


def mutants(path: Path) -> Iterator[tuple[int, str, CodeType, CodeType]]:
    """(line, what was changed, the function's code, its mutant) for every change that changes one function."""
    tree = ast.parse(path.read_text())
    original = codes(compile(tree, str(path), "exec"))[1:]
    for site in list(sites(tree)):
        for change in changes(site):
            new = ast.copy_location(copy.deepcopy(change), site)
            mutated = ast.fix_missing_locations(_Replaced(site, new).visit(copy.deepcopy(tree, {id(site): site})))
            pairs = list(zip(original, codes(compile(mutated, str(path), "exec"))[1:]))
            changed = [(one, other) for one, other in pairs if one != other]
            if changed:
                what = f"{ast.unparse(site)}  ->  {ast.unparse(new)}"
                yield site.lineno, what, *changed[-1]


# ---- who may find them ----------------------------------------------------------------------------------------------


def functions_of(module: Any) -> list[FunctionType]:
    """The functions that a file's ops are made of: forwards, rules, hand-written backwards, and what they call."""
    found: dict[int, FunctionType] = {}

    def note(value: Any) -> None:
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, FunctionType) and value.__code__.co_filename == module.__file__:
            found[id(value)] = value

    for value in vars(module).values():
        note(value)
    for spec in EVERY:
        for value in parts_of(spec):
            note(value)
    return list(found.values())


def parts_of(spec: OpSpec) -> list[FunctionType]:
    """The functions of an op: its forward, its rules or its backward; a plain function is its own only part."""
    op = spec.record
    parts = [spec.call] if op is None else [op.forward, getattr(op, "hand_written", None)]
    parts += [] if op is None else [rule for rule, _ in op.rules.values()]
    return [part for part in map(inspect.unwrap, filter(None, parts)) if isinstance(part, FunctionType)]


def specs_for(module: Any, code: CodeType) -> list[OpSpec]:
    """The specs of what is the function, or calls it by name; else of all the file's ops; else of the files with it."""

    def near(spec: OpSpec) -> bool:
        parts = [part.__code__ for part in parts_of(spec)]
        return spec.name == code.co_name or any(one == code or code.co_name in one.co_names for one in parts)

    def beside(spec: OpSpec) -> bool:
        return any(code.co_name in part.__globals__ for part in parts_of(spec))

    here = [one for one in EVERY if any(part.__module__ == module.__name__ for part in parts_of(one))]
    return [one for one in EVERY if near(one)] or here or [one for one in EVERY if beside(one)]


def killer(specs: list[OpSpec]) -> str | None:
    """Who found the mutant: `op: property`, or None."""
    for spec in specs:
        for prop in properties_of(spec):
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, 1)  # again each second: a finaliser may swallow it
            try:
                verify(spec, prop, **FEW)
            except Exception:
                return f"{spec.name}: {prop.name}"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _too_long(*_: Any) -> None:
    raise TooLongError


def run(module: Any, seconds: float) -> tuple[int, int, int]:
    """Try a file's mutants, in a drawn order, while there is time: prints survivors, gives (killed, tried, all)."""
    functions = {one.__code__: one for one in functions_of(module)}
    found_all = [one for one in mutants(Path(module.__file__)) if one[2] in functions]
    found_all = [one for one in found_all if len(one[2].co_freevars) == len(one[3].co_freevars)]
    random.Random(0).shuffle(found_all)
    end, killed, count = time.monotonic() + seconds, 0, 0
    for line, what, code, mutant in found_all:
        if time.monotonic() > end:
            break
        function = functions[code]
        specs = specs_for(module, code)  # before the change: it looks at code
        count += 1
        function.__code__ = mutant
        try:
            found = killer(specs)
        finally:
            function.__code__ = code
        killed += found is not None
        if found is None:
            print(f"  survived {Path(module.__file__).name}:{line} in {code.co_name}: {what}", flush=True)
    return killed, count, len(found_all)


def main(names: list[str]) -> None:
    """The files named, or all: the survivors, and a score for each."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    seconds = float(names[1]) if names[:1] == ["--seconds"] else math.inf
    names = names if math.isinf(seconds) else names[2:]
    for name in names or [found.name for found in pkgutil.iter_modules(minigrad.ops.__path__)]:
        killed, count, possible = run(importlib.import_module(f"minigrad.ops.{name}"), seconds)
        print(f"{name}: {killed} of {count} killed" + f", of {possible} in all" * (count < possible), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
