"""The hand-written pairs: a whole layer as one node of the graph.

Each has a composite beside it, the same function in plain primitives: the text to read first, the oracle of the tests,
and what the engine differentiates when gradients are to be differentiated again (`core.primitive.fused`).
`recurrent` and `cells` have the recurrent networks, `loss` the losses over classes, `embedding` the table look-up,
`norm` layer normalisation; this is the one door to all of them.
"""

from minigrad.ops.cells import gru_cell, lstm_cell, rnn_cell
from minigrad.ops.embedding import embedding
from minigrad.ops.loss import cross_entropy, linear_cross_entropy, nll_loss
from minigrad.ops.norm import layer_norm
from minigrad.ops.recurrent import gru, lstm, rnn

__all__ = [
    "cross_entropy", "embedding", "gru", "gru_cell", "layer_norm", "linear_cross_entropy", "lstm", "lstm_cell",
    "nll_loss", "rnn", "rnn_cell",
]  # fmt: skip
