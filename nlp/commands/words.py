"""The commands about word vectors: nlp words near, eval, export, map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nlp.commands.options import JsonFile
from nlp.disk import expect_place, write_json
from nlp.errors import NlpError

__all__ = ["register", "words"]

words = typer.Typer(help="Judge and use word vectors.", no_args_is_help=True)

NLP_DATA = "NLP_DATA"  # the environment variable that names a folder with sets to train on and to judge by
ANALOGIES, PAIRS = "word2vec-eval/questions-words.txt", "word2vec-eval/wordsim353_combined.csv"  # in that folder

Source = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_OR_FILE",
        help="A run folder (of a language model: the vectors it reads its tokens by), or a file in word2vec's format: "
        ".bin, .txt or .vec.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(words, name="words")


@words.command()
def near(
    source: Source,
    word: Annotated[list[str], typer.Argument(help="A word, or several: the mean of them.", show_default=False)],
    minus: Annotated[
        list[str] | None, typer.Option(help="A word to take away from the others; may be repeated.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-k", help="How many to show.")] = 10,
) -> None:
    """The words whose vectors are nearest, by their cosine. (nlp words near vectors.bin king woman --minus man)"""
    from nlp.commands.word_tables import show_similar
    from nlp.keyed_vectors import load_vectors

    show_similar(Console(), load_vectors(source).most_similar(word, minus or (), count))


@words.command("eval")
def evaluate(
    source: Source,
    analogies: Annotated[
        Path | None, typer.Option(help="Questions as in questions-words.txt: lines a b c answer.", show_default=False)
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Pairs as in WordSim-353: two words and a number in each line.", show_default=False),
    ] = None,
    restrict: Annotated[
        int | None, typer.Option(help="Use this many of the most frequent words alone.", show_default=False)
    ] = None,
    match_case: Annotated[
        bool, typer.Option("--match-case", help="Athens is not athens. Default: case does not count.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """How many analogies the vectors answer, and how well their cosines agree with people's judgement of likeness.

    With neither --analogies nor --pairs, by word2vec's questions and WordSim-353 in the folder that NLP_DATA names.
    """
    from nlp.commands.word_tables import show_analogies, show_similarity
    from nlp.evaluation.analogies import evaluate_analogies, read_analogies
    from nlp.evaluation.word_similarity import evaluate_similarity, read_pairs
    from nlp.keyed_vectors import load_vectors

    expect_place(json_file)
    if analogies is None and pairs is None:
        analogies, pairs = _of_data_folder()
    questions = None if analogies is None else read_analogies(analogies)  # what is wrong with them is told first
    judged_pairs = None if pairs is None else read_pairs(pairs)
    vectors = load_vectors(source)
    if restrict is not None:
        vectors = vectors.head(restrict)
    console, content = Console(), dict[str, Any]({"vectors": str(source), "words": len(vectors)})
    if questions is not None:
        answered = evaluate_analogies(vectors, questions, case_insensitive=not match_case)
        show_analogies(console, str(analogies), answered)
        content["analogies"] = {"file": str(analogies), **answered.to_json()}
    if judged_pairs is not None:
        similarity = evaluate_similarity(vectors, judged_pairs, case_insensitive=not match_case)
        show_similarity(console, str(pairs), similarity)
        content["pairs"] = {"file": str(pairs), **similarity.to_json()}
    if json_file is not None:
        write_json(json_file, content)


@words.command()
def export(
    source: Source,
    file: Annotated[Path, typer.Argument(help="Binary if it ends in .bin, text if in .txt or .vec.")],
) -> None:
    """Write the vectors into a file in word2vec's format, which gensim and others read."""
    from nlp.keyed_vectors import load_vectors

    expect_place(file)
    vectors = load_vectors(source)
    vectors.save(file)
    typer.echo(f"{len(vectors):,} words of {vectors.vectors.shape[1]} numbers are in {file}")


@words.command("map")
def draw_map(
    source: Source,
    word: Annotated[list[str] | None, typer.Argument(help="The words to show.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Where the picture goes: .png, .svg or .pdf.")] = Path("map.png"),
    count: Annotated[
        int, typer.Option("--words", help="Without words named: show this many of the most frequent.")
    ] = 200,
    method: Annotated[str, typer.Option(help="pca (principal components) or tsne (clusters of neighbours).")] = "pca",
) -> None:
    """A map of words as a picture, words with similar vectors near each other."""
    from nlp.commands.progress import reading
    from nlp.evaluation.word_map import draw_word_map, frequent_words
    from nlp.keyed_vectors import load_vectors
    from nlp.pictures import picture_format

    picture_format(out)  # a wrong name is told before the vectors are read
    expect_place(out)
    vectors = load_vectors(source)
    shown = word or frequent_words(vectors, count)
    with reading(Console(stderr=True)) as progress:
        draw_word_map(vectors, shown, out, method, f"the words of {source}", progress)
    typer.echo(f"the map is in {out}")


def _of_data_folder() -> tuple[Path, Path]:
    """The questions and the pairs in the folder that NLP_DATA names."""
    folder = os.environ.get(NLP_DATA)
    if not folder:
        raise NlpError(
            f"there is nothing to judge the vectors by: give --analogies or --pairs, or let {NLP_DATA} name the folder "
            f"in which {ANALOGIES} and {PAIRS} are"
        )
    return Path(folder) / ANALOGIES, Path(folder) / PAIRS
