"""The pytest plugin, in small suites of its own that are written and run here."""

from __future__ import annotations

import os
import re
from typing import Any

import hypothesis.core
import pytest

pytest_plugins = ["pytester"]

COUNTED = """
    from hypothesis import given, settings, strategies as st

    seen = []

    @given(st.integers())
    def test_drawn(n):
        seen.append(n)

    def test_drawn_inside():
        @given(st.integers())
        def property(n):
            pass
        property()

    def test_says():
        print(f"profile={settings.get_current_profile_name()} seen={len(seen)} first={seen[:5]}")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a test file and run it: `suite(source, *options) -> result`; `alone=True` in a process of its own."""
    for name in ("MINIGRAD_PROFILE", "PYTEST_ADDOPTS", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(__file__)))
    monkeypatch.setattr(hypothesis.core, "global_force_seed", None)  # which a run in this process may set

    def run(source: str, *options: str, alone: bool = False) -> pytest.RunResult:
        pytester.makepyfile(source)
        run = pytester.runpytest_subprocess if alone else pytester.runpytest_inprocess
        return run("-p", "pytest_minigrad", "-p", "no:cacheprovider", *options)

    return run


def said(result: pytest.RunResult, pattern: str) -> str:
    found = re.search(pattern, result.stdout.str())
    assert found, f"{pattern!r} is not in:\n{result.stdout.str()}"
    return found[found.re.groups and 1]


# ---- a suite that does not ask ---------------------------------------------------------------------------------------


def test_a_suite_that_asks_for_nothing_imports_nothing_and_keeps_its_settings(suite: Any) -> None:
    result = suite(
        """
        import sys

        def test_nothing_came_along():
            assert not {"numpy", "hypothesis", "minigrad"} & sys.modules.keys()

        def test_hypothesis_is_as_it_was():
            from hypothesis import settings
            assert (settings.get_current_profile_name(), settings.default.max_examples) == ("default", 100)
        """,
        alone=True,
    )
    result.assert_outcomes(passed=2)
    assert "minigrad profile" not in result.stdout.str()


@pytest.mark.parametrize("ask", [False, True])
def test_hypothesis_is_needed_for_a_profile_alone(suite: Any, pytester: pytest.Pytester, ask: bool) -> None:
    without = pytester.mkpydir("hypothesis") / "__init__.py"  # found before the real one
    without.write_text("raise ModuleNotFoundError('as if it were not installed', name='hypothesis')")
    options = ["-p", "no:hypothesispytest", *(["--minigrad-profile=ci"] if ask else [])]
    result = suite("def test_it(gradcheck, seeded, standin, no_graph_leaks): pass", *options, alone=True)
    if ask:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*the profile 'ci' is one of hypothesis's settings: pip install hypothesis"])
    else:
        result.assert_outcomes(passed=1)


