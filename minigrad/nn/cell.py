"""One step of a recurrent network, for loops that decide between the steps.

Shapes: input (B, I), states (B, H); a single example goes without B.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import namespace
from minigrad.core.tensor import Tensor, wrap
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import empty_parameter
from minigrad.ops import fused


class _Cell(Module):
    """What the three have in common: weights `weight_ih` (K*H, I), `weight_hh` (K*H, H), `bias_ih`, `bias_hh` (K*H).

    They start in U(-1/sqrt(H), 1/sqrt(H)).
    """

    gates: int

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
        for name, shape in shapes.items():
            self.register_parameter(name, empty_parameter(*shape, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, empty_parameter(rows, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _check_input(self, input: Tensor) -> None:
        """Raise unless the input fits the cell (the op checks the states). A loop comes here at every step."""
        if not isinstance(input, Tensor):
            raise TypeError(f"{type(self).__name__}: the input must be a Tensor, got {type(input).__name__}")
        shape = input._array.shape
        if len(shape) not in (1, 2):
            raise ValueError(f"{type(self).__name__}: the input must be (B, I), or (I) for one, got shape {shape}")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"{type(self).__name__}: the input's last dimension must be input_size={self.input_size}, got {shape}"
            )

    def _zeros(self, input: Tensor) -> Tensor:
        array = input._array
        return wrap(namespace(array).zeros((*array.shape[:-1], self.hidden_size), dtype=array.dtype))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. `cell(input, h=None) -> h'`."""

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **kwargs: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(input, state or None for zeros) -> the next state."""
        self._check_input(input)
        hx = self._zeros(input) if hx is None else hx
        return fused.rnn_cell(
            input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, nonlinearity=self.nonlinearity
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of `LSTM`. `cell(input, (h, c)=None) -> (h', c')`."""

    gates = 4

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """(input, state or None for zeros) -> the next state."""
        self._check_input(input)
        if hx is None:
            zeros = self._zeros(input)
            hx = (zeros, zeros)
        elif not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise TypeError(f"LSTMCell: the state must be a pair of Tensors (h, c), got {type(hx).__name__}")
        return fused.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(_Cell):
    """One step of `GRU`. `cell(input, h=None) -> h'`."""

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(input, state or None for zeros) -> the next state."""
        self._check_input(input)
        hx = self._zeros(input) if hx is None else hx
        return fused.gru_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
