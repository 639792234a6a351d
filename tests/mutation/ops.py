"""Mutation testing of `minigrad/ops`: change one thing in an op or a rule, and see whether the tests tell.

    PYTHONPATH=tests python -m mutation.ops                          # every file
    PYTHONPATH=tests python -m mutation.ops softmax norm             # some
    PYTHONPATH=tests python -m mutation.ops norm --seconds 90        # as many of each as 90 seconds allow
    PYTHONPATH=tests python -m mutation.ops norm --again old.txt     # what an output names as survivors
    PYTHONPATH=tests python -m mutation.ops norm --tests tests/ops   # example tests from there alone

mutmut skips decorated functions and what stands outside functions, and ops and rules are just that. Here a mutant is
the code object of one function, compiled from the file with one change and put into the functions that run it, in a
forked process: no import, nothing to put back, and one that never ends can be killed.

First everything runs once unchanged, to note which specs and which example tests reach which function. A mutant is then
shown to the specs that reach its function, the op's own first, and what they leave to the example tests that do. It all
happens inside of pytest, which has collected those tests.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import copy
import gc
import importlib
import inspect
import math
import os
import pkgutil
import random
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from specs import PUBLIC, SPECS

import minigrad
from minigrad.testing import OpSpec
from minigrad.testing.properties import properties_of, verify

DRAWN: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
}
FEW = {**DRAWN, "max_examples": 8, "phases": [Phase.generate]}  # for a property
TESTS = ["tests/ops", "tests/core", "tests/nn", "tests/kernels", "tests/oracle", "tests/test_regressions.py"]
LEFT_OUT = ["tests/core/machine", "tests/core/test_graph_memory.py"]  # minutes, and nothing about one op
EVERY = [*SPECS, *PUBLIC.values()]
FIRST = {"gradient_is_numeric", "equals_reference"}  # they find most
SPECS_ASKED = 6  # of those that reach the function, of these two properties
ASKED_OF_ALL = 2  # of the others, too
TESTS_ASKED = 15.0  # seconds, as long as they take unchanged
PATIENCE = 30  # seconds of the processor, before a mutant counts as endless
MEMORY = 8 << 30  # bytes

Living = dict[CodeType, list[FunctionType]]

_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


# ---- mutants --------------------------------------------------------------------------------------------------------


@dataclass
class Mutant:
    """One change: where, what, the functions that have it (one code may serve several), and their new code."""

    place: str
    what: str
    functions: list[FunctionType]
    code: CodeType

    def __str__(self) -> str:
        return f"{self.code.co_name}: {self.what}"  # without the line, by which `--again` would not know it again


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


def inner(code: CodeType) -> list[CodeType]:
    """The code objects in a code object, in order."""
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def differing(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code objects inside that the change is in, outermost first."""
    if len(inner(before)) == len(inner(after)):
        for one, other in zip(inner(before), inner(after)):
            if one != other:
                yield one, other
                yield from differing(one, other)


def mutants(path: Path, living: Living) -> list[Mutant]:
    """Every change of a file that can be put into functions which are there already."""
    tree = ast.parse(path.read_text())
    original = compile(tree, str(path), "exec")
    found = []
    for site in list(sites(tree)):
        for change in changes(site):
            new = ast.copy_location(copy.deepcopy(change), site)
            mutated = ast.fix_missing_locations(_Replaced(site, new).visit(copy.deepcopy(tree, {id(site): site})))
            pairs = [
                (before, after)
                for before, after in differing(original, compile(mutated, str(path), "exec"))
                if before in living and len(before.co_freevars) == len(after.co_freevars)
            ]
            if pairs:
                what = f"{ast.unparse(site)}  ->  {ast.unparse(new)}"
                before, after = pairs[-1]
                found.append(Mutant(f"{path.name}:{site.lineno}", what, living[before], after))
    return found


def functions_of(files: set[str]) -> Living:
    """The functions there are from these files, by their code: forwards, rules, backwards, what they call."""
    living: Living = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename in files:
            living.setdefault(one.__code__, []).append(one)
    return living


# ---- who may find them ----------------------------------------------------------------------------------------------


