"""Showing tokens as text while they come."""

from nlp.text.tokens import Tokenizer

__all__ = ["Writer"]


class Writer:
    """The text of a row of tokens, token by token: all that `add` and then `end` return is `tokenizer.decode` of them.

    A token costs the same however long the text is.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._spelling = tokenizer.spelling()

    def add(self, token: str) -> str:
        """What this token adds to the text; '' while its bytes are the beginning of a character."""
        return self._spelling.add(token)

    def end(self) -> str:
        """What is left when no token follows: U+FFFD for a character of which only the beginning has come, or ''."""
        return self._spelling.end()