def test_it_is_loaded_once_however_often_it_is_named(suite: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("pytest_plugins = ['pytest_minigrad']")
    suite("def test_nothing(): pass", "-p", "pytest_minigrad").assert_outcomes(passed=1)


# ---- profiles --------------------------------------------------------------------------------------------------------


def test_option_before_environment_before_settings(
    suite: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nminigrad_profile = thorough")
    monkeypatch.setenv("MINIGRAD_PROFILE", "ci")
    assert said(suite(COUNTED, "-s", "--minigrad-profile=dev"), r"profile=(\S+)") == "minigrad-dev"
    assert said(suite(COUNTED, "-s"), r"profile=(\S+)") == "minigrad-ci"
    monkeypatch.delenv("MINIGRAD_PROFILE")
    assert said(suite(COUNTED, "-s"), r"profile=(\S+)") == "minigrad-thorough"
    assert said(suite(COUNTED, "-s", "--hypothesis-profile=default"), r"profile=(\S+)") == "default"


def test_ci_draws_the_same_in_each_run(suite: Any) -> None:
    first, second = [said(suite(COUNTED, "-s", "--minigrad-profile=ci"), "seen=.*") for _ in range(2)]
    assert first == second
    assert first.startswith("seen=25 ")


@pytest.mark.parametrize("workers", [0, 2])
def test_examples_are_counted_in_all_processes(suite: Any, workers: int) -> None:
    options = ["-n", str(workers), "--dist=loadfile"] if workers else []
    result = suite(COUNTED, "--minigrad-profile=dev", *options)
    result.assert_outcomes(passed=3)
    assert said(result, "minigrad profile dev: 10 examples a property, drawn anew; (.*) in all") == "20"


def test_hypothesis_statistics_are_still_there(suite: Any) -> None:
    result = suite(COUNTED, "--minigrad-profile=dev", "--hypothesis-show-statistics")
    result.stdout.fnmatch_lines(["*during generate phase*", "*10 passing*"])


FAILS = """
    import pytest
    from hypothesis import given, strategies as st

    @pytest.mark.parametrize("case", ["a b"])
    def test_it(case):
        @given(st.integers(0, 10**9))
        def property(n):
            assert n % 3, f"n={n}"
        property()
"""


@pytest.mark.parametrize("profile", ["dev", "ci", "thorough"])
def test_a_failure_says_how_to_see_it_again(suite: Any, profile: str) -> None:
    result = suite(FAILS, f"--minigrad-profile={profile}")
    command = said(result, r"- to see it again -+\n(.*)")
    assert re.fullmatch(rf"python -m pytest --minigrad-profile={profile}.* '\S+::test_it\[a b\]'", command)
    assert ("--hypothesis-seed=" in command) == (profile == "thorough")


def test_a_seed_that_was_printed_draws_the_same_examples(suite: Any) -> None:
    first = suite(COUNTED, "-s", "--minigrad-profile=thorough")
    seed = said(first, r"minigrad profile thorough: 300 examples a property, from seed (\d+); 600 in all")
    again = suite(COUNTED, "-s", "--minigrad-profile=thorough", f"--hypothesis-seed={seed}")
    assert said(first, "seen=.*") == said(again, "seen=.*")


def test_mistakes_in_choosing_are_said(suite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    both = suite(COUNTED, "--minigrad-profile=dev", "--hypothesis-profile=default")
    both.stderr.fnmatch_lines(["*--minigrad-profile and --hypothesis-profile both choose a profile: give one of them"])
    monkeypatch.setenv("MINIGRAD_PROFILE", "fast")
    unknown = suite(COUNTED)
    unknown.stderr.fnmatch_lines(["*there is no minigrad profile 'fast': choose one of dev, ci, thorough"])
    assert both.ret == unknown.ret == pytest.ExitCode.USAGE_ERROR


# ---- fixtures --------------------------------------------------------------------------------------------------------


def test_the_fixtures_do_what_they_say(suite: Any) -> None:
    result = suite(
        """
        import minigrad, pytest
        from hypothesis import Phase, given, strategies as st

        drawn = []

        @given(st.floats(-3, 3))
        def test_a_gradient(gradcheck, value):
            gradcheck(lambda x: x.tanh(), minigrad.tensor(value, dtype=minigrad.float64, requires_grad=True))

        def test_an_op(check_op):
            wrong = lambda x: x + 1
            with pytest.raises(AssertionError):
                check_op(minigrad.testing.OpSpec("tanh", wrong), max_examples=5, phases=[Phase.generate])

        @pytest.mark.parametrize("time", [1, 2])
        def test_random_numbers(seeded, time):
            drawn.append(minigrad.rand(3).tolist())
            assert drawn[-1] == drawn[0]
            assert minigrad.initial_seed() == seeded

        def test_random_numbers_go_on_where_they_were():
            assert minigrad.rand(3).tolist() != drawn[0]

        def test_another_device(standin):
            assert str(minigrad.ones(2).to(standin).device) == "standin:0"
        """,
        alone=True,
    )
    result.assert_outcomes(passed=6)


LEAKS = """
    import gc
    import minigrad

    kept = []
    weight = minigrad.ones(3, requires_grad=True)

    def test_keeps_nothing(no_graph_leaks):
        for _ in range(3):
            (weight * 2).sum().backward()
        kept.append((weight * 2).sum().item())

    def test_keeps_losses(no_graph_leaks):
        for _ in range(3):
            kept.append((weight * 2).sum())

    def test_was_not_to_blame_for_those_before(no_graph_leaks):
        assert gc.isenabled() is False

    def test_holds_itself(no_graph_leaks):
        loss = (weight * 2).sum()
        loss.register_hook(lambda g: g * loss)

    def test_fails_by_itself(no_graph_leaks):
        loss = (weight * 2).sum()
        assert not loss.requires_grad

    def test_collects_again():
        assert gc.isenabled()
"""


def test_a_graph_that_is_left_behind_fails_its_test(suite: Any) -> None:
    result = suite(LEAKS)
    result.assert_outcomes(passed=5, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "6 recorded ops are left after the test, the first of them MulBackward0 of *, in test_keeps_losses: "
            "kept.append((weight * 2).sum()); something still refers to them, *keep loss.item() or loss.detach()",
            "2 recorded ops are left after the test, * in test_holds_itself: loss = (weight * 2).sum(); "
            "they refer to themselves in a circle, *",
        ]
    )
