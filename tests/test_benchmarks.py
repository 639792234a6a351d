"""The benchmarks that need nothing but minigrad run to their end; how long they take is nobody's business here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from nlp.config import Output

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are in the repository alone, not in what is installed"
)


def run(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_every_output_layer_is_measured_beside_the_full_one(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"w{number % 97} w{number % 31}\n" for number in range(2000)), encoding="utf-8")
    done = run("output_layers", text, "--rounds", 1, "--updates", 1)
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.startswith("text.txt, 99 words, one thread")
    figures = {line[:14].rstrip(): line[14:].replace(",", "").split() for line in lines}
    assert set(figures) == {*get_args(Output), "full, tied"}
    assert all(float(speed) > 0 and float(ratio) > 0 for speed, ratio in figures.values())
    assert float(figures["full"][1]) == 1


@pytest.mark.parametrize(("words", "said"), [(["nowhere.txt"], "nowhere.txt"), ([], "required: text")])
def test_a_mistake_is_told_in_one_sentence(words: list[object], said: str) -> None:
    done = run("output_layers", *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
