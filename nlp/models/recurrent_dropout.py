"""Dropout inside the recurrence, with one mask for all time steps.

Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks" (2016), section 4.2:
what the recurrent weights are multiplied with is not h_t-1 but h_t-1 * m, where the mask m is drawn once for a
sequence. An LSTM's cell c, and the part of h that a GRU takes over as it is, go on whole.

Shapes: T time steps, B texts side by side, I input features, H hidden units.
"""

from __future__ import annotations

from typing import Any

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from nlp.models.token_model import State

__all__ = ["draw_mask", "run_with_mask"]


def draw_mask(layer: nn.RNNBase, input: Tensor, p: float) -> Tensor:
    """A mask (B, H) for the layer's state: 0 with probability `p`, otherwise 1 / (1 - p)."""
    return F.dropout(input.new_ones(input.shape[1], layer.hidden_size), p)


def run_with_mask(layer: nn.RNNBase, input: Tensor, state: State, mask: Tensor) -> tuple[Tensor, State]:
    """The layer, of one direction and depth, over the input (T, B, I) under a mask (B, H): output and last state.

    They are as `layer(input, state)` gives them, and the same where the mask is 1 everywhere. The layer goes from step
    to step, which takes longer.
    """
    if state is None:
        zeros = input.new_zeros(1, *mask.shape)
        state = (zeros, zeros) if isinstance(layer, nn.LSTM) else zeros
    steps = _gru_steps if isinstance(layer, nn.GRU) else _steps
    return steps(layer, input, state, mask)


def _steps(layer: nn.RNNBase, input: Tensor, state: Any, mask: Tensor) -> tuple[Tensor, State]:
    """An LSTM or a plain layer: h is used in nothing but the product with the weights."""
    outputs = []
    for step in input.split(1):
        h = (state[0] * mask, state[1]) if isinstance(state, tuple) else state * mask
        output, state = layer(step, h)
        outputs.append(output)
    return minigrad.cat(outputs), state


def _gru_steps(layer: nn.RNNBase, input: Tensor, state: Tensor, mask: Tensor) -> tuple[Tensor, State]:
    """A GRU: h' = n + z (h - n) with h whole, which the layer's own step would take masked."""
    driven = F.linear(input, layer.weight_ih_l0, layer.bias_ih_l0)  # T, B, 3 H
    h, outputs = state.squeeze(0), []
    for step in driven.unbind(0):
        r_in, z_in, n_in = step.chunk(3, -1)
        r_h, z_h, n_h = F.linear(h * mask, layer.weight_hh_l0, layer.bias_hh_l0).chunk(3, -1)
        r, z = (r_in + r_h).sigmoid(), (z_in + z_h).sigmoid()
        n = (n_in + r * n_h).tanh()
        h = n + z * (h - n)
        outputs.append(h)
    return minigrad.stack(outputs), h.unsqueeze(0)
