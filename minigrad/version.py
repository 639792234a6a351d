"""The version, by itself so that building needs no NumPy."""

__version__ = "0.1.0"
