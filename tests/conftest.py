"""Settings for the whole suite. Which profile of hypothesis it runs under is said in pyproject.toml."""

from __future__ import annotations

import importlib
import pkgutil

pytest_plugins = ["pytest_minigrad"]  # also where minigrad is not installed, as in a checkout beside one that is

OURS = ("minigrad", "nlp")


def pytest_collection() -> None:
    """Import every module of ours before any test runs, so that the profile `ci` draws the same in each run.

    Hypothesis draws, among others, the constants in the source of all modules that are imported at that moment. Were
    some imported by the tests that need them, what others draw would depend on which tests this process has run
    before: on how pytest-xdist has spread them, or on which file was asked for. Done no earlier than here, because in
    a worker of pytest-xdist coverage is measured from the start of the session on.
    """
    for package in OURS:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name is None or error.name.partition(".")[0] in OURS:
                    raise
                # What it needs is optional and not installed (CuPy, for one), so no test of this run imports it.
