"""The kind of error that the command line prints as a single sentence, without a traceback."""

__all__ = ["NlpError", "NotFiniteError"]


class NlpError(Exception):
    """Something the user can put right: a file, an option, a text that is too short.

    The message is one clear sentence: what is wrong, where, and what to do instead.
    """


class NotFiniteError(NlpError):
    """Training met a loss or a gradient that is nan or infinite."""
