"""A pytest plugin for runs under mutmut, which puts a function of its own around every function it mutates.

Used by `[tool.mutmut]` in `pyproject.toml` and by nothing else; `README.md` beside this file says how.
"""

from __future__ import annotations

from hypothesis import Phase, settings

from minigrad.core import errors


def pytest_configure() -> None:
    """Take mutmut's frames for the package's own, and look for a failing example without making it smaller."""
    from mutmut.mutation import trampoline

    errors.is_inside[trampoline.__file__] = True  # else every error would name mutmut's line as the user's
    settings.register_profile("mutation", settings(), phases=[Phase.explicit, Phase.generate], database=None)
    settings.load_profile("mutation")
