"""A recurrent language model: given the words so far, a score for every word that may come next.

The shape of Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014): dropout stands between
the layers, never inside the recurrence. Its options lead to the one of Merity, Keskar and Socher, "Regularizing and
optimizing LSTM language models" (2018): one mask for all time steps, whole words and recurrent weights dropped,
activations held small.

Shapes: T time steps, B texts side by side, E embedding, H hidden units, L layers, V words in the vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import minigrad
from minigrad import Tensor, nn
from nlp.errors import NlpError, did_you_mean
from nlp.models.feature_lm import INITIAL_RANGE, FeatureLM, MakeOutput
from nlp.models.output_layers import FullSoftmax
from nlp.models.recurrent_dropout import draw_mask, run_with_mask
from nlp.models.sizes import check_sizes
from nlp.models.token_model import State

__all__ = ["CELLS", "RNNLM"]

CELLS: dict[str, Any] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "irnn": partial(nn.RNN, nonlinearity="relu"),
}


class RNNLM(FeatureLM):
    """Embedding, dropout, `layers` recurrent layers with dropout between them, dropout, a score for each word.

    Args:
        vocabulary: how many words there are, V.
        embedding, hidden: sizes E and H.
        dropout: the probability with which the output of the last layer is dropped in training.
        cell: "lstm", "gru", "rnn", or "irnn": ReLUs whose state is at first handed on as it is, the recurrent weights
            being the identity, the input weights from N(0, 0.001), the biases 0 (Le, Jaitly and Hinton, "A simple way
            to initialize recurrent networks of rectified linear units", 2015).
        output: makes the output layer `decoder` of H and V: one of `nlp.models.output_layers`, or
            `partial(NCE, counts=vocabulary.counts, samples=200)`.
        tied: the output layer's weight is the embedding (Press and Wolf 2017; Inan et al. 2017), so that it has to be
            a full softmax or a sampled one. Where E differs from H, the last layer has E units, as in Merity et al.;
            with a single layer they must be equal.
        dropout_input, dropout_between: the same before the first layer, and between layers; `dropout` if not said.
        locked: one mask for all time steps of a call (Gal and Ghahramani 2016).
        dropout_words: the probability with which a word's embedding is dropped wherever it occurs (the same).
        weight_drop: the probability with which a recurrent weight is dropped (DropConnect; Merity et al., section 2).
        dropout_recurrent: the probability with which an element of h is dropped on its way to the recurrent weights, by
            one mask for each text in all time steps of a call (Gal and Ghahramani 2016, section 4.2). The layers then
            go step by step in training. Not together with `weight_drop`.
        skip: the input goes to every layer, and every layer's output to the scores (Graves, "Generating sequences with
            recurrent neural networks", 2013, section 2). "The output of the last layer" is then all of them, one behind
            the other. Not with tied weights.
        activation_penalty: alpha, what the objective adds for each squared output of the last layer after dropout.
        change_penalty: beta, what it adds for the squared change of that output, before dropout, from step to step
            (both in section 4.3 of Merity et al.).
        initial_range: every weight starts in U(-r, r) as in Zaremba et al. (but an irnn's); None: the layers as
            `minigrad.nn` has them, embedding and output in U(-0.1, 0.1).

    Raises NlpError for sizes below 1, probabilities not from 0 to 1, an unknown cell, and options that exclude each
    other.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 200,
        hidden: int = 200,
        layers: int = 2,
        dropout: float = 0.2,
        cell: str = "lstm",
        tied: bool = False,
        *,
        dropout_input: float | None = None,
        dropout_between: float | None = None,
        locked: bool = False,
        dropout_words: float = 0.0,
        weight_drop: float = 0.0,
        dropout_recurrent: float = 0.0,
        skip: bool = False,
        activation_penalty: float = 0.0,
        change_penalty: float = 0.0,
        initial_range: float | None = None,
        output: MakeOutput = FullSoftmax,
    ) -> None:
        super().__init__()
        check_sizes("RNNLM", vocabulary=vocabulary, embedding=embedding, hidden=hidden, layers=layers)
        dropout_input = dropout if dropout_input is None else dropout_input
        dropout_between = dropout if dropout_between is None else dropout_between
        _check_probabilities(
            dropout=dropout,
            dropout_input=dropout_input,
            dropout_between=dropout_between,
            dropout_words=dropout_words,
            weight_drop=weight_drop,
            dropout_recurrent=dropout_recurrent,
        )
        if cell not in CELLS:
            raise NlpError(f"RNNLM: a cell is one of {', '.join(CELLS)}, not {cell!r}{did_you_mean(cell, CELLS)}")
        for name, penalty in {"activation_penalty": activation_penalty, "change_penalty": change_penalty}.items():
            if not penalty >= 0:
                raise NlpError(f"RNNLM: {name} is 0 or more, not {penalty}")
        if initial_range is not None and not initial_range > 0:
            raise NlpError(f"RNNLM: initial_range is {initial_range}, it must be above 0, or None for the layers' own")
        last = embedding if tied else hidden
        if layers == 1 and last != hidden:
            raise NlpError(
                f"RNNLM: tied weights of a single layer need embedding and hidden of one size, not {embedding} and "
                f"{hidden}"
            )
        if tied and skip:
            raise NlpError(
                "RNNLM: with skip all layers go to the scores, for which a tied weight is too narrow: leave one out"
            )
        if weight_drop and dropout_recurrent:
            raise NlpError(
                "RNNLM: weight_drop and dropout_recurrent both act in the recurrence: leave one of them at 0"
            )
        kind = nn.LockedDropout if locked else nn.Dropout
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.word_dropout = nn.EmbeddingDropout(dropout_words)
        self.dropout_input = kind(dropout_input)
        widths = [embedding, *[hidden] * (layers - 1), last]
        again = [0, *[embedding if skip else 0] * (layers - 1)]  # what of the input comes to each layer once more
        self.layers = nn.ModuleList(CELLS[cell](widths[i] + again[i], widths[i + 1]) for i in range(layers))
        self.dropout_between = kind(dropout_between)
        self.dropout = kind(dropout)
        self.decoder = output(sum(widths[1:]) if skip else last, vocabulary)
        if tied:
            if not isinstance(self.decoder, FullSoftmax):
                raise NlpError(
                    f"RNNLM: tied weights need a row for each word, which {type(self.decoder).__name__} lacks"
                )
            self.decoder.weight = self.embedding.weight
        self.dropout_recurrent, self.skip = dropout_recurrent, skip
        self.activation_penalty, self.change_penalty = activation_penalty, change_penalty
        self._initialize(initial_range)
        if cell == "irnn":
            for layer in self.layers:
                _start_as_identity(layer)
        if weight_drop:
            for layer in self.layers:
                nn.utils.weight_drop(layer, "weight_hh_l0", weight_drop)

    def _initialize(self, r: float | None) -> None:
        small = INITIAL_RANGE if r is None else r
        nn.init.uniform_(self.embedding.weight, -small, small)
        self.decoder.initialize(small)
        if r is not None:
            for weight in self.layers.parameters():
                nn.init.uniform_(weight, -r, r)

    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The outputs of the last layer after dropout (T, B, H), and the state after the last word.

        The state is, for each layer, an LSTM's (h, c) or the h of the others, (1, B, H) each; None is all zeros.
        """
        output, state = self._read(input, state)
        return self.dropout(output), state

    def objective(self, input: Tensor, target: Tensor, state: State = None) -> tuple[Tensor, Tensor, State]:
        """What training makes small, the mean cross-entropy in it, and the state."""
        output, state = self._read(input, state)
        dropped = self.dropout(output)
        objective, loss = self.decoder.objective(dropped.reshape(-1, dropped.shape[-1]), target.reshape(-1))
        if self.activation_penalty:
            objective = objective + self.activation_penalty * (dropped * dropped).mean()
        if self.change_penalty and len(output) > 1:
            change = output[1:] - output[:-1]
            objective = objective + self.change_penalty * (change * change).mean()
        return objective, loss, state

    def _read(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        """The outputs of the last layer, or of all (T, B, H or L H), over words (T, B), and the last state."""
        embedded = output = self.dropout_input(self.word_dropout(self.embedding, input))  # T, B, E
        before = [None] * len(self.layers) if state is None else state
        outputs, after = [], []
        for place, layer in enumerate(self.layers):
            if place:
                output = self.dropout_between(output)
                output = minigrad.cat([embedded, output], dim=-1) if self.skip else output
            output, last = self._run(layer, output, before[place])
            outputs.append(output)
            after.append(last)
        return minigrad.cat(outputs, dim=-1) if self.skip else output, tuple(after)

    def _run(self, layer: nn.RNNBase, input: Tensor, state: State) -> tuple[Tensor, State]:
        """One layer: its outputs and its last state."""
        if not (self.training and self.dropout_recurrent):
            return layer(input, state)
        return run_with_mask(layer, input, state, draw_mask(layer, input, self.dropout_recurrent))


def _check_probabilities(**probabilities: float) -> None:
    for name, p in probabilities.items():
        if not 0 <= p <= 1:
            raise NlpError(f"RNNLM: {name} is a probability, from 0 to 1, not {p}")


def _start_as_identity(layer: nn.RNN) -> None:
    nn.init.eye_(layer.weight_hh_l0)
    nn.init.normal_(layer.weight_ih_l0, 0.0, 0.001)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
