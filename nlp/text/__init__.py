"""From files to batches: corpus -> tokens -> vocabulary -> ids -> batches. NumPy and the standard library alone.

Level bpe also needs the `tokenizers` library.
"""

from nlp.text.batches import IGNORED, BpttBatches, EvaluationBatches, batchify
from nlp.text.bpe import BpeTokenizer
from nlp.text.byte_tokens import ByteTokenizer
from nlp.text.corpus import Corpus, default_corpus, load_corpus
from nlp.text.prepare import Encoded, Prepared, encode_text, is_prepared, link_prepared, load_prepared, prepare
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
from nlp.text.writer import Writer

__all__ = [
    "EOS",
    "IGNORED",
    "UNK",
    "BpeTokenizer",
    "BpttBatches",
    "ByteTokenizer",
    "CharTokenizer",
    "Corpus",
    "Encoded",
    "EvaluationBatches",
    "Prepared",
    "Tokenizer",
    "Vocabulary",
    "WordTokenizer",
    "Writer",
    "batchify",
    "default_corpus",
    "encode_text",
    "is_prepared",
    "link_prepared",
    "load_corpus",
    "load_prepared",
    "looks_pretokenized",
    "make_tokenizer",
    "prepare",
]
