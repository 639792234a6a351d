"""Every kernel for CuPy arrays; importing this imports CuPy.

No kernel waits for the card, but for `sum_rows`: how many rows it gives is something only the card knows. What CuPy
does well enough by itself is the plain version. So `add_rows`, the gradient of an embedding, is CuPy's `add.at`, one
launch of atomic additions: where an index comes more than twice, their order, and so the last digits, may differ from
run to run, as with PyTorch's index_add_. All that is written here adds in an order that never changes.

Products are float32 throughout. TF32, which takes in only 10 bits after the point, is off unless CUPY_TF32=1 is in the
environment before the first product: CuPy's own switch, and PyTorch's default for products (not for its cuDNN layers).
"""

from minigrad.kernels.cuda_loss import (
    cross_entropy_backward,
    cross_entropy_forward,
    linear_cross_entropy_backward,
    linear_cross_entropy_forward,
)
from minigrad.kernels.cuda_recurrent import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)
from minigrad.kernels.cuda_update import (
    adagrad_update,
    adam_update,
    rmsprop_update,
    scale,
    sgd_update,
    squared_norm,
    together,
)
from minigrad.kernels.reference_linear import linear, sum_of_rows
from minigrad.kernels.reference_loss import log_softmax, log_softmax_backward, softmax, softmax_backward
from minigrad.kernels.reference_update import (
    adadelta_update,
    adamax_update,
    add_rows,
    asgd_update,
    nadam_update,
    radam_update,
    rprop_update,
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
