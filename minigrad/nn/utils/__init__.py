"""What training loops do with all parameters or all gradients at once."""

from minigrad.nn.utils.gradients import clip_grad_norm_, clip_grad_value_
from minigrad.nn.utils.vector import parameters_to_vector, vector_to_parameters

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]
