"""The text that every CPython brings along: its language reference and the docstrings of its standard library.

Everything is read from the source files with `ast`; nothing is imported and nothing is run.
"""

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from nlp.errors import NlpError
from nlp.text.prose import paragraphs

__all__ = ["python_documentation"]

# Tests and their fixtures are no documentation; the tables in pydoc_data are read on their own.
LEFT_OUT = {"test", "tests", "idlelib", "idle_test", "lib2to3", "pydoc_data", "__pycache__", "site-packages"}


def python_documentation(stdlib: Path | None = None) -> list[str]:
    """Paragraphs of English prose, each on one line: the reference's topics by name, then the modules by path.

    A paragraph that occurs again, letter for letter or but for case and punctuation, is kept the first time only.
    `stdlib` is the folder of a standard library's sources, by default that of the running Python.

    Raises NlpError where the sources are absent.
    """
    folder = Path(sysconfig.get_path("stdlib")) if stdlib is None else stdlib
    topics = folder / "pydoc_data" / "topics.py"
    if not topics.is_file():
        raise NlpError(
            f"the default corpus is Python's own documentation, but this Python has no {topics}: "
            "give a text of your own with --text FILE, or use a Python installed with its sources"
        )
    first_seen: dict[str, str] = {}
    for text in (*_topics(topics), *_module_docstrings(folder)):
        for paragraph in paragraphs(text):
            first_seen.setdefault(re.sub(r"\W+", " ", paragraph.casefold()).strip(), paragraph)
    return list(first_seen.values())


def _topics(path: Path) -> list[str]:
    """The texts in the dict literal ``topics = {name: text, ...}``, by name."""
    for statement in _parse(path).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            topics: dict[str, str] = ast.literal_eval(statement.value)
            return [text for _, text in sorted(topics.items())]
    raise NlpError(f"{path} holds no dict of topics: give a text of your own with --text FILE")


def _module_docstrings(stdlib: Path) -> Iterator[str]:
    paths = [path.relative_to(stdlib) for path in stdlib.rglob("*.py")]
    for path in sorted(paths, key=Path.as_posix):
        # Only what belongs to the standard library: an installation may keep other files beside it.
        if Path(path.parts[0]).stem in sys.stdlib_module_names and LEFT_OUT.isdisjoint(path.parts):
            yield from _docstrings(_parse(stdlib / path))


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """The docstrings of a module, its classes and functions, in the order of the source."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
        if not isinstance(node, ast.expr):  # no definition stands inside an expression
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, SyntaxError) as error:
        raise NlpError(
            f"the default corpus cannot read {path} ({error}): give a text of your own with --text FILE"
        ) from error
