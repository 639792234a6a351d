"""Every kernel for NumPy arrays: the work of `reference`, arranged for caches and threads."""

from minigrad.kernels.cpu_blocks import together
from minigrad.kernels.cpu_gru import gru_backward, gru_forward
from minigrad.kernels.cpu_linear import linear, sum_of_rows
from minigrad.kernels.cpu_loss import (
    cross_entropy_backward,
    cross_entropy_forward,
    linear_cross_entropy_backward,
    linear_cross_entropy_forward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from minigrad.kernels.cpu_lstm import lstm_backward, lstm_forward
from minigrad.kernels.cpu_rnn import rnn_backward, rnn_forward
from minigrad.kernels.cpu_update import (
    adadelta_update,
    adagrad_update,
    adam_update,
    adamax_update,
    add_rows,
    asgd_update,
    nadam_update,
    radam_update,
    rmsprop_update,
    rprop_update,
    scale,
    sgd_update,
    squared_norm,
    sum_rows,
)

__all__ = [
    "adadelta_update", "adagrad_update", "adam_update", "adamax_update", "add_rows", "asgd_update",
    "cross_entropy_backward", "cross_entropy_forward", "gru_backward", "gru_forward", "linear",
    "linear_cross_entropy_backward", "linear_cross_entropy_forward", "log_softmax", "log_softmax_backward",
    "lstm_backward", "lstm_forward", "nadam_update", "radam_update", "rmsprop_update", "rnn_backward", "rnn_forward",
    "rprop_update", "scale", "sgd_update", "softmax", "softmax_backward", "squared_norm", "sum_of_rows", "sum_rows",
    "together",
]  # fmt: skip
