"""Every chapter of `examples/` runs to its end by itself; the assertions are in the chapters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHAPTERS = sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))


def test_there_are_chapters():
    assert CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs(chapter, tmp_path):
    done = subprocess.run([sys.executable, str(chapter)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout
