"""Mutation testing of what mutmut leaves out of the heart: functions inside functions, and properties.

    PYTHONPATH=tests python -m mutation.inner lean:function fused:call tensor

The way most calls take through an op is such a function inside `lean._of_two`, and every op has a copy of it. So a
mutant is put into all functions that have the code that it changes, and into those that make more of them, and the
tests run in a process forked for it, which has everything imported.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import signal
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from mutation.ops import codes, mutants

SUITE = ["calls", "primitive", "in_place_details", "versions", "views", "backward", "accumulation", "anomaly"]
SUITE += ["hooks_and_modes", "engine_details", "rows", "tensor", "modes", "call_details", "dtypes", "rule_details"]
SUITE += ["promotion_details"]
ARGUMENTS = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
PATIENCE = 60  # seconds of computing for one mutant; a machine may be loaded


def holders(code: CodeType) -> list[FunctionType]:
    """Every function there is that runs this code, or makes functions that do."""
    functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
    return [one for one in functions if one.__code__.co_filename == code.co_filename and code in codes(one.__code__)]


def exchanged(code: CodeType, part: CodeType, other: CodeType) -> CodeType:
    """`code` with another code in the place of `part`, which is itself or somewhere inside."""
    if code == part:
        return other
    constants = [exchanged(one, part, other) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.replace(co_consts=tuple(constants))


def survives(code: CodeType, mutant: CodeType, suite: list[str]) -> bool:
    """Whether the tests pass with the one in the place of the other; they run in a process of their own."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))  # ends the process
        signal.alarm(10 * PATIENCE)  # if it waits for itself and computes nothing
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            for function in holders(code):
                function.__code__ = exchanged(function.__code__, code, mutant)
            os._exit(pytest.main([*ARGUMENTS, *suite]))
    return os.waitpid(child, 0)[1] == 0


def main(names: list[str]) -> None:
    """The functions named, as file:function, or the properties of a file: the survivors, and a score for each."""
    suite = [str(one) for name in SUITE if (one := Path(f"tests/core/test_{name}.py")).exists()]
    assert pytest.main([*ARGUMENTS, *suite]) == 0, "the tests must pass before anything is changed"
    for name in names:
        module: Any = importlib.import_module(f"minigrad.core.{name.partition(':')[0]}")
        only = name.partition(":")[2]
        properties = {
            part.__code__
            for one in vars(module).values() if isinstance(one, type)
            for held in vars(one).values() if isinstance(held, property)
            for part in (held.fget, held.fset, held.fdel) if isinstance(part, FunctionType)
        }  # fmt: skip
        killed = count = 0
        for line, what, code, mutant in mutants(Path(module.__file__)):
            if not (code.co_name == only if only else code in properties):
                continue
            count += 1
            if survives(code, mutant, suite):
                print(f"  survived {name}:{line} in {code.co_name}: {what}", flush=True)
            else:
                killed += 1
        print(f"{name}: {killed} of {count} killed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
