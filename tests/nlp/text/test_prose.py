"""What of a documentation text is prose, and what is code, table, heading or markup."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.text.prose import paragraphs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return the sum of\nall numbers.", ["Return the sum of all numbers."]),
        ("Return the sum of all numbers", ["Return the sum of all numbers."]),
        ("The first is here.\n\nThe second is there.", ["The first is here.", "The second is there."]),
        ("Title of the Page\n=================\n\nThis is the text.", ["This is the text."]),
        ("This is how it goes::\n\n    This is set as code.\n\nThis is the text.", ["This is the text."]),
        ("This is the text.\n\n>>> f()\nThis is the output.", ["This is the text."]),
        ("This is the text.\n>>> f()\nThis is the output.", ["This is the text."]),
        (
            "* This is an item\n  of two lines.\n* This is the next.",
            ["This is an item of two lines.", "This is the next."],
        ),
        ("This is a call of ``print()`` by `name`.", ["This is a call of print by name."]),
        ("This is a :class:`~os.PathLike` in *this* text [1]_.", ["This is a os.PathLike in this text."]),
        (
            'The "assert" statement is \u201cgood\u201d \u2014 isn\u2019t it?',
            ['The assert statement is "good" - isn\'t it?'],
        ),
        ("This is a left-\nhand side.", ["This is a left-hand side."]),
        ("This one is good. It is x = f(y). That is good too.", ["This one is good. That is good too."]),
        ("This one is good. It is x = f(y). And {this} is [not].", []),
        ("+-----+-----+\n| is a | is b |\n+-----+-----+", []),
        ("This is a table:\n\n   False is in and not", []),
        ("f(x, y) -> the sum of x and y", []),
        (":param x: This is the number.", []),
        ("", []),
    ],
)
def test_paragraphs(text: str, expected: list[str]) -> None:
    assert list(paragraphs(text)) == expected


@given(st.text() | st.text("Aa is.\n *-=>:`\"'\t"))
def test_any_text_gives_clean_lines(text: str) -> None:
    for paragraph in paragraphs(inspect.cleandoc(text)):
        assert paragraph
        assert paragraph.isprintable()
        assert paragraph == " ".join(paragraph.split())
        assert list(paragraphs(paragraph)) == [paragraph]
