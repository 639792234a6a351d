"""Chapter 5: a recurrent language model, from the cell up.

First one step of an LSTM written in ops, then a layer that takes the steps, then the model around it, trained to say
which word comes next, judged by its perplexity, and made to speak.

Run it: python examples/05_a_language_model_from_the_cell_up.py [text.txt]

Without a text of yours it learns a small language of our own, in which verbs agree with their subject: "the small cats
near the dog see the bird ." To get this right the model must remember, across the dog, that there were several cats.

Shapes: T time steps, B texts side by side, E embedding, H hidden units, V words in the vocabulary.
"""

import math
import random
import sys
from collections import Counter
from pathlib import Path

import minigrad
import minigrad.nn.functional as F
from minigrad import nn, optim, study

minigrad.manual_seed(0)

# ---- 1. one step: the cell ------------------------------------------------------------------------------------------


class Cell(nn.Module):
    """A step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    The state is h, what the cell shows, and c, what it remembers. Three gates between 0 and 1 decide what is let in
    (i), what is kept (f) and what is shown (o). Since c is changed by adding to it, its gradient goes back through time
    without being multiplied by a matrix at each step.
    """

    def __init__(self, input_size, hidden_size):
        super().__init__()
        # All four linear maps at once: one product instead of eight (chapter 3).
        self.input = nn.Linear(input_size, 4 * hidden_size)
        self.state = nn.Linear(hidden_size, 4 * hidden_size)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.input(x) + self.state(h)).chunk(4, dim=1)  # B, H each
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, c


# ---- 2. all steps: the layer ----------------------------------------------------------------------------------------


