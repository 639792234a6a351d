"""Clean English paragraphs out of documentation: docstrings and the plain text that Sphinx writes.

Documentation mixes prose with code, tables, headings, signatures and markup. Rather than parse reStructuredText, whose
conventions docstrings follow only loosely, `paragraphs` cuts a text at blank lines and list bullets, drops what is laid
out as code, removes the markup, and keeps what reads as sentences.
"""

import re
from collections.abc import Iterator

__all__ = ["paragraphs"]

# ---- layout: which lines belong together, and which are no prose at all ------------------------------------------

_BULLET = re.compile(r"(?:[*+•o-]|\(?(?:\d{1,2}|[a-z])[.)])\s+")
_RULE = re.compile(r"(\W)\1{2,}[\s\W]*")  # a heading's underline, a table's border
_DOCTEST = re.compile(r"(?:>>>|\.\.\.|In \[\d+\]:|\$)(?:\s|$)")
_DIRECTIVE = re.compile(r"\.\. |:\w+[^:]*:\s|@\w+")  # rst directives, field lists, epydoc tags


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _blocks(text: str) -> Iterator[list[str]]:
    """Runs of lines between blank lines; what is set as code (indented after ``::``) or as a doctest is left out."""
    code_indent: int | None = None  # while inside a code block: how far the line that announced it is indented
    block: list[str] = []
    for line in [*text.expandtabs().split("\n"), ""]:
        if line.strip():
            block.append(line.rstrip())
            continue
        if block:
            if code_indent is None or _indent(block[0]) <= code_indent:
                code_indent = _indent(block[-1]) if block[-1].endswith("::") else None
                yield block
            block = []


def _items(block: list[str]) -> Iterator[list[str]]:
    """One block cut where a list item starts and where the indentation changes (a definition, an indented example)."""
    item: list[str] = []
    margin = 0  # the column in which the item's text continues
    for line in block:
        indent, stripped = _indent(line), line.strip()
        if _DOCTEST.match(stripped):
            break  # its output follows, up to the end of the block
        bullet = _BULLET.match(stripped)
        if _RULE.fullmatch(stripped):
            item = []  # what stood above it was a heading
            continue
        if item and (bullet or indent != margin or _DIRECTIVE.match(stripped)):
            yield item
            item = []
        if not item:
            margin = indent + (bullet.end() if bullet else 0)
        item.append(stripped[bullet.end() :] if bullet else stripped)
    if item:
        yield item


# ---- markup: what the reader of the finished page would not see ---------------------------------------------------

_MARKUP = [
    (re.compile(r"(?<=[a-z])- (?=[a-z])(?!and |or )"), "-"),  # a hyphen at a line's end
    (re.compile(r":[\w:]+:`(?:[^`<]*<)?[~!.]?([^`>]+)>?`"), r"\1"),  # :class:`Foo`
    (re.compile(r"``([^`]+)``|`([^`']+)[`']_*"), r"\1\2"),  # ``literal``, `name`, `name'
    (re.compile(r'"([\w.]+(?:\(\))?)"'), r"\1"),  # Sphinx writes a literal as "name"
    (re.compile(r"(?<![\w*])(\*\*?)(\S(?:[^*]*\S)?)\1(?![\w*])"), r"\2"),  # *emphasis*
    (re.compile(r"(?<=\w)\(\)"), ""),  # print() is called print
    (re.compile(r"\s*(?:\[#?\w+\]_|\[\d+\])"), ""),  # footnote marks
]
_PLAIN = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
)  # typographic quotes, dashes and dots, as on a keyboard


def _without_markup(text: str) -> str:
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = re.sub(r"(?<=\w)\s*(?<!-)--+(?!-)\s*(?=\w)", " - ", text.translate(_PLAIN))
    return " ".join(text.split())


# ---- prose: does it read as sentences? ----------------------------------------------------------------------------

_SENTENCE_START = r"""["'(]?(?:[A-Z]|__[a-z])"""  # a sentence may begin with a name such as __init__
_SENTENCE_END = re.compile(rf"""(?:(?<=[.!?])|(?<=[.!?]["')]))\s+(?={_SENTENCE_START})""")
_WHOLE_SENTENCE = re.compile(rf"""{_SENTENCE_START}.*[.!?]["')]*""")
_PLAIN_WORD = re.compile(r"""["'(]*(?:[A-Za-z]+|\d+(?:\.\d+)*)(?:['-][A-Za-z]+)*["')]*[.,;:!?]*["')]*""")
_SMALL_WORD = re.compile(
    r"\b(?:the|an?|is|are|was|be|been|it|its|this|that|of|to|in|for|on|with|by|as|and|or|not|if|when|you|can|will|from)\b",
    re.IGNORECASE,
)
_CODE_MARK = re.compile(r"[=<>{}\[\]|\\~^@#$%&*+`]|''|\"\"|\.\w+\(|::|->|--|\.\.|(?<!\w)[:,.]|\w/\w*/")

SHORTEST_SENTENCE = 4  # words
PLAIN_WORDS = 0.8  # the least share of a sentence's words that are plain words or numbers


def _is_prose(sentence: str) -> bool:
    words = sentence.split()
    plain = sum(_PLAIN_WORD.fullmatch(word) is not None for word in words)
    return (
        len(words) >= SHORTEST_SENTENCE
        and sentence.isprintable()
        and not sentence.isupper()  # a licence's disclaimers
        and plain >= PLAIN_WORDS * len(words)
        and _WHOLE_SENTENCE.fullmatch(sentence) is not None
        and _SMALL_WORD.search(sentence) is not None
        and _CODE_MARK.search(sentence) is None
    )


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of English prose in one text of documentation, each on one line, in order.

    Sentences that are no prose are left out, and a paragraph goes with them where they are more than half of it.
    """
    for block in _blocks(text):
        items = list(_items(block))
        for item in items:
            paragraph = _without_markup(" ".join(item))
            if len(items) == 1 and not _indent(block[0]) and paragraph[-1:].isalpha():
                paragraph += "."  # many a docstring leaves out its only full stop
            sentences = _SENTENCE_END.split(paragraph)
            prose = [sentence for sentence in sentences if _is_prose(sentence)]
            if 2 * len(prose) >= len(sentences):
                yield " ".join(prose)
