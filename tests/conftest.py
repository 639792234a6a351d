"""Settings for the whole suite. Which profile of hypothesis it runs under is said in pyproject.toml."""

from __future__ import annotations

pytest_plugins = ["pytest_minigrad"]  # also where minigrad is not installed, as in a checkout beside one that is
