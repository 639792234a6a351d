"""Chapter 11: many words, several models, and a model that goes on learning.

A language model over many words spends most of its time on the scores of words that do not come. Seven output layers
under the same small LSTM show what can be left out; they are judged alike, by the perplexity over all words. Then two
ways to foresee more with a model that is trained already: mixed with an n-gram model, and learning from the text that
it is judged on, each word after it was judged.

Run it: python examples/11_large_vocabularies_and_mixtures.py

The text is a part of Python's own documentation, so that the numbers differ a little between versions of Python.
On a text of yours: nlp train --text book.txt --output adaptive, then nlp mix and nlp eval --dynamic, as told below.

Shapes: N words of a text, H features, V words in the vocabulary, K words of noise, M models.
"""

from functools import partial
from itertools import pairwise
from pydoc_data.topics import topics

import numpy as np

import minigrad
import minigrad.nn.functional as F
from nlp.evaluation.dynamic import Rule, dynamic_losses
from nlp.evaluation.mixture import best_weights, token_losses
from nlp.evaluation.scoring import evaluate, perplexity
from nlp.models.ngram import NGramLM
from nlp.models.output_layers import OUTPUT_LAYERS
from nlp.models.output_layers.adaptive import cheapest_cutoffs
from nlp.models.rnn_lm import RNNLM
from nlp.text import BpttBatches, EvaluationBatches, Vocabulary, WordTokenizer
from nlp.text.huffman import code_lengths
from nlp.text.prose import paragraphs
from nlp.training import Trainer

# ---- 1. the text ----------------------------------------------------------------------------------------------------

