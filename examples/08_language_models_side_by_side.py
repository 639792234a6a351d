"""Chapter 8: many ways to say which word comes next, side by side.

From counting to networks that remember: each model of nlp learns the small language of chapter 5, in which a verb
agrees with its subject four words before, and all are judged alike: by their perplexity on sentences they have not
seen, and by whether they expect the right form of the verb. What a model cannot see it cannot learn: a 4-gram foresees
the verb from "near the dog", and the subject stands just before that.

Run it: python examples/08_language_models_side_by_side.py

The same models on a text of yours: nlp train --model window --text book.txt, and so on.
"""

import random
from functools import partial

import numpy as np

import minigrad
from nlp.evaluation.scoring import evaluate
from nlp.models.deep_transition_lm import DeepTransitionLM
from nlp.models.jordan_lm import JordanLM
from nlp.models.maxent import MaxEntLM
from nlp.models.ngram import NGramLM
from nlp.models.output_layers import NCE
from nlp.models.rnn_lm import RNNLM
from nlp.models.window_lm import WindowLM
from nlp.text import BpttBatches, EvaluationBatches
from nlp.training import Trainer

# ---- 1. the language of chapter 5 -----------------------------------------------------------------------------------

NOUNS = ["cat", "dog", "bird", "child", "fox"]
SEVERAL = {"cat": "cats", "dog": "dogs", "bird": "birds", "child": "children", "fox": "foxes"}
VERBS = {"sees": "see", "hears": "hear", "likes": "like", "follows": "follow"}
SUBJECT, VERB = 2, 6  # where they stand in a sentence of ten words


def sentences(count, rng):
    """Sentences of our small language, each a list of words."""
    made = []
    for _ in range(count):
        subject, between, other = (rng.choice([noun, SEVERAL[noun]]) for noun in rng.choices(NOUNS, k=3))
        verb = rng.choice(list(VERBS))
        verb = verb if subject in NOUNS else VERBS[verb]
        size = rng.choice(["small", "old", "quick", "grey"])
        made.append(f"the {size} {subject} near the {between} {verb} the {other} .".split())
    return made


rng = random.Random(0)
training, held_out = sentences(1200, rng), sentences(200, rng)
watched = sentences(50, rng)  # while a model trains they show how it comes along; it is judged by others
words = sorted({word for sentence in training for word in sentence})
number_of = {word: number for number, word in enumerate(words)}
V = len(words)


def numbered(text):
    """The words of all sentences as numbers, one after the other."""
    return np.array([number_of[word] for sentence in text for word in sentence])


train, valid, test = numbered(training), numbered(watched), numbered(held_out)
print(f"{len(train)} words to learn from, {V} different ones; {len(test)} to be judged by")
print("perplexity of the language itself: 2.63\n")

# ---- 2. judging -----------------------------------------------------------------------------------------------------

one, several = ([number_of[verb] for verb in verbs] for verbs in (VERBS, VERBS.values()))


def agreement(model):
    """The share of sentences in which the model, before the verb, expects the right form of it rather than the other.

    A model gives scores (T, B, V): here the sentences stand side by side, B of them.
    """
    side_by_side = test.reshape(len(held_out), -1).T  # T, B
    with minigrad.no_grad():
        scores, _ = model.eval()(minigrad.tensor(side_by_side[:VERB]))
    expected = np.exp(scores[-1].numpy())  # B, V
    for_one, for_several = expected[:, one].sum(axis=1), expected[:, several].sum(axis=1)
    is_one = np.array([sentence[SUBJECT] in NOUNS for sentence in held_out])
    right = np.where(is_one, for_one > for_several, for_several > for_one)
    return right.mean()


def judge(name, model):
    """Print what the model came to."""
    perplexity = evaluate(model, EvaluationBatches(test, 1, 100)).perplexity
    share = agreement(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name:34} {parameters or 'counts':>9} {perplexity:10.2f} {share:11.0%}")
    return share


print(f"{'model':34} {'numbers':>9} {'perplexity':>10} {'agreement':>11}")

# ---- 3. models that see a few words ---------------------------------------------------------------------------------

# An n-gram model counts; how much it trusts a count is its smoothing. The text is read once.
for order in (1, 2, 3, 4, 5):
    counted = NGramLM(V, order, "modified-kneser-ney").count(train)
    share = judge(f"{order}-grams, modified Kneser-Ney", counted)
assert share > 0.9, "the four words before the verb reach back to the subject"

# The others are trained: the same loop for all, since each gives `objective`, what is to be made small.


def trained(make, lr=0.01, epochs=20):
    """A fresh model that was trained on the text in 20 streams side by side."""
    minigrad.manual_seed(0)
    model = make(V)
    trainer = Trainer(model, lr=lr, epochs=epochs, schedule="cosine", clip=0.5, patience=0)
    for _event in trainer.train(BpttBatches(train, 20, 20), EvaluationBatches(valid, 5, 20)):
        pass  # an nlp run would draw a bar and write a file
    return model


small = {"embedding": 16, "hidden": 32}
blind = judge("window of 3 words (Bengio)", trained(partial(WindowLM, **small, order=4)))
seeing = judge("window of 4 words", trained(partial(WindowLM, **small, order=5)))
assert blind < 0.7 < 0.9 < seeing
judge("maximum entropy, 3-grams", trained(partial(MaxEntLM, order=3, size=20_000), lr=0.1))

# ---- 4. models that remember ----------------------------------------------------------------------------------------

recurrent = partial(RNNLM, **small, layers=1, dropout=0.0)
for cell in ("rnn", "gru", "lstm"):
    share = judge(cell.upper(), trained(partial(recurrent, cell=cell)))
assert share > 0.9, "an LSTM carries the subject's number to the verb"
judge("LSTM, two layers, skip connections", trained(partial(RNNLM, **small, layers=2, dropout=0.0, skip=True)))
judge("deep transition (Pascanu)", trained(partial(DeepTransitionLM, **small)))

# A Jordan network's memory is its own output: what it expected, not what it saw. That is a narrow door. (And the plain
# RNN? Its gradient is small where it comes from the subject, chapter 10: from other sentences it may learn it.)
judge("output recurrence (Jordan)", trained(partial(JordanLM, **small)))

# With many words the output layer is what costs most. Noise contrastive estimation trains it on a few drawn ones; the
# perplexity is still that over all words.
judge("LSTM, trained on 12 drawn words", trained(partial(recurrent, output=partial(NCE, samples=12)), lr=0.02))
