"""A recurrent language model that is deep within a step.

Pascanu, Gulcehre, Cho and Bengio, "How to construct deep recurrent neural networks" (2014). A plain recurrent network
has one affine map on each of three ways: from the input to the hidden state, from one hidden state to the next, from
the hidden state to the output. Here each may be a network of several layers:

    a_t = U_I tanh(... tanh(U_1 x_t))                        input to hidden
    z_1 = tanh(a_t + W_1 h_t-1),    z_l = tanh(W_l z_l-1)    hidden to hidden;  h_t = z_L
    y_t = V_O tanh(... tanh(V_1 h_t))                        hidden to output

With depths I, L, O of 1, 1, 1 it is Elman's network. L > 1 is the paper's DT-RNN, with a shortcut
h_t = tanh(W_L z_L-1 + S h_t-1) its DT(S)-RNN; with O > 1 in addition they are DOT-RNN and DOT(S)-RNN (its figure 2).
The shortcut gives the gradient a way through time with one nonlinearity a step. The paper's fourth, the stacked RNN, is
`RNNLM` with several layers.

    model = DeepTransitionLM(len(vocabulary), embedding=100, hidden=200, transition_depth=2, output_depth=2)
    loss, state = model.loss(input, target)  # whole numbers (T, B), each column a text

Shapes: T time steps, B texts side by side, E embedding, H hidden units, V tokens in the vocabulary.
"""

from __future__ import annotations

from itertools import pairwise

import minigrad
from minigrad import Tensor, nn
from nlp.errors import NlpError
from nlp.models.feature_lm import FeatureLM, MakeOutput, start_small
from nlp.models.output_layers import FullSoftmax
from nlp.models.sizes import check_sizes
from nlp.models.token_model import State

__all__ = ["DeepTransitionLM"]


class DeepTransitionLM(FeatureLM):
    """A recurrent network with several layers from input to state, from state to state, and from state to output.

    Args:
        vocabulary: how many tokens there are, V.
        embedding, hidden: sizes E and H; every layer has H units.
        input_depth, transition_depth, output_depth: how many affine maps there are on each way: I, L, O, from 1.
        shortcut: whether the last state also reaches the next one directly; for a transition_depth of at least 2.
        dropout: the probability with which, in training, an element of the embedding, and of what the scores are made
            of, is dropped; the recurrence is left alone, as in Zaremba et al. (2014).

    Raises NlpError for a size or depth that gives no model, or a shortcut with nothing to cut short.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 100,
        hidden: int = 200,
        input_depth: int = 1,
        transition_depth: int = 2,
        output_depth: int = 1,
        shortcut: bool = True,
        dropout: float = 0.0,
        output: MakeOutput = FullSoftmax,
    ) -> None:
        super().__init__()
        check_sizes("DeepTransitionLM", vocabulary=vocabulary, embedding=embedding, hidden=hidden)
        depths = {"input_depth": input_depth, "transition_depth": transition_depth, "output_depth": output_depth}
        check_sizes("DeepTransitionLM", **depths)
        if shortcut and transition_depth == 1:
            raise NlpError(
                "DeepTransitionLM: a shortcut goes past layers, and with transition_depth=1 there are none between: "
                "take shortcut=False or a larger transition_depth"
            )
        self.size = hidden
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.dropout = nn.Dropout(dropout)
        self.input = _affine([embedding, *[hidden] * input_depth])
        # The first map's bias is that of the input's last.
        self.transition = nn.ModuleList(nn.Linear(hidden, hidden, bias=place > 0) for place in range(transition_depth))
        self.shortcut = nn.Linear(hidden, hidden, bias=False) if shortcut else None
        self.output = _affine([hidden] * output_depth)
        self.decoder = output(hidden, vocabulary)
        start_small(self.embedding, self.decoder)

    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The last layer before the scores (T, B, H), and the state: one tensor, h (1, B, H)."""
        driven = self.dropout(self.embedding(input))  # T, B, E
        for place, layer in enumerate(self.input):
            driven = layer(driven.tanh() if place else driven)
        h = driven.new_zeros(input.shape[1], self.size) if state is None else state[0].squeeze(0)
        steps = []
        for step in driven.unbind(0):
            h = self._next(step, h)
            steps.append(h)
        features = minigrad.stack(steps)
        for layer in self.output:
            features = layer(features).tanh()
        return self.dropout(features), (h.unsqueeze(0),)

    def _next(self, driven: Tensor, h: Tensor) -> Tensor:
        """The state (B, H) after `h`, given what comes of the input."""
        z = driven + self.transition[0](h)
        for layer in self.transition[1:]:
            z = layer(z.tanh())
        return (z if self.shortcut is None else z + self.shortcut(h)).tanh()


def _affine(widths: list[int]) -> nn.ModuleList:
    """An affine map from each width to the next."""
    return nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