# What help("for") and its like show. Every eighth block of ten paragraphs is to choose by, the next one to judge by.
parts = {"train": [], "valid": [], "test": []}
tokenizer = WordTokenizer(lowercase=True)
every = dict.fromkeys(paragraph for name in sorted(topics) for paragraph in paragraphs(topics[name]))  # each once
for number, paragraph in enumerate(every):
    part = {6: "valid", 7: "test"}.get(number // 10 % 8, "train")
    parts[part] += tokenizer.encode(paragraph + "\n")
vocabulary = Vocabulary.build(parts["train"], min_count=2)  # rarer words are all <unk>
train, valid, test = (vocabulary.encode(words) for words in parts.values())
counts, V = vocabulary.counts, len(vocabulary)
frequencies = vocabulary.unigram_perplexity(test)
print(f"{len(train)} words to learn from, {V} different ones; {len(valid)} to choose by, {len(test)} to judge by")
print(f"perplexity of word frequencies: {frequencies:.1f}\n")

# ---- 2. what is asked for a word ------------------------------------------------------------------------------------

# Given features x, each word w has a score s(w) = weight[w] x + bias[w]. Let t be the word that came.
#
# full          p(t) = exp s(t) / sum over all words of exp s(w)
# hierarchical  p(t) = product of sigmoid(+-s(n)) over the inner nodes n on the way to t in a binary tree: + is left.
#               In Huffman's tree frequent words have short ways (Morin and Bengio 2005; Mikolov et al. 2013).
# adaptive      p(t) = p(t) among the frequent words, or p(its cluster) p(t in the cluster): softmaxes, and for the
#               clusters of rare words x is made narrower (Grave et al. 2016).
#
# These three are models of their own, and their loss is -log p(t). The others are a full softmax, as which they are
# judged; to train them, t is set against K words of noise that are drawn from q, the word frequencies to a power:
#
# negative      log sigmoid(s(t)) + sum over the noise of log sigmoid(-s(w)): which word is real, which is noise?
#               s(w) learns log p(w) - log K q(w), and that is put right when it is judged (Mikolov et al. 2013).
# nce           the same with s(w) - log K q(w) in place of s(w), so that s(w) learns log p(w) (Mnih and Teh 2012).
# blackout      log p(t) + sum over the noise of log(1 - p(w)), p the softmax over these K + 1 words of s(w) - log q(w)
#               (Ji et al. 2016).
# importance    s(t) - log(exp s(t) + sum over the noise of exp s(w) / (K q(w))): the full softmax, whose sum is
#               estimated (Bengio and Senécal 2003).
H, K = 64, 100
DIVISOR = 4.0  # as the adaptive softmax has it: each cluster has a quarter of the features of the one before
SAMPLED = "negative", "nce", "blackout", "importance"


def scores(name, counts):
    """How many scores a training step computes for each word of the text, on average, if words occur so often."""
    if name in SAMPLED:
        return K + 1
    share = np.sort(counts)[::-1] / counts.sum()  # the frequent words first
    if name == "hierarchical":
        return share @ code_lengths(share)
    if name == "adaptive":
        cutoffs = cheapest_cutoffs(counts, H, DIVISOR)
        found = cutoffs[0] + len(cutoffs)  # the frequent words, and the clusters
        for cluster, (first, last) in enumerate(pairwise([*cutoffs, len(counts)]), start=1):
            narrow = 1 / DIVISOR**cluster  # so much of x, and of what a score costs; and x has to be made narrower
            found += share[first:last].sum() * narrow * (H + last - first)
        return found
    return len(counts)


# A score is H products, and twice as many on the way back; those of the adaptive softmax's clusters, which are cheaper,
# are counted as the parts of one that they cost. In these vocabularies the word of rank r occurs 1 / r as often as the
# first (Zipf's law). How many words of noise are drawn is a choice, and does not grow with the vocabulary.
SIZES = 1_000, 10_000, 100_000
print(f"{'scores a word, if there are':28}" + "".join(f"{size:>12}" for size in SIZES) + " words")
for name in OUTPUT_LAYERS:
    print(f"{name:28}" + "".join(f"{scores(name, 1 / np.arange(1, size + 1)):12.1f}" for size in SIZES))

# Huffman's tree asks about as many questions as the entropy of the words has bits: never fewer, and less than one more.
share = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
entropy = -share @ np.log2(share)
questions = share @ code_lengths(share)
print(f"\nentropy of the words {entropy:.2f} bits; questions in the tree {questions:.2f}")
assert entropy <= questions < entropy + 1
print("questions to", ", ".join(f"{vocabulary.tokens[w]}: {code_lengths(share)[w]}" for w in (2, 10, 100, V - 1)))

# ---- 3. seven output layers -----------------------------------------------------------------------------------------


def trained(name):
    """An LSTM with this output layer, which starts from the word frequencies."""
    minigrad.manual_seed(0)
    options = {"samples": K} if name in SAMPLED else {}
    output = partial(OUTPUT_LAYERS[name], counts=counts, **options)
    model = RNNLM(V, embedding=64, hidden=H, layers=1, dropout=0.2, output=output)
    model.decoder.log_prior_(counts)
    trainer = Trainer(model, lr=0.02, epochs=3, schedule="cosine", patience=0)
    for _event in trainer.train(BpttBatches(train, 20, 20), EvaluationBatches(valid, 10, 100)):
        pass  # an nlp run would draw a bar and write a file
    return model


# With so few words the full softmax is cheap, and shows what the others should come to.
# The command line has the same: nlp train --output nce --samples 100
print(f"\n{'output layer':28} {'scores a word':>14} {'perplexity':>12}")
models = {}
for name in OUTPUT_LAYERS:
    models[name] = trained(name)
    found = evaluate(models[name], EvaluationBatches(test, 1, 100)).perplexity
    print(f"{name:28} {scores(name, np.maximum(counts, 1)):14.1f} {found:12.1f}")
    assert found < 0.7 * frequencies

# The loss of each is exact: the short way to one word's probability says what the scores of all words say.
x, t = minigrad.randn(20, H), minigrad.tensor(test[:20].astype(np.int64))
for model in models.values():
    with minigrad.no_grad():
        short, long = model.decoder.loss(x, t), F.cross_entropy(model.decoder(x), t)
    assert abs(short.item() - long.item()) < 1e-4

# So by hand: the product over the questions on the way to a word.
tree = models["hierarchical"].decoder
with minigrad.no_grad():
    nodes, signs = tree.nodes[t[0]], tree.signs[t[0]]  # D, D: signs are 0 beyond the word's own way
    asked = F.linear(x[0], tree.weight[nodes], tree.bias[nodes]) * signs
    by_hand = -F.logsigmoid(asked)[signs != 0].sum().item()
    assert abs(by_hand - tree.loss(x[:1], t[:1]).item()) < 1e-4

# ---- 4. a mixture ---------------------------------------------------------------------------------------------------

# A network knows which words are alike, an n-gram model knows by heart what it has read. Each is sure where the other
# is not, so that the sum of their probabilities, p = w_1 p_1 + w_2 p_2, foresees more than either.
network = models["full"]
counted = NGramLM(V, order=4).count(train)


def probabilities(model, ids):
    """What a model gives each word after the first (N)."""
    return np.exp(-np.concatenate(list(token_losses(model, ids))))


def mixed(p, weights):
    """The perplexity of a mixture of probabilities (M, N)."""
    return perplexity(-np.log(weights @ p).mean())


p_valid, p_test = (np.stack([probabilities(model, ids) for model in (network, counted)]) for ids in (valid, test))

# Which weights? Those that are best on text that neither learned from and neither is judged by. By EM: a model's share
# in the probability of each word says how much of the word is its own; its next weight is the mean of that.
weights = np.array([0.5, 0.5])
for _ in range(100):
    own = weights[:, None] * p_valid  # M, N
    weights = (own / own.sum(axis=0)).mean(axis=1)
assert np.allclose(weights, best_weights(-np.log(p_valid)), atol=1e-2)  # the library's way is Newton's, in a few rounds

print("\nweight of the network   " + "".join(f"{w:8.2f}" for w in np.linspace(0, 1, 6)) + f"   by EM {weights[0]:.2f}")
for name, p in {"valid": p_valid, "test": p_test}.items():
    along = [mixed(p, np.array([w, 1 - w])) for w in np.linspace(0, 1, 6)]
    print(f"perplexity, {name:12}" + "".join(f"{one:8.1f}" for one in along) + f"         {mixed(p, weights):.1f}")
assert mixed(p_test, weights) < min(mixed(p_test, np.array(alone)) for alone in ([1, 0], [0, 1]))

# The same of two runs: nlp mix runs/lstm runs/ngram

# ---- 5. learning from what was judged -------------------------------------------------------------------------------

# A text speaks of its own things again and again. Dynamic evaluation (Mikolov et al. 2010; Krause et al. 2018) judges
# five words, and then takes a step of gradient descent on them: weights <- weights - lr * gradient. No word is judged
# by a model that has seen it, so that the perplexity is an honest one. At the end the weights are put back.


def learning(ids, lr):
    """The probabilities of the words after the first (N), from the network that learns on."""
    return np.exp(-np.concatenate(list(dynamic_losses(network, ids, Rule(lr=lr, steps=5)))))


ALONE = np.ones(1)  # a mixture of one
p_learning = {rate: learning(valid, rate) for rate in (0.1, 0.3)}
found = {rate: mixed(p[None], ALONE) for rate, p in p_learning.items()}
rate = min(found, key=found.get)
tried = ", ".join(f"{one:.1f} at a rate of {rate}" for rate, one in found.items())
print(f"\nperplexity on valid: {mixed(p_valid[:1], ALONE):.1f} without learning, {tried}")

p_learned = learning(test, rate)
without, with_it = mixed(p_test[:1], ALONE), mixed(p_learned[None], ALONE)
print(f"perplexity on test: {without:.1f} without learning, {with_it:.1f} with")
assert with_it < 0.97 * without
assert np.array_equal(probabilities(network, test), p_test[0])  # the network has its own weights again

# The same of a run: nlp eval runs/lstm --text other.txt --dynamic

# A network that learns on can be mixed like any other; then it knows what is alike, what it has read, and what is new.
weights = best_weights(-np.log([p_learning[rate], p_valid[1]]))
together = mixed(np.stack([p_learned, p_test[1]]), weights)
print(f"learning, and mixed with the 4-grams: {together:.1f}")
assert together < with_it