@dataclass
class Reach:
    """A spec, or an example test: which functions it enters, and how long it takes."""

    what: Any
    seconds: float = 0.0
    places: set[str] = field(default_factory=set)

    def watch(self, run: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run it once."""
        _ENTERED.clear()
        began = time.perf_counter()
        result = run(*arguments, **options)
        self.seconds = time.perf_counter() - began
        self.places = set(_ENTERED)
        return result


_ENTERED: set[str] = set()  # by functions that are marked


def place_of(code: CodeType) -> str:
    """The file and line that a function begins in."""
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


class _Marked(ast.NodeTransformer):
    """Every function and lambda first says that it is entered."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.generic_visit(node)
        node.body = [ast.Expr(self.said(min(one.lineno for one in (node, *node.decorator_list)))), *node.body]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self.generic_visit(node)
        node.body = ast.BoolOp(ast.Or(), [self.said(node.lineno), node.body])  # the call gives None
        return node

    def said(self, line: int) -> ast.Call:
        return ast.Call(ast.Name("_entered", ast.Load()), [ast.Constant(f"{self.name}:{line}")], [])


@contextlib.contextmanager
def marked(paths: list[Path], living: Living) -> Iterator[None]:
    """Inside, the functions of these files note that they are entered."""
    builtins._entered = _ENTERED.add  # type: ignore[attr-defined]
    before = {code: functions[0].__code__ for code, functions in living.items()}
    for path in paths:
        tree = ast.parse(path.read_text())
        new = ast.fix_missing_locations(_Marked(path.name).visit(copy.deepcopy(tree)))
        for one, other in differing(compile(tree, str(path), "exec"), compile(new, str(path), "exec")):
            for function in living.get(one, []):
                function.__code__ = other
    yield
    for code, functions in living.items():
        for function in functions:
            function.__code__ = before[code]


def own_places(spec: OpSpec) -> set[str]:
    """Where it stands: an op's forward, its rules or its backward; a plain function is its own only part."""
    op = spec.record
    parts = [spec.call] if op is None else [op.forward, getattr(op, "hand_written", None)]
    parts += [] if op is None else [rule for rule, _ in op.rules.values()]
    return {place_of(one.__code__) for one in map(inspect.unwrap, filter(None, parts)) if isinstance(one, FunctionType)}


def specs_for(reaches: list[Reach], place: str) -> list[OpSpec]:
    """The specs that reach a function: those it is a part of first, then those that reach little else."""
    own = {id(one): place in own_places(one.what) for one in reaches}
    found = [one for one in reaches if place in one.places or own[id(one)]]
    found.sort(key=lambda one: (not own[id(one)], len(one.places)))
    return [one.what for one in found[:SPECS_ASKED]]


def tests_for(reaches: list[Reach], place: str) -> list[Reach]:
    """The example tests that reach a function: those that reach little else first, as many as there is time for."""
    found, end = [], TESTS_ASKED
    for one in sorted((one for one in reaches if place in one.places), key=lambda one: len(one.places)):
        if one.seconds <= end:
            found.append(one)
            end -= one.seconds
    return found


# ---- one mutant -----------------------------------------------------------------------------------------------------


def killing_property(specs: list[OpSpec]) -> str | None:
    """Which property tells: `op: property`, or None."""
    pairs = [(spec, prop) for spec in specs for prop in properties_of(spec)]
    others = [(spec, prop) for spec, prop in pairs if prop.name not in FIRST and spec in specs[:ASKED_OF_ALL]]
    for spec, prop in [*[(spec, prop) for spec, prop in pairs if prop.name in FIRST], *others]:
        try:
            verify(spec, prop, **FEW)
        except Exception:
            return f"{spec.name}: {prop.name}"
    return None


def run_test(item: Any) -> bool:
    """Whether an example test passes, as pytest runs it."""
    failed = item.session.testsfailed
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return bool(item.session.testsfailed == failed)


def killer(specs: list[OpSpec], tests: list[Reach]) -> str:
    """Who tells: "property …", "test …", or nothing."""
    found = killing_property(specs)
    if found is not None:
        return f"property {found}"
    for one in tests:
        if not run_test(one.what):
            return f"test {one.what.nodeid}"
    return ""


def forked(task: Callable[[], str]) -> str:
    """What a task gives in a process of its own; "property endless" or "property crash" where it gives nothing."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        signal.alarm(10 * PATIENCE)  # one that waits uses no processor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.write(writing, f"{task()}\n".encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    endless = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM)
    return said.strip() if said else "property endless" if endless else "property crash"


# ---- all of them ----------------------------------------------------------------------------------------------------


class Runner:
    """A plugin of pytest: in the place of running the tests, it runs them against mutants."""

    def __init__(self, names: list[str], seconds: float, again: set[str] | None) -> None:
        self.paths = [Path(importlib.import_module(f"minigrad.ops.{name}").__file__ or "") for name in names]
        self.seconds, self.again = seconds, again

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        settings.register_profile(
            "mutants", settings(), **{**DRAWN, "max_examples": 25, "phases": [Phase.explicit, Phase.generate]}
        )
        settings.load_profile("mutants")
        session.config.pluginmanager.unregister(name="terminalreporter")  # what a mutant fails is not reported
        gc.collect()
        living = functions_of({str(path) for path in self.paths})
        with marked(self.paths, living):
            specs, tests = self.unchanged(session)
        gc.freeze()  # a forked process need not look at all this, and so copies less of it
        for path in self.paths:
            self.run(path, living, specs, tests)
        return True

    def unchanged(self, session: pytest.Session) -> tuple[list[Reach], list[Reach]]:
        """Run everything once, to see what reaches what. What fails is left out, and named."""
        specs, tests = [Reach(spec) for spec in EVERY], [Reach(item) for item in session.items]
        for reach in specs:
            prop = max(properties_of(reach.what), key=lambda prop: prop.name == "gradient_is_numeric")
            reach.watch(verify, reach.what, prop, **{**FEW, "max_examples": 3})
        for reach in list(tests):
            if not reach.watch(run_test, reach.what):
                print(f"fails unchanged, left out: {reach.what.nodeid}", flush=True)
                tests.remove(reach)
        print(f"{len(specs)} specs, {len(tests)} tests, {sum(one.seconds for one in tests):.0f} seconds", flush=True)
        return specs, tests

    def run(self, path: Path, living: Living, specs: list[Reach], tests: list[Reach]) -> None:
        """Try a file's mutants, in a drawn order, while there is time: prints survivors, and a score."""
        with warnings.catch_warnings(action="ignore"):  # Python sees that some mutants make no sense
            every = [one for one in mutants(path, living) if self.again is None or str(one) in self.again]
        random.Random(0).shuffle(every)
        end, found = time.monotonic() + self.seconds, []
        for mutant in every:
            if time.monotonic() > end:
                break
            told = self.told_by(mutant, specs, tests)
            print(f"  {told} tells" if told else "  survived", f"{mutant.place} in {mutant}", flush=True)
            found.append(told)
        by_test, by_property = (sum(told.startswith(kind) for told in found) for kind in ("test", "property"))
        print(
            f"{path.stem}: {by_property} caught by properties, {by_test} by example tests, "
            f"{len(found) - by_test - by_property} left, of {len(found)} tried, of {len(every)} mutants",
            flush=True,
        )

    def told_by(self, mutant: Mutant, specs: list[Reach], tests: list[Reach]) -> str:
        """Put the mutant in, in another process, and ask."""
        place = place_of(mutant.functions[0].__code__)
        asked, examples = specs_for(specs, place), tests_for(tests, place)

        def task() -> str:
            for function in mutant.functions:
                function.__code__ = mutant.code
            return killer(asked, examples)

        return forked(task)


def main() -> None:
    """The files named, or all."""
    warnings.simplefilter("ignore")
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch's further threads do not live on in a forked process: it would wait
    parser = argparse.ArgumentParser(prog="python -m mutation.ops", description="Mutation testing of minigrad/ops.")
    parser.add_argument("names", nargs="*", help="files of minigrad/ops")
    parser.add_argument("--seconds", type=float, default=math.inf, help="for each file")
    parser.add_argument("--again", type=Path, help="an output of this program: only the survivors in it")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="where the example tests are")
    given = parser.parse_args()
    names = given.names or [found.name for found in pkgutil.iter_modules(minigrad.ops.__path__)]
    options = ["-q", "-s", "-p", "no:cacheprovider", *[f"--ignore={one}" for one in LEFT_OUT]]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here before pytest
    before = given.again.read_text().splitlines() if given.again else []
    survivors = {line.split(" in ", 1)[1] for line in before if line.startswith("  survived")}
    runner = Runner(names, given.seconds, survivors if given.again else None)
    with contextlib.suppress(KeyboardInterrupt):
        pytest.main([*given.tests, *options], plugins=[runner])


if __name__ == "__main__":
    main()
