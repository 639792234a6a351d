"""Mutation testing of what mutmut leaves out of the heart: functions inside functions, and properties.

    PYTHONPATH=tests python -m mutation.inner lean:_of_one lean:_of_two lean:_of_three plan:_ fused:fused tensor

The way most calls take through an op is such a function, and every op has a copy of it: a mutant is put into all of
them, and the tests run in a process forked for it, which has everything imported.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from mutation.ops import Mutant, functions_of, mutants

SUITE = ["calls", "primitive", "in_place_details", "versions", "views", "backward", "accumulation", "anomaly"]
SUITE += ["hooks_and_modes", "engine_details", "rows", "tensor", "modes", "call_details", "dtypes", "rule_details"]
SUITE += ["promotion_details", "plan", "lean"]
ARGUMENTS = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
PATIENCE = 60  # seconds of computing for one mutant; a machine may be loaded


def properties_of(module: Any) -> set[CodeType]:
    """The code of the properties of a module's classes."""
    return {
        part.__code__
        for one in vars(module).values() if isinstance(one, type)
        for held in vars(one).values() if isinstance(held, property)
        for part in (held.fget, held.fset, held.fdel) if isinstance(part, FunctionType)
    }  # fmt: skip


def survives(mutant: Mutant, suite: list[str]) -> bool:
    """Whether the tests pass with it; they run in a process of their own."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))  # ends the process
        signal.alarm(10 * PATIENCE)  # if it waits for itself and computes nothing
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            for function in mutant.functions:
                function.__code__ = mutant.code
            os._exit(pytest.main([*ARGUMENTS, *suite]))
    return os.waitpid(child, 0)[1] == 0


def main(names: list[str]) -> None:
    """The functions whose qualified names begin so, as file:beginning, or the properties of a file: the survivors, and
    a score for each."""
    suite = [str(one) for name in SUITE if (one := Path(f"tests/core/test_{name}.py")).exists()]
    assert pytest.main([*ARGUMENTS, *suite]) == 0, "the tests must pass before anything is changed"
    for name in names:
        file, _, beginning = name.partition(":")
        module: Any = importlib.import_module(f"minigrad.core.{file}")
        path, properties = Path(module.__file__), properties_of(module)
        living = {
            code: functions
            for code, functions in functions_of({str(path)}).items()
            if (code.co_qualname.startswith(beginning) if beginning else code in properties)
        }
        killed = count = 0
        for mutant in mutants(path, living):
            count += 1
            if survives(mutant, suite):
                print(f"  survived {mutant.place} in {mutant.code.co_qualname}: {mutant.what}", flush=True)
            else:
                killed += 1
        print(f"{name}: {killed} of {count} killed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
