"""`python -m benchmarks.word_vectors TEXT`: word2vec here and in gensim on one row of words, with one set of settings.

Processor seconds of the training, and what the vectors are worth: the share of analogies answered and the rank
correlation with WordSim-353. Both learn with one thread; making the vocabulary is left out; ours looks at a few lines
after each epoch and writes its checkpoints meanwhile. Words that are named <unk> are taken out of the text, for gensim
would learn them as one. Windows run across the ends of lines, here as there.

gensim, which `pip install gensim` brings, gives every pair noise words of its own. Where ours shares them among
the pairs of some hundreds of words (`shared`) it stands beside that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded: gensim's side has one thread as well

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.analogies import Question, evaluate_analogies, read_analogies
from nlp.evaluation.word_similarity import Pair, evaluate_similarity, read_pairs
from nlp.keyed_vectors import KeyedVectors, load_vectors
from nlp.text.corpus import Corpus
from nlp.training import Experiment
from nlp.vector_config import VectorConfig

SIZE, WINDOW, MIN_COUNT, NEGATIVES, SHARED = 100, 5, 5, 5, 64
SENTENCE = 10_000  # words: gensim leaves out what a sentence has beyond that
CHECKED = 10  # lines that our training looks at after each epoch, for it does so always; over all noise words, so few


@dataclass(frozen=True)
class Kind:
    """A way to learn: our options, and gensim's."""

    ours: dict[str, Any]
    gensim: dict[str, Any]


KINDS = {
    "skip-gram": Kind({"model": "skip-gram"}, {"sg": 1}),
    "skip-gram, shared noise": Kind({"model": "skip-gram", "shared": SHARED}, {"sg": 1}),
    "skip-gram, hierarchical": Kind({"model": "skip-gram", "negatives": 0}, {"sg": 1, "hs": 1, "negative": 0}),
    "CBOW": Kind({"model": "cbow"}, {"sg": 0}),
    "CBOW, shared noise": Kind({"model": "cbow", "shared": SHARED}, {"sg": 0}),
    "CBOW, hierarchical": Kind({"model": "cbow", "negatives": 0}, {"sg": 0, "hs": 1, "negative": 0}),
}


@dataclass(frozen=True)
class Learned:
    """What one side came to."""

    seconds: float
    words: int
    analogies: float | None
    similarity: float | None


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def learn_here(text: str, kind: Kind, epochs: int, folder: Path) -> tuple[float, KeyedVectors]:
    """Processor seconds of our training, and the vectors."""
    few = "".join(text.splitlines(keepends=True)[:CHECKED])
    config = VectorConfig.choose(
        size=SIZE, window=WINDOW, min_count=MIN_COUNT, epochs=epochs, threads=1, **kind.ours
    )  # fmt: skip
    corpus = Corpus.of_texts("words", "the text of the benchmark", train=text, valid=few)
    with Experiment.create(config, corpus, out=folder / "run") as experiment:
        seconds = _seconds(lambda: list(experiment.train()))
        experiment.finish()
    return seconds, load_vectors(folder / "run")


def learn_in_gensim(text: str, kind: Kind, epochs: int, folder: Path) -> tuple[float, KeyedVectors]:
    """Processor seconds of gensim's training, and the vectors, by way of word2vec's format."""
    from gensim.models import Word2Vec

    rate = VectorConfig.choose(**kind.ours).lr
    settings = {"negative": NEGATIVES, "alpha": rate, **kind.gensim}
    model = Word2Vec(vector_size=SIZE, window=WINDOW, min_count=MIN_COUNT, workers=1, seed=1, **settings)
    words = text.split()
    sentences = [words[at : at + SENTENCE] for at in range(0, len(words), SENTENCE)]
    model.build_vocab(sentences)
    seconds = _seconds(lambda: model.train(sentences, total_examples=len(sentences), epochs=epochs))
    path = folder / "gensim.bin"
    model.wv.save_word2vec_format(str(path), binary=True)
    return seconds, load_vectors(path)


def judged(
    seconds: float, vectors: KeyedVectors, questions: Mapping[str, Sequence[Question]], pairs: Sequence[Pair]
) -> Learned:
    """With what the vectors know."""
    analogies = evaluate_analogies(vectors, questions).total.accuracy
    return Learned(seconds, len(vectors), analogies, evaluate_similarity(vectors, pairs).rho)


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.word_vectors", description=__doc__)
    parser.add_argument("text", type=Path, help="words with spaces between them; upper case becomes lower case")
    parser.add_argument("--analogies", type=Path, required=True, help="questions-words.txt")
    parser.add_argument("--pairs", type=Path, required=True, help="WordSim-353, as CSV or tab-separated")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    arguments = parser.parse_args()
    try:
        import gensim
    except ModuleNotFoundError:
        print("gensim is missing, beside which this measures: pip install gensim", file=sys.stderr)
        return 2
    try:
        text = arguments.text.read_text(encoding="utf-8").lower().replace("<unk>", "")
        questions, pairs = read_analogies(arguments.analogies), read_pairs(arguments.pairs)
    except (NlpError, OSError, UnicodeDecodeError) as error:
        parser.error(str(error))
    versions = f"gensim {gensim.__version__}, minigrad {minigrad.__version__}"
    what = f"{versions}, {arguments.epochs} epochs of {arguments.text.name}, one thread"
    print(f"{what}: processor seconds, analogies right, rho of WordSim-353")
    found: dict[str, Any] = {}
    for name in arguments.only:
        sides = {}
        for side, learn in (("ours", learn_here), ("gensim", learn_in_gensim)):
            with tempfile.TemporaryDirectory() as folder:
                seconds, vectors = learn(text, KINDS[name], arguments.epochs, Path(folder))
                sides[side] = judged(seconds, vectors, questions, pairs)
        print(f"{name:24}{_row(sides)}", flush=True)
        found[name] = {side: asdict(learned) for side, learned in sides.items()}
    if arguments.json:
        arguments.json.write_text(json.dumps({"what": what, "results": found}, indent=2) + "\n")
    return 0


def _row(sides: dict[str, Learned]) -> str:
    text = f"time {sides['ours'].seconds / sides['gensim'].seconds:5.2f} of gensim's"
    for side, of in sides.items():
        analogies = "none asked" if of.analogies is None else f"{of.analogies:.2%}"
        similarity = "none known" if of.similarity is None else f"{of.similarity:.3f}"
        text += f"   {side:6} {of.seconds:6.1f} s  {analogies}  {similarity} ({of.words:,} words)"
    return text


if __name__ == "__main__":
    sys.exit(main())
