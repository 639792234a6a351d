"""Chapter 9: a vector for each word, learned from the words around it.

Words that stand in the same places come to lie near to each other, and what two pairs of words differ in becomes a
direction: king - man + woman is near queen. Four ways to get there learn the same small text here: skip-gram and CBOW
(Mikolov et al. 2013), GloVe (Pennington et al. 2014), and the ranking of windows of Collobert and Weston (2008).

Run it: python examples/09_word_vectors.py

On a text of yours: nlp words train --text book.txt, then nlp words near, nlp words map.
"""

import random

import numpy as np

import minigrad
from nlp.keyed_vectors import KeyedVectors
from nlp.models.cbow import CBOW
from nlp.models.collobert_weston import CollobertWeston
from nlp.models.glove import GloVe
from nlp.models.skip_gram import SkipGram
from nlp.text.contexts import ContextWindows, CorruptedWindows
from nlp.text.cooccurrence import CooccurrenceBatches, count_cooccurrences
from nlp.training import Trainer

# ---- 1. a text in which words have two sides ------------------------------------------------------------------------

# Each noun has a rank and a sex; what stands around it shows one side or the other, never which noun it is.
NOUNS = {"king": ("court", "he"), "queen": ("court", "she"), "man": ("town", "he"), "woman": ("town", "she")}
PLACES = {"court": ["palace", "throne", "crown"], "town": ["market", "house", "field"]}
THEIRS = {"he": ["he", "his", "him"], "she": ["she", "her", "hers"]}


def text(count, rng):
    """So many sentences as one list of words."""
    words = []
    for _ in range(count):
        noun = rng.choice(list(NOUNS))
        rank, sex = NOUNS[noun]
        around = [rng.choice(PLACES[rank]), rng.choice(PLACES[rank]), rng.choice(THEIRS[sex]), rng.choice(THEIRS[sex])]
        rng.shuffle(around)
        words += [*around[:2], noun, *around[2:]]
    return words


words = text(4000, random.Random(0))
vocabulary = sorted(set(words))
number_of = {word: number for number, word in enumerate(vocabulary)}
ids = np.array([number_of[word] for word in words])
counts = np.bincount(ids)
V = len(vocabulary)
print(f"{len(words)} words, {V} different ones; a few of them: {' '.join(words[:10])}\n")

# ---- 2. what is learned from ----------------------------------------------------------------------------------------

# Skip-gram sees each word with each of those around it. One stretch of ten words, and the pairs in it:
centres, pairs = ContextWindows(ids, counts, window=2, subsample=0.0, bptt=10).window(0, 10)
shown = [f"{vocabulary[centres[pair // 10]]}-{vocabulary[centres[pair % 10]]}" for pair in pairs[:6]]
print("pairs of skip-gram:", " ".join(shown), "...")

# GloVe counts all of them once, near ones for more, and forgets the text.
places, together = count_cooccurrences(ids, V, window=2)
most = int(together.argmax())
print(f"most often together: {' and '.join(vocabulary[place] for place in places[most])}, {together[most]:.0f}\n")

# ---- 3. four models, one trainer ------------------------------------------------------------------------------------


def learned(model, windows, **options):
    """The vectors of a model after training. What it is judged by on the way is the training text itself."""
    for _event in Trainer(model, clip=None, patience=0, **options).train(windows, windows):
        pass
    return KeyedVectors(tuple(vocabulary), model.vectors())


def stretches(**options):
    return ContextWindows(ids, counts, window=4, subsample=0.0, bptt=32, **options)


D = 6
word2vec = {"optimizer": "sgd", "schedule": "linear", "epochs": 6}
adagrad = {"optimizer": "adagrad", "lr": 0.05, "schedule": "constant"}
minigrad.manual_seed(0)
vectors = {
    "skip-gram": learned(SkipGram(counts, D), stretches(), lr=0.05, **word2vec),
    "CBOW": learned(CBOW(counts, D), stretches(predict_centre=True), lr=0.05, **word2vec),
    "GloVe": learned(GloVe(V, D), CooccurrenceBatches((places, together), bptt=4), epochs=100, **adagrad),
    "Collobert and Weston": learned(
        CollobertWeston(V, D, hidden=16, window=2), CorruptedWindows(ids, counts, window=2), epochs=5, **adagrad
    ),
}

# ---- 4. what they know ----------------------------------------------------------------------------------------------


def cosine(found, first, second):
    """The mean cosine of each of the first words with each of the second, of two different words."""
    pairs = [(found.index(a), found.index(b)) for a in first for b in second if a != b]
    return np.mean([found.unit[a] @ found.unit[b] for a, b in pairs])


# GloVe's vectors have a large part in common, as in so small a text each word meets almost every other.
print("mean cosine of words of   one place   of two   king - man + woman =")
for name, found in vectors.items():
    one = np.mean([cosine(found, place, place) for place in PLACES.values()])
    two = cosine(found, *PLACES.values())
    answers = [f"{word} {share:.2f}" for word, share in found.most_similar(["king", "woman"], ["man"], count=2)]
    print(f"{name:22} {one:12.2f} {two:8.2f}   {', '.join(answers)}")
    assert one > two
    if name in ("skip-gram", "CBOW"):
        assert answers[0].startswith("queen")
