"""What training loops do with all parameters or all gradients at once."""

from minigrad.nn.utils import rnn
from minigrad.nn.utils.gradients import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from minigrad.nn.utils.penalty import penalty
from minigrad.nn.utils.vector import parameters_to_vector, vector_to_parameters
from minigrad.nn.utils.weight_drop import weight_drop

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "penalty",
    "rnn",
    "vector_to_parameters",
    "weight_drop",
]
