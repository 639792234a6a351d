"""The pictures: drawn from whatever a run has come to, thinned out truthfully, labelled at round numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="pictures")

from nlp.errors import NlpError
from nlp.evaluation.compare import RunSummary, draw_comparison
from nlp.pictures import binned, finite, log_axis, new_figure, save
from nlp.run_folder import CURVES, METRICS, RunFolder
from nlp.training.curves import draw_curves

PNG = b"\x89PNG\r\n\x1a\n"
numbers = st.floats(-1e6, 1e6) | st.sampled_from([math.inf, math.nan])


def step(epoch: int, number: int, loss: float, steps: int = 4, norm: float = 0.5) -> dict[str, object]:
    return {
        "kind": "step",
        "epoch": epoch,
        "step": number,
        "steps": steps,
        "update": (epoch - 1) * steps + number,
        "loss": loss,
        "lr": 20.0 / epoch,
        "gradient_norm": norm,
        "tokens_per_second": 1e4,
        "seconds": 1.0 * number,
    }


def epoch(number: int, loss: float) -> dict[str, object]:
    return {
        "kind": "epoch",
        "epoch": number,
        "train_loss": loss,
        "valid_loss": loss,
        "lr": 20.0,
        "seconds": 9.0 * number,
    }


RESULTS = {"kind": "results", "valid_perplexity": 82.0, "valid_unigram_perplexity": 368.0}
RUNS = {
    "nothing at all": [],
    "one step": [step(1, 1, 5.0)],
    "half an epoch": [step(1, 1, 5.0), step(1, 2, 4.5)],
    "one epoch": [step(1, 1, 5.0), step(1, 4, 4.5), epoch(1, 4.6), RESULTS],
    "three epochs": [record for n in (1, 2, 3) for record in (step(n, 4, 5.0 - n), epoch(n, 5.2 - n))],
    "epochs alone": [epoch(1, 4.6), epoch(2, 4.5)],
    "infinite perplexities": [step(1, 1, 5.0), step(1, 2, 5000.0), epoch(1, 5000.0)],
    "infinite losses and norms": [step(1, 1, math.inf, norm=math.inf), step(1, 2, 4.0, norm=math.inf)],
    "a perfect model": [step(1, 1, 0.0, norm=0.0), epoch(1, 0.0)],
    "many steps": [step(1, n, 5.0 + math.sin(n), steps=5000) for n in range(1, 5001)],
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_has_come_this_far_has_its_picture(name: str, tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("".join(json.dumps(record) + "\n" for record in RUNS[name]), encoding="utf-8")
    draw_curves(RunFolder(tmp_path))  # warnings are errors in this suite: of empty or infinite axes, too
    content = (tmp_path / CURVES).read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 10_000


@given(st.lists(st.tuples(st.floats(0, 100), numbers), max_size=60), st.integers(1, 20))
def test_bins_keep_the_mean_and_the_range(points: list[tuple[float, float]], count: int) -> None:
    x, y = np.array([x for x, _ in points]), finite(y for _, y in points)
    thin_x, mean, least, largest = binned(x, y, count)
    known = np.isfinite(y)
    assert len(thin_x) == min(known.sum(), count)
    if not known.any():
        return
    assert least.min() == y[known].min()
    assert largest.max() == y[known].max()
    assert (least <= mean + 1e-6).all()
    assert (mean <= largest + 1e-6).all()
    sizes = np.diff(np.linspace(0, known.sum(), len(mean), endpoint=False).astype(int), append=known.sum())
    np.testing.assert_allclose((mean * sizes).sum(), y[known].sum(), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose((thin_x * sizes).sum(), x[known].sum(), rtol=1e-6, atol=1e-6)


@given(st.floats(1e-7, 1e9), st.floats(1.0, 1e12))
def test_a_logarithmic_axis_has_a_few_labels_at_round_numbers(low: float, ratio: float) -> None:
    axes = new_figure(4, 3, "").subplots()
    axes.plot([0, 1], [low, low * ratio])
    log_axis(axes)
    bottom, top = axes.get_ylim()
    ticks = axes.get_yticks()
    assert bottom <= low <= low * ratio <= top
    assert 2 <= len(ticks) <= 9
    assert all(bottom <= tick <= top for tick in ticks)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(set(labels)) == len(labels)
    assert all(len(label) <= 11 for label in labels)


def summary(name: str, epochs: int, tokens: tuple[str, ...] = ("a",)) -> RunSummary:
    losses = tuple(4 + 1 / n for n in range(1, epochs + 1))
    corpus = {"sha256": "x", "parts": {"valid": {"tokens": 1000, "words": 900, "characters": 5000}}}
    return RunSummary(name, {}, corpus, tokens, 10, losses, tuple(60.0 * n for n in range(1, epochs + 1)), {})


@pytest.mark.parametrize("epochs", [[0], [1], [3, 0, 2], [5] * 9])
def test_runs_are_drawn_together(epochs: list[int], tmp_path: Path) -> None:
    runs = [summary(f"run-{number}", count) for number, count in enumerate(epochs)]
    draw_comparison(runs, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").read_bytes().startswith(PNG)


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"\.png cannot be written"):
        draw_comparison([summary("run", 2)], tmp_path / "missing" / "compare.png")


@pytest.mark.parametrize(("name", "start"), [("a.png", PNG), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.PNG", PNG)])
def test_a_picture_is_of_the_kind_that_its_name_says(name: str, start: bytes, tmp_path: Path) -> None:
    save(new_figure(2, 2, "title"), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".svg"])
def test_a_picture_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NlpError, match=r"let its name end in \.png, \.svg or \.pdf"):
        save(new_figure(2, 2, "title"), tmp_path / name)
    assert not (tmp_path / name).exists()


BAD_LINES = {
    "no kind": {"epoch": 1},
    "a kind that is none": {"kind": ["step"]},
    "another kind": {"kind": "hour"},
    "a step without a loss": {name: value for name, value in step(1, 1, 5.0).items() if name != "loss"},
    "an epoch in words": {**epoch(1, 4.0), "valid_loss": "low"},
    "an epoch of truth": {**epoch(1, 4.0), "seconds": True},
    "results of nothing": {"kind": "results"},
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_of_metrics_that_is_none_is_named(name: str, tmp_path: Path) -> None:
    lines = [step(1, 1, 5.0), BAD_LINES[name]]
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(NlpError, match=r"^line 2 of \S+metrics\.jsonl is .*: remove the line$"):
        draw_curves(RunFolder(tmp_path))
