"""Every chapter of `examples/` runs to its end by itself, and prints what it explains.

The chapters assert what they claim; here it is checked that they say it.
"""

from __future__ import annotations

import ast
import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

CHAPTERS = {path.stem[:2]: path for path in sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))}

# What each chapter must print: patterns, in this order.
SAID = {
    "01": [
        r"\[2\]     mul .*<- \[1\], \[1\]\n",
        r"MulBackward0, keeps 2 value",
        r"x.grad = \[\[4.5, 4.5\], \[4.5, 4.5\]\]",
        r"again: .*retain_graph=True",
        r"12.0 12.0 6.0",
    ],
    "02": [
        *[re.escape(title) for title in ("ds/dh = u^T", "dh/dz = diag", "dz/dx = W", "dz/db = I", "dz/dW, a matrix")],
        r"delta = ds/dz",
        r"the outer product delta x\^T",
        *[f"ds/d{name}: by hand and by the engine differ by at most" for name in "ubxW"],
        r"dz/dW from the engine, row by row: as above",
        r"ds/dW by moving each weight a little",
    ],
    "03": [r"W times 500 word vectors +[\d.]+ ms +[\d.]+ ms +[\d.]+ times faster", *[r"[\d.]+ times faster"] * 3],
    "04": [r"before training: ", r"epoch 40  loss 0\.0\d+  held out (9[89]|100)", r"\n(\.+#+\.*#*\n)+"],
    "05": [
        r"our layer and nn.LSTM differ by at most \de-0[789]",
        r"tanh  . 30 ",
        r"the language itself: 2.63",
        r"epoch 6  held-out perplexity +2\.\d",
        r"the verb agrees with its subject in \d+ of \d+",
    ],
    "06": [
        r"by hand: +-24.0 -8.0 6.0 -12.0\nby the engine: -24.0 -8.0 6.0 -12.0",
        r"composed, at 1000: inf gradient nan",
        r"primitive, at 1000: 1000.0 gradient 1.0",
        r"all three agree",
        r"the wrong one: GradcheckError",
    ],
    "07": [
        r"by the rule 0\.8175744\d+, by a difference quotient 0\.8175744",
        r"add_logs: \d+ properties hold\n",
        r"equals_reference +\d+ examples\n",
        r"runs_on_another_device +\d+ examples\n",
        r"a mean where a sum is due:\n    GradcheckError: the gradient of input 1, shape \(\), .* relative error 0\.5",
        r"inputs=\[np.array\(\[\S+, \S+\]\), np.array\([^\[]+\)\]",  # two numbers and one: it does not get smaller
        r"second derivative is cut off:\n    GradcheckError: .* analytic 0, numeric",
        r"LogBias: \d+ properties hold\n",
    ],
    "08": [
        r"4-grams, modified Kneser-Ney +counts +2\.\d+ +[45]\d%\n",
        r"5-grams, modified Kneser-Ney +counts +2\.\d+ +\d\d+%\n",
        r"window of 4 words +\d+ +2\.[67]",
        r"LSTM +\d+ +2\.\d+ +(9\d|100)%",
        r"drawn words",
    ],
    "09": [
        r"pairs of skip-gram: \w+-\w+ ",
        r"skip-gram .* queen \d",
        r"CBOW .* queen \d",
        r"GloVe ",
        r"Collobert and Weston ",
    ],
    "10": [
        r"spectral radius 0\.8: \d\.\de-0\d",
        r"RNN, by h +\d\.\de-0\d",
        r"LSTM, forget gate open .* 0\.9\d a step",
        r"IRNN, as it starts .* 1\.00 a step",
        r"clipped from .* to 1\.00",
    ],
    "11": [
        r"perplexity of word frequencies: \d+\.\d",
        r"\nfull +1000\.0 +10000\.0 +100000\.0",
        r"\nhierarchical +7\.5 +9\.6 +11\.5",
        r"\nnce +101\.0 +101\.0 +101\.0",
        *[rf"\n{name} +[\d.]+ +\d\d\.\d" for name in ("full", "hierarchical", "adaptive", "negative", "nce")],
        *[rf"\n{name} +101\.0 +\d\d\.\d" for name in ("blackout", "importance")],
        r"by EM 0\.[3-7]\d",
        r"perplexity, test +[\d. ]+\n",
        r"without learning, \d+\.\d with\n",
        r"learning, and mixed with the 4-grams: \d+\.\d",
    ],
}


def run(number, folder, *arguments):
    command = [sys.executable, "-X", "utf8", str(CHAPTERS[number]), *map(str, arguments)]
    kept = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": f"{folder}-hypothesis"}  # what failed, for another time
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=300, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_there_is_something_to_check_in_every_chapter():
    assert CHAPTERS.keys() == SAID.keys()


@pytest.mark.parametrize("number", CHAPTERS)
def test_chapter_says_what_it_explains(number, tmp_path):
    said = run(number, tmp_path)
    place = 0
    for pattern in SAID[number]:
        found = re.compile(pattern).search(said, place)
        assert found, f"{pattern!r} is not in what is left:\n{said[place:]}"
        place = found.end()
    assert not list(tmp_path.iterdir())  # nobody asked for a file


def test_chapter_8_does_not_train_beside_the_sentences_that_it_judges_by():
    chapter = ast.parse(CHAPTERS["08"].read_text(encoding="utf-8"))
    (trained,) = (one for one in ast.walk(chapter) if isinstance(one, ast.FunctionDef) and one.name == "trained")
    names = {one.id for one in ast.walk(trained) if isinstance(one, ast.Name)}
    assert {"train", "valid"} <= names
    assert not {"test", "held_out"} & names


def test_the_first_chapter_draws_its_graph_when_asked(tmp_path):
    run("01", tmp_path, tmp_path / "graph.svg")
    text = [
        element.text for element in ElementTree.parse(tmp_path / "graph.svg").iter() if element.tag.endswith("text")
    ]
    assert {"x", "y\u00a0=\u00a0add", "mean", "loss"} <= set(text)


def test_the_language_model_learns_a_text_of_the_users(tmp_path):
    rng = random.Random(0)
    words = [word for _ in range(1000) for word in rng.choice(["a b c", "d e", "f"]).split()] * 2
    (tmp_path / "text.txt").write_text(" ".join(words), encoding="utf-8")
    said = run("05", tmp_path, tmp_path / "text.txt")
    frequencies = float(re.search(r"frequencies: ([\d.]+)", said)[1])
    assert float(re.findall(r"held-out perplexity +([\d.]+)", said)[-1]) < 0.6 * frequencies
    assert "the language itself" not in said


def test_a_text_that_is_too_short_is_said_to_be(tmp_path):
    (tmp_path / "text.txt").write_text("three words only", encoding="utf-8")
    command = [sys.executable, "-X", "utf8", str(CHAPTERS["05"]), "text.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, encoding="utf-8")
    assert done.returncode == 1
    assert "too short to learn from" in done.stderr