class Layer(nn.Module):
    """The cell at every step of a sequence, each with the state the last one left."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = Cell(input_size, hidden_size)
        self.hidden_size = hidden_size

    def forward(self, inputs, state=None):
        if state is None:
            zeros = minigrad.zeros(inputs.shape[1], self.hidden_size)
            state = zeros, zeros
        outputs = []
        for x in inputs:  # T times B, E
            state = self.cell(x, state)
            outputs.append(state[0])
        return minigrad.stack(outputs), state  # T, B, H


# It is the LSTM of the library, which does the same in one op: given the same weights, the same comes out.
ours, theirs = Layer(3, 4), nn.LSTM(3, 4)
for ours_name, theirs_name in {"input": "ih", "state": "hh"}.items():
    linear = getattr(ours.cell, ours_name)
    linear.weight.data.copy_(getattr(theirs, f"weight_{theirs_name}_l0").data)
    linear.bias.data.copy_(getattr(theirs, f"bias_{theirs_name}_l0").data)
inputs = minigrad.randn(5, 2, 3)
difference = (ours(inputs)[0] - theirs(inputs)[0]).abs().max().item()
print(f"our layer and nn.LSTM differ by at most {difference:.0e}")
assert difference < 1e-6

# Backpropagation through time needs nothing more: the loop has left its graph behind. A picture would show every step;
# folded, it shows the cell once, how often it ran, and with dashed wires what goes from one step to the next.
x = minigrad.randn(30, 2, 3)
print("thirty steps of it:")
print(study.draw(ours(x)[0].sum(), module=ours))

# ---- 3. the model ---------------------------------------------------------------------------------------------------


class LanguageModel(nn.Module):
    """Words (T, B) to scores (T, B, V) for the word that follows each."""

    def __init__(self, vocabulary, embedding, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layer = Layer(embedding, hidden)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, words, state=None):
        outputs, state = self.layer(self.embedding(words), state)
        return self.decoder(outputs), state


# ---- 4. a text ------------------------------------------------------------------------------------------------------

NOUNS = ["cat", "dog", "bird", "child", "fox"]
SEVERAL = {"cat": "cats", "dog": "dogs", "bird": "birds", "child": "children", "fox": "foxes"}
VERBS = {"sees": "see", "hears": "hear", "likes": "like", "follows": "follow"}


def sentences(count, rng):
    """Sentences of our small language as a list of words."""
    words = []
    for _ in range(count):
        subject, between, other = (rng.choice([noun, SEVERAL[noun]]) for noun in rng.choices(NOUNS, k=3))
        verb = rng.choice(list(VERBS))
        verb = verb if subject in NOUNS else VERBS[verb]
        size = rng.choice(["small", "old", "quick", "grey"])
        words += f"the {size} {subject} near the {between} {verb} the {other} .".split()
    return words


text = Path(sys.argv[1]).read_text(encoding="utf-8").split() if len(sys.argv) > 1 else sentences(900, random.Random(0))
if len(text) < 2000:
    sys.exit("this text is too short to learn from: it should have 2,000 words at least")
most = [word for word, _ in Counter(text).most_common(2000)]
vocabulary = ["<unk>", *most]
number_of = {word: number for number, word in enumerate(vocabulary)}
numbers = minigrad.tensor([number_of.get(word, 0) for word in text])
V = len(vocabulary)
cut = len(numbers) * 9 // 10
print(f"\n{len(text)} words, {V} different ones; the last tenth is held out")


def batches(words, T, B):
    """Pieces of T steps of B texts side by side, each with the words that follow: (T, B) and (T, B)."""
    columns = words[: (len(words) - 1) // B * B + 1]
    inputs, targets = columns[:-1].reshape(B, -1).T, columns[1:].reshape(B, -1).T
    return [(inputs[t : t + T], targets[t : t + T]) for t in range(0, len(inputs), T)]


# Perplexity is how many words the model hesitates between, on average: e to the mean of -log p(word). A model without
# context gives each word its frequency. No model can beat the language itself: every sentence of ours is one of 16,000,
# all equally likely, and has 10 words.
seen = Counter(text[:cut])
counts = minigrad.tensor([seen[word] + 1.0 for word in vocabulary])  # one more, so that no word is impossible
unigram = math.exp(-(counts / counts.sum()).log()[numbers[cut:]].mean().item())
print(f"perplexity of word frequencies: {unigram:.2f}")
if len(sys.argv) == 1:
    print(f"perplexity of the language itself: {(4 * 10 * 10 * 4 * 10) ** (1 / 10):.2f}")

# ---- 5. training ----------------------------------------------------------------------------------------------------

T, B = 20, 20
model = LanguageModel(V, embedding=24, hidden=48)
optimizer = optim.Adam(model.parameters(), lr=0.01)


def evaluate():
    """The perplexity of the held-out words, read from beginning to end."""
    with minigrad.no_grad():
        scores, _ = model(numbers[cut:-1].unsqueeze(1))
        return math.exp(F.cross_entropy(scores.squeeze(1), numbers[cut + 1 :]).item())


for epoch in range(1, 7):
    state = None
    for inputs, targets in batches(numbers[:cut], T, B):
        if state is not None:
            state = tuple(part.detach() for part in state)  # the memory goes on, the graph does not
        scores, state = model(inputs, state)
        loss = F.cross_entropy(scores.reshape(-1, V), targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print(f"epoch {epoch}  held-out perplexity {evaluate():6.2f}")

perplexity = evaluate()
assert perplexity < unigram, "the model has learned less than the words' frequencies"

# ---- 6. and now it speaks -------------------------------------------------------------------------------------------


def speak(count, start="."):
    """Words drawn one after the other, each from what the model says can follow the last."""
    words, state = [start], None
    with minigrad.no_grad():
        while len(words) <= count:
            scores, state = model(minigrad.tensor([[number_of[words[-1]]]]), state)
            drawn = minigrad.multinomial(F.softmax(scores[0, 0], dim=0), 1)
            words.append(vocabulary[drawn.item()])
    return words[1:]


spoken = speak(400, start=text[-1] if text[-1] in number_of else vocabulary[1])
print(" ".join(spoken[:60]))

# Does the verb agree with its subject, four words before it, whatever the noun in between? Guessing is right in half.
if len(sys.argv) == 1:
    right = total = 0
    for sentence in " ".join(spoken).split(" ."):
        words = sentence.split()
        if len(words) == 9 and words[2] in [*NOUNS, *SEVERAL.values()] and words[6] in [*VERBS, *VERBS.values()]:
            total += 1
            right += (words[2] in NOUNS) == (words[6] in VERBS)
    print(f"the verb agrees with its subject in {right} of {total} sentences")
