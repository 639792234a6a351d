"""Writing with a language model: drawn texts, the likeliest text, the next word."""

from nlp.generation.next_words import next_words
from nlp.generation.writing import generate, generate_samples, likeliest_text

__all__ = ["generate", "generate_samples", "likeliest_text", "next_words"]
