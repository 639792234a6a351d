"""A recurrent language model whose memory is its own output.

Jordan, "Serial order: a parallel distributed processing approach" (1986); Goodfellow, Bengio and Courville, "Deep
learning" (2016), section 10.2.1. What goes from one step to the next is not the hidden layer but the output, here the
distribution y over the vocabulary:

    h_t = tanh(W x_t + U y_t-1 + b),    y_t = softmax(V h_t + c)

x_t is the vector of token t, and y_t what the model then expects at t + 1. So y_t-1 is what it had expected in the
place of token t: it meets its expectation and what really came side by side. All that it knows of the tokens before
has to pass through that one distribution.

**The model** is this, free-running: y_t-1 is its own distribution, always. That is a function of the tokens up to t - 1
alone, so y_t is the conditional probability of token t + 1 given those up to t and sums to 1, and a text has the
product of them. So it is judged, and so it writes.

**Teacher forcing** is a way of training: y_t-1 is replaced by the truth at that step, the distribution that is 1 for
the token that came. In a language model the truth at t - 1 is token t, which is x_t already: a step that is forced sees
token t twice and nothing before it. With a probability of 1 the steps no longer depend on each other and are computed
all at once, fast; but what is trained is a model of pairs of tokens, and U is never shown a distribution such as it
meets when judged. A probability between 0 and 1 decides anew for each step of each text (scheduled sampling: Bengio,
Vinyals, Jaitly and Shazeer 2015), which keeps the way through y open.

    model = JordanLM(len(vocabulary), embedding=100, hidden=200, teacher_forcing=0.25)
    loss, state = model.loss(input, target)  # whole numbers (T, B), each column a text

Shapes: T time steps, B texts side by side, E embedding, H hidden units, V tokens in the vocabulary.
"""

from __future__ import annotations

import minigrad
from minigrad import Tensor, nn
from nlp.errors import NlpError
from nlp.models.feature_lm import FeatureLM, MakeOutput, start_small
from nlp.models.output_layers import FullSoftmax
from nlp.models.sizes import check_sizes
from nlp.models.token_model import State

__all__ = ["JordanLM"]


class JordanLM(FeatureLM):
    """The network with output recurrence.

    A step that is not forced costs two products with the vocabulary, V x H, and training keeps its distribution (B, V).

    Args:
        vocabulary: how many tokens there are, V.
        embedding, hidden: sizes E and H.
        teacher_forcing: in training, the probability with which a step of a text is given the token that came in place
            of what the model expected.
        dropout: the probability with which, in training, an element of the embedding, and of the hidden layer on its
            way to the scores, is dropped. What is fed back is expected without dropout of the hidden layer.

    U is `feedback.weight`, transposed: (V, H), one row for each token. Raises NlpError for a size that gives no model
    and a teacher_forcing that is no probability.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 100,
        hidden: int = 200,
        teacher_forcing: float = 0.0,
        dropout: float = 0.0,
        output: MakeOutput = FullSoftmax,
    ) -> None:
        super().__init__()
        check_sizes("JordanLM", vocabulary=vocabulary, embedding=embedding, hidden=hidden)
        if not 0 <= teacher_forcing <= 1:
            raise NlpError(f"JordanLM: teacher_forcing is a probability, from 0 to 1, not {teacher_forcing}")
        self.teacher_forcing = teacher_forcing
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.dropout = nn.Dropout(dropout)
        self.input = nn.Linear(embedding, hidden)
        self.feedback = nn.Embedding(vocabulary, hidden)
        self.decoder = output(hidden, vocabulary)
        start_small(self.embedding, self.feedback, self.decoder)

    def features(self, input: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The hidden layer (T, B, H), and the state: one tensor, U y of the last step (1, B, H); 0 before a text."""
        driven = self.input(self.dropout(self.embedding(input)))  # T, B, H
        if self.training and self.teacher_forcing == 1:
            hidden = (driven + self.feedback(input)).tanh()
            expected = self._expected(hidden[-1])
        else:
            hidden, expected = self._step_by_step(driven, input, state)
        return self.dropout(hidden), (expected.unsqueeze(0),)

    def _step_by_step(self, driven: Tensor, input: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The hidden layer (T, B, H), and U y of the last step (B, H)."""
        T, B = input.shape
        fed_back = minigrad.zeros_like(driven[0]) if state is None else state[0].squeeze(0)
        forced = self.training and self.teacher_forcing > 0
        if forced:
            came = self.feedback(input)
            is_forced = minigrad.rand(T, B, 1, device=input.device) < self.teacher_forcing
        steps = []
        for t in range(T):
            h = (driven[t] + (minigrad.where(is_forced[t], came[t], fed_back) if forced else fed_back)).tanh()
            fed_back = self._expected(h)
            steps.append(h)
        return minigrad.stack(steps), fed_back

    def _expected(self, h: Tensor) -> Tensor:
        """U y (B, H) of the distribution y (B, V) that the hidden layer (B, H) gives."""
        return minigrad.softmax(self.decoder(h), -1) @ self.feedback.weight
