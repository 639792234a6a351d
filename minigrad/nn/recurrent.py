"""Recurrent layers over whole sequences: RNN, LSTM and GRU.

Shapes: T steps, B sequences, I input features, H hidden features, L layers, D directions (1, or 2 if bidirectional).
    input   (T, B, I)    output  (T, B, D*H)    h0, c0, h_n, c_n  (L*D, B, H)
With `batch_first`, input and output are (B, T, ...); the states are not. A single sequence goes without B everywhere.
Sequences of different lengths come as a `PackedSequence`, and so does their output; see `nn.utils.rnn`.

Each layer and direction is one node of the graph, one of the fused ops in `minigrad.ops`; but for an LSTM with
`proj_size`, which runs in primitives, step by step.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from minigrad.backend import namespace
from minigrad.core.modes import mode
from minigrad.core.tensor import Tensor, wrap
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter, empty_parameter
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.ops import fused
from minigrad.ops.joining import cat, stack
from minigrad.ops.recurrent import lstm_steps

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def _apart(state: Tensor) -> Sequence[Tensor]:
    """The state of each place, (B, H), of (L*D, B, H).

    Where nothing is recorded nobody needs to know that these are views, and `_together` makes no node: of the 120
    microseconds that one step of two layers of 128 units takes, the two save 20."""
    if not mode.grad:
        return [wrap(state._array[place]) for place in range(state._array.shape[0])]
    return [state.squeeze(0)] if state.shape[0] == 1 else state.unbind(0)


def _together(states: Sequence[Tensor]) -> Tensor:
    """The states of all places, (B, H) each, as (L*D, B, H); one needs no copy."""
    if not mode.grad:
        arrays = [state._array[None] for state in states]
        return wrap(arrays[0] if len(arrays) == 1 else namespace(arrays[0]).concatenate(arrays))
    return states[0].unsqueeze(0) if len(states) == 1 else stack(states)


class RNNBase(Module):
    """What the three have in common: the weights, the walk through layers and directions, and the checks.

    A layer's input weights are `weight_ih_l{layer}` (K*H, I, or D*H after the first layer), its hidden ones
    `weight_hh_l{layer}` (K*H, H), its biases `bias_ih_l{layer}` and `bias_hh_l{layer}` (K*H), with K gates one below
    the other; those that read backwards end in `_reverse`. All start in U(-1/sqrt(H), 1/sqrt(H)). With `proj_size` P,
    of an LSTM, `weight_hr_l{layer}` (P, H) is there as well, and outputs and hidden states have P features for H.
    """

    kind: str
    states = 1  # how many tensors make a state: h, or h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not isinstance(dropout, (float, Real)):
            raise ValueError(f"{self.kind}: dropout must be a probability, a number from 0 to 1, got {dropout!r}")
        F.check_probability(dropout)
        for name, size in {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}.items():
            if not isinstance(size, (int, Integral)) or size < 1:
                raise ValueError(f"{self.kind}: {name} must be a positive whole number, got {size!r}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{self.kind}(dropout={dropout}) drops between layers, and with num_layers=1 there is nothing between: "
                f"put an nn.Dropout after it",
                stacklevel=3 if self.kind == "RNN" else 2,
            )
        if proj_size and self.kind != "LSTM":
            raise ValueError(f"{self.kind}: only an LSTM has a projection, so leave out proj_size={proj_size!r}")
        if not isinstance(proj_size, (int, Integral)) or not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{self.kind}: proj_size must be less than hidden_size={hidden_size}, or 0 for none, got {proj_size!r}"
            )
        # NumPy's whole numbers are welcome, and become Python's.
        input_size, hidden_size, num_layers = int(input_size), int(hidden_size), int(num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        self.proj_size = proj_size = int(proj_size)
        self._names: list[tuple[str, ...]] = []  # of each layer's and direction's weights, in the order of the states
        directions, rows, shown = 2 if bidirectional else 1, _GATES[self.kind] * hidden_size, self._state_sizes()[0]
        for layer in range(num_layers):
            width = shown * directions if layer else input_size
            for suffix in ("", "_reverse")[:directions]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, shown)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes |= {"weight_hr": (proj_size, hidden_size)}
                for name, shape in shapes.items():
                    parameter = empty_parameter(*shape, device=device, dtype=dtype)
                    self.register_parameter(f"{name}_l{layer}{suffix}", parameter)
                self._names.append(tuple(f"{name}_l{layer}{suffix}" for name in shapes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _state_sizes(self) -> tuple[int, ...]:
        """How many features each part of the state has."""
        return (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch packs the weights for cuDNN here, and programs that call it work unchanged."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        return [[self.__dict__[name] for name in names] for names in self._names]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(input, first state or None for zeros) -> (output, last state); see the shapes at the top of the file.

        A PackedSequence gives a PackedSequence; the states are in the order that the sequences were packed from, and
        the last ones are those after each sequence's own last step.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        batched = self._check_input(input)
        if not batched:
            sequence = input.unsqueeze(1)
        else:
            sequence = input.transpose(0, 1) if self.batch_first else input  # T, B, I
        first = self._first_states(hx, sequence, sequence.shape[1], batched)
        output, last = self._through_layers(sequence, first)
        if not batched:
            output, last = output.squeeze(1), [part.squeeze(1) for part in last]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, last[0] if self.states == 1 else tuple(last)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, way_back = input
        if data.ndim != 2 or data.shape[1] != self.input_size:
            raise RuntimeError(
                f"{self.kind}: the data of the packed sequence must be (N, I) with input_size={self.input_size} "
                f"features, got shape {tuple(data.shape)}"
            )
        sizes = tuple(batch_sizes.tolist())
        first = self._first_states(hx, data, sizes[0], order=order)
        output, last = self._through_layers(data, first, sizes)
        if way_back is not None:
            last = [part.index_select(1, way_back) for part in last]
        return PackedSequence(output, batch_sizes, order, way_back), last[0] if self.states == 1 else tuple(last)

    def _through_layers(
        self, sequence: Tensor, first: list[tuple[Tensor, ...]], batch_sizes: tuple[int, ...] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """(T, B, I), or packed (N, I), through all layers and directions: the output, and each part of the last states,
        (L*D, B, H)."""
        last: list[tuple[Tensor, ...]] = []
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            if layer and self.dropout:
                sequence = F.dropout(sequence, self.dropout, self.training)
            outputs = []
            for place in range(layer * directions, (layer + 1) * directions):
                reverse = place % directions == 1
                output, *state = self._run(
                    sequence, first[place], self._weights(place), reverse=reverse, batch_sizes=batch_sizes
                )
                outputs.append(output)
                last.append(tuple(state))
            sequence = outputs[0] if directions == 1 else cat(outputs, dim=-1)
        return sequence, [_together(parts) for parts in zip(*last)]

    def _run(self, input: Tensor, state: tuple[Tensor, ...], weights: tuple[Any, ...], **over_time: Any) -> Any:
        """One layer, one direction: (output, *last state); `over_time` are the settings that say how time runs."""
        raise NotImplementedError(f"{type(self).__name__} must say how it runs one layer: use RNN, LSTM or GRU")

    def _weights(self, place: int) -> tuple[Any, ...]:
        """(w_ih, w_hh, b_ih, b_hh), the biases None if there are none; and w_hr if there is one."""
        attributes = self.__dict__
        weights = tuple([attributes[name] for name in self._names[place]])
        return weights if self.bias else (*weights[:2], None, None, *weights[2:])

    # ---- checks, and the state to begin with ------------------------------------------------------------------------

    def _check_input(self, input: Any) -> bool:
        """Whether the input has a batch dimension; raises if it does not fit."""
        if not isinstance(input, Tensor):
            raise TypeError(f"{self.kind}: the input must be a Tensor, got {type(input).__name__}")
        shape = input._array.shape
        layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if len(shape) not in (2, 3):
            raise ValueError(f"{self.kind}: the input must be {layout}, or (T, I) for one sequence, got shape {shape}")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"{self.kind}: the input's last dimension must be input_size={self.input_size}, got shape {shape}: "
                f"{self._hint(shape)}"
            )
        steps = shape[1] if self.batch_first and len(shape) == 3 else shape[0]
        if steps == 0:
            raise RuntimeError(f"{self.kind}: the input of shape {shape} has no time steps: leave such a batch out")
        return len(shape) == 3

    def _hint(self, shape: tuple[int, ...]) -> str:
        if self.input_size in shape[:-1]:
            return f"dimension {shape.index(self.input_size)} has that size, so transpose the input"
        return f"build the layer with input_size={shape[-1]}, or bring the features to {self.input_size}"

    def _first_states(
        self, hx: Any, like: Tensor, B: int, batched: bool = True, order: Tensor | None = None
    ) -> list[tuple[Tensor, ...]]:
        """The state of each layer and direction at the start, each part (B, H), the sequences in that `order`."""
        places = len(self._names)
        sizes = self._state_sizes()
        if hx is None:
            xp = namespace(like._array)
            return [tuple([wrap(xp.zeros((B, size), dtype=like.dtype)) for size in sizes])] * places
        parts = self._state_parts(hx)
        for name, part, size in zip(("h0", "c0"), parts, sizes, strict=False):
            wanted = (places, B, size) if batched else (places, size)
            if part._array.shape != wanted:
                raise RuntimeError(
                    f"{self.kind}: {name} must have shape {wanted}, which is "
                    f"{'(L*D, B, H)' if batched else '(L*D, H), the input having no batch dimension'}, "
                    f"got {tuple(part.shape)}"
                )
        if not batched:
            parts = [part.unsqueeze(1) for part in parts]
        if order is not None:
            parts = [part.index_select(1, order) for part in parts]
        return list(zip(*map(_apart, parts), strict=True))

    def _state_parts(self, hx: Any) -> list[Tensor]:
        if not isinstance(hx, Tensor):
            raise TypeError(f"{self.kind}: the state must be a Tensor h0, got {type(hx).__name__}")
        return [hx]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += ", bias=False"
        if self.batch_first:
            text += ", batch_first=True"
        if self.dropout:
            text += f", dropout={self.dropout}"
        return text + (", bidirectional=True" if self.bidirectional else "")


class RNN(RNNBase):
    """The simple recurrent network (Elman 1990): h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    `rnn(input, h0=None) -> (output, h_n)`.
    """

    kind = "RNN"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity

    def _run(self, input: Tensor, state: tuple[Tensor, ...], weights: tuple[Any, ...], **over_time: Any) -> Any:
        return fused.rnn(input, *state, *weights, nonlinearity=self.nonlinearity, **over_time)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        i, f, o = sigmoid(...), g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh;   c = f c + i g;   h = o tanh(c)

    The gates lie in the weights in the order i, f, g, o. `lstm(input, (h0, c0)=None) -> (output, (h_n, c_n))`.
    With `proj_size` the hidden state is h = W_hr (o tanh(c)), smaller than the cell (Sak et al., Interspeech 2014).
    """

    kind = "LSTM"
    states = 2

    def _run(self, input: Tensor, state: tuple[Tensor, ...], weights: tuple[Any, ...], **over_time: Any) -> Any:
        run = lstm_steps if self.proj_size else fused.lstm
        return run(input, *state, *weights, **over_time)

    def _state_parts(self, hx: Any) -> list[Tensor]:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2 or not all(isinstance(part, Tensor) for part in hx):
            raise TypeError(f"LSTM: the state must be a pair of Tensors (h0, c0), got {type(hx).__name__}")
        return list(hx)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the matrix product, as cuDNN has it.

        r, z = sigmoid(...) of W_ih x + b_ih + W_hh h + b_hh;   n = tanh(W_in x + b_in + r (W_hn h + b_hn))
        h = (1 - z) n + z h

    The gates lie in the weights in the order r, z, n. `gru(input, h0=None) -> (output, h_n)`.
    """

    kind = "GRU"

    def _run(self, input: Tensor, state: tuple[Tensor, ...], weights: tuple[Any, ...], **over_time: Any) -> Any:
        return fused.gru(input, *state, *weights, **over_time)
