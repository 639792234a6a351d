"""From files to batches: corpus -> tokens -> vocabulary -> ids -> batches. NumPy and the standard library alone."""

from nlp.text.batches import IGNORED, BpttBatches, EvaluationBatches, batchify
from nlp.text.corpus import Corpus, default_corpus, load_corpus, read_text
from nlp.text.tokens import (
    EOS,
    UNK,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    looks_pretokenized,
    make_tokenizer,
)
from nlp.text.vocabulary import Vocabulary

__all__ = [
    "EOS",
    "IGNORED",
    "UNK",
    "BpttBatches",
    "CharTokenizer",
    "Corpus",
    "EvaluationBatches",
    "Tokenizer",
    "Vocabulary",
    "WordTokenizer",
    "batchify",
    "default_corpus",
    "load_corpus",
    "looks_pretokenized",
    "make_tokenizer",
    "read_text",
]
