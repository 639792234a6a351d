"""The pytest plugin that comes with minigrad: profiles for property tests, and fixtures.

A suite has it as soon as minigrad is installed. It changes nothing until it is asked: by a fixture's name, or for a
profile, which says how many examples hypothesis draws for each property:

- `dev`, while writing: few examples, new ones in each run; what failed is tried again first;
- `ci`: more of them, and the same ones in each run;
- `thorough`, for a night: many, drawn from a seed that is printed.

Ask with `pytest --minigrad-profile=ci`, with `MINIGRAD_PROFILE=ci` in the environment, or for a project's every run
with `minigrad_profile = "ci"` in its pytest settings; the first of these counts. Fixtures: `gradcheck` and `check_op`,
the functions of `minigrad.testing`; `seeded`, `standin` and `no_graph_leaks`, see below.

The file lies beside the package because pytest imports it in every suite of the environment: from inside, it would
bring NumPy and all of minigrad along, before coverage is measured. So what it needs is imported where it is used.
"""

from __future__ import annotations

import gc
import os
import random
import shlex
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest

if TYPE_CHECKING:
    from minigrad.backend import Device
    from minigrad.core.engine import Node

PROFILES: dict[str, dict[str, Any]] = {
    "dev": {"max_examples": 10},
    "ci": {"max_examples": 25, "derandomize": True},
    "thorough": {"max_examples": 300},
}


# ---- profiles -------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--minigrad-profile`, and the setting of that name."""
    said = "how many examples a property gets: " + ", ".join(PROFILES)
    parser.getgroup("minigrad").addoption("--minigrad-profile", choices=list(PROFILES), help=said)
    parser.addini("minigrad_profile", f"{said}; MINIGRAD_PROFILE and --minigrad-profile go before", default="")


@pytest.hookimpl(tryfirst=True)  # before hypothesis's plugin reads the seed
def pytest_configure(config: pytest.Config) -> None:
    """Load the profile that was asked for, if one was."""
    name = _asked(config)
    if not name:
        return
    try:
        from hypothesis import HealthCheck, settings
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"the profile {name!r} is one of hypothesis's settings: pip install hypothesis"
        ) from error
    before = settings.get_current_profile_name()
    settings.register_profile(
        f"minigrad-{name}",
        **PROFILES[name],
        deadline=None,  # on a loaded machine a slow example says nothing
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile(f"minigrad-{name}")
    config.add_cleanup(lambda: settings.load_profile(before))
    if name == "thorough" and getattr(config.option, "hypothesis_seed", "") is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(10**9))
    config.pluginmanager.register(_Examples(name, getattr(config.option, "hypothesis_seed", None)), "minigrad-profile")


def _asked(config: pytest.Config) -> str:
    """The profile's name, or nothing; hypothesis's own option goes before the environment and the settings."""
    option = config.getoption("--minigrad-profile")
    if config.getoption("--hypothesis-profile", None):
        if option:
            raise pytest.UsageError(
                "--minigrad-profile and --hypothesis-profile both choose a profile: give one of them"
            )
        return ""
    name = option or os.environ.get("MINIGRAD_PROFILE") or config.getini("minigrad_profile")
    if name and name not in PROFILES:
        raise pytest.UsageError(f"there is no minigrad profile {name!r}: choose one of {', '.join(PROFILES)}")
    return name


class _Examples:
    """Counts the examples under a profile, and says of a failed test how to see it fail again."""

    def __init__(self, name: str, seed: str | None) -> None:
        options = PROFILES[name]
        kind = "the same in each run" if "derandomize" in options else f"from seed {seed}" if seed else "drawn anew"
        self.said = f"minigrad profile {name}: {options['max_examples']} examples a property, {kind}"
        self.command = f"python -m pytest --minigrad-profile={name}" + (f" --hypothesis-seed={seed}" if seed else "")
        self.of_test = self.of_all = 0

    def pytest_report_header(self) -> str:
        return self.said

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of hypothesis's wrapper, whose own callback goes on hearing
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        from hypothesis import statistics as of_hypothesis

        collector: Any = of_hypothesis.collector
        outer = collector.value
        self.of_test = 0

        def count(statistics: Any) -> None:
            for phase in ("reuse", "generate", "shrink"):
                cases = statistics.get(f"{phase}-phase", {}).get("test-cases", ())
                self.of_test += sum(case["status"] in ("valid", "interesting") for case in cases)
            if outer is not None:
                outer(statistics)

        with collector.with_value(count):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "call":
            report.minigrad_examples = self.of_test  # on the report, it finds its way out of a worker of pytest-xdist
            if report.failed:
                report.sections.append(("to see it again", f"{self.command} {shlex.quote(item.nodeid)}"))
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.of_all += getattr(report, "minigrad_examples", 0)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(f"{self.said}; {self.of_all:,} in all")


# ---- fixtures -------------------------------------------------------------------------------------------------------
# Those without a state of their own are made once a session: hypothesis would refuse them beside @given otherwise.


@pytest.fixture(scope="session")
def gradcheck() -> Callable[..., bool]:
    """`minigrad.testing.gradcheck`: a function's gradient against the numeric one, at one point."""
    from minigrad import testing

    return testing.gradcheck


@pytest.fixture(scope="session")
def check_op() -> Callable[..., Any]:
    """`minigrad.testing.check_op`: every property of an op, on drawn arguments."""
    from minigrad import testing

    return testing.check_op


@pytest.fixture(scope="session")
def standin() -> Device:
    """A device that stands in for a GPU, with CuPy's manners: `x.to(standin)`. See `minigrad.testing.standin`."""
    from minigrad.testing import standin

    return standin.install()


@pytest.fixture
def seeded() -> Iterator[int]:
    """minigrad's random numbers start from seed 0 (the fixture's value), and go on as before after the test."""
    from minigrad.random import default_generator

    before = default_generator.get_state()
    default_generator.manual_seed(0)
    yield 0
    default_generator.set_state(before)


@pytest.fixture
def no_graph_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves recorded ops behind, with all they saved: memory that grows with each training step.

    What only the garbage collector would free counts as left behind.
    """
    failed = request.session.testsfailed
    gc.collect()
    before = WeakSet(_recorded_ops())
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        if request.session.testsfailed == failed:  # the traceback of a failed test holds on to everything
            _fail_for(WeakSet(node for node in _recorded_ops() if node not in before))
    finally:
        if was_on:
            gc.enable()


def _recorded_ops() -> list[Node]:
    from minigrad.core.engine import Leaf, Node

    return [one for one in gc.get_objects() if issubclass(type(one), Node) and not issubclass(type(one), Leaf)]


def _fail_for(left: WeakSet[Node]) -> None:
    count = len(left)
    if not count:
        return
    where = max((node.birth, f"{node.name()} of {node.line}") for node in left)[1]  # a younger node's birth is smaller
    gc.collect()
    why = (
        "something still refers to them, such as a list of losses: keep loss.item() or loss.detach()"
        if left
        else "they refer to themselves in a circle, such as by a hook that uses its own tensor"
    )
    pytest.fail(f"{count} recorded ops are left after the test, the first of them {where}; {why}", pytrace=False)
