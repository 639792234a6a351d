"""JSON with numbers that are not finite: strict readers take it, and nlp reads the same numbers back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp import strict_json
from nlp.disk import write_json
from nlp.errors import NlpError
from nlp.run_folder import METRICS, RunFolder

numbers = st.integers() | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
LOSSES = (2.5, math.inf, -math.inf, math.nan, 1e308)


def strictly(text: str) -> Any:
    """As a parser reads it that knows no infinity."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are alike, nan too."""
    return repr(one) == repr(other)


@given(values)
def test_strict_readers_take_it_and_what_is_finite_is_as_json_has_it(content: Any) -> None:
    text = strict_json.dumps(content)
    strictly(text)
    if not any(name in json.dumps(content) for name in ("Infinity", "NaN")):
        assert text == json.dumps(content)


@given(numbers)
def test_numbers_are_read_back(value: float) -> None:
    assert same(strict_json.number(strictly(strict_json.dumps({"a": [value]}))["a"][0]), value)


@pytest.mark.parametrize("value", ["1.5", "infinity", "", None, True, [1.0], {"NaN": 1}])
def test_what_names_no_number_stays_what_it_is(value: Any) -> None:
    assert strict_json.number(value) is value


def epoch(loss: float) -> dict[str, Any]:
    return {"kind": "epoch", "epoch": 1, "valid_loss": loss, "seconds": 1.0}


def test_the_metrics_of_a_run_are_read_back_and_by_others_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for loss in LOSSES:
        folder.append_metrics(epoch(loss))
    folder.append_metrics({"kind": "results", "valid_loss": math.inf, "test_loss": math.nan})
    for line in (tmp_path / METRICS).read_text(encoding="utf-8").splitlines():
        strictly(line)
    *epochs, results = folder.metrics()
    assert all(same(one["valid_loss"], loss) for one, loss in zip(epochs, LOSSES, strict=True))
    assert same((results["valid_loss"], results["test_loss"]), (math.inf, math.nan))


def test_metrics_with_bare_infinity_are_read_too(tmp_path: Path) -> None:
    """As they were written before."""
    lines = [json.dumps(epoch(loss)) + "\n" for loss in LOSSES]
    assert any("Infinity" in line for line in lines)
    (tmp_path / METRICS).write_text("".join(lines), encoding="utf-8")
    read = [record["valid_loss"] for record in RunFolder(tmp_path).metrics()]
    assert same(read, list(LOSSES))


def test_a_word_in_the_place_of_a_number_is_damage(tmp_path: Path) -> None:
    RunFolder(tmp_path).append_metrics({**epoch(1.0), "valid_loss": "much"})
    with pytest.raises(NlpError, match="'valid_loss' is missing or no number"):
        list(RunFolder(tmp_path).metrics())


def test_files_of_json_are_for_every_reader(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"losses": LOSSES, "name": "caf\u00e9 \udc80"})
    content = strictly((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content == {"losses": [2.5, "Infinity", "-Infinity", "NaN", 1e308], "name": "caf\u00e9 \udc80"}
