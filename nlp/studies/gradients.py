"""How far back a gradient reaches: the norm of dJ(t)/dh(t-k), of one step's loss by a state k steps before.

J(t) is the cross-entropy of the token foretold after step t alone. Texts side by side do not touch each other, so the
gradient of their sum by the states of all of them holds each one's own.

Shapes: T time steps, B texts, H hidden units, K steps back at most.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

import minigrad
import minigrad.nn.functional as F
from minigrad import Tensor, nn
from nlp.models.rnn_lm import RNNLM

__all__ = ["Reach", "gradient_norms", "reach", "unrolled"]

LOW, HIGH = 0.1, 0.9  # quantiles


@dataclass(frozen=True)
class Reach:
    """The norms of dJ(t)/ds(t-k) by k, from k = 0 on, over many t and texts; s is the state `of`, h or an LSTM's c.

    `mean` is the geometric mean, `low` and `high` are the quantiles at 10% and 90%, all of those norms that are not 0;
    `zeros` is the share of those that are.
    """

    name: str
    of: str
    mean: list[float]
    low: list[float]
    high: list[float]
    zeros: list[float]

    @property
    def factor(self) -> float:
        """What the mean norm is multiplied by at each step back, over all of them; nan where it comes to nothing."""
        first, last = self.mean[0], self.mean[-1]
        return float((last / first) ** (1 / (len(self.mean) - 1))) if first > 0 else float("nan")

    def share(self, k: int) -> float:
        """What is left of the norm k steps back; nan where there was none."""
        return self.mean[k] / self.mean[0] if self.mean[0] > 0 else float("nan")


def unrolled(model: RNNLM, input: Tensor) -> list[tuple[Tensor, ...]]:
    """The state after each of the tokens (T, B), from zeros on: (h,), or (h, c) of an LSTM, each (B, H).

    For a model of one layer, without its dropout. Every state is a node of the graph through which all later ones come.
    """
    (layer,) = model.layers
    embedded = model.embedding(input)  # T, B, E
    zeros = minigrad.zeros(input.shape[1], layer.hidden_size, dtype=embedded.dtype, device=embedded.device)
    state: tuple[Tensor, ...] = (zeros, zeros) if isinstance(layer, nn.LSTM) else (zeros,)
    states: list[tuple[Tensor, ...]] = []
    for x in embedded.unbind(0):
        state = _lstm_step(layer, x, *state) if isinstance(layer, nn.LSTM) else (_step(layer, x, *state),)
        states.append(state)
    return states


def _step(layer: nn.Module, x: Tensor, h: Tensor) -> Tensor:
    """The h after one token. It is handed on itself: a gradient by anything beside it would miss what comes later."""
    _, last = layer(x.unsqueeze(0), h.unsqueeze(0))
    return last.squeeze(0)


def _lstm_step(layer: nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step written out: where h and c come out of one node, what reaches c by way of h would not be seen in c."""
    gates = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0) + F.linear(h, layer.weight_hh_l0, layer.bias_hh_l0)
    i, f, g, o = gates.chunk(4, dim=-1)  # B, H each
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gradient_norms(model: RNNLM, input: np.ndarray, target: np.ndarray, lags: int) -> list[np.ndarray]:
    """For h, and for an LSTM's c: the norms of dJ(t)/ds(t-k), (N, K + 1), a row for each text and each t >= K.

    input, target: (T, B) with T > K = `lags`. In double precision, where a norm of 1e-40 is no 0.
    """
    model = copy.deepcopy(model).double()
    states = unrolled(model, minigrad.tensor(input))
    wanted = minigrad.tensor(target)
    of_times: list[list[np.ndarray]] = [[] for _ in states[0]]
    for t in range(lags, len(states)):
        loss = F.cross_entropy(model.decoder(states[t][0]), wanted[t], reduction="sum")
        back = states[t - lags : t + 1][::-1]  # k = 0, 1, …, K
        for part, norms in enumerate(of_times):
            gradients = minigrad.autograd.grad(loss, [state[part] for state in back], retain_graph=True)
            norms.append(np.stack([_norms(gradient) for gradient in gradients], axis=1))  # B, K + 1
    return [np.concatenate(norms) for norms in of_times]


def _norms(gradient: Tensor) -> np.ndarray:
    return np.linalg.norm(gradient.numpy(), axis=-1)


def reach(name: str, model: RNNLM, input: np.ndarray, target: np.ndarray, lags: int) -> list[Reach]:
    """`gradient_norms` in short, one for each part of the state."""
    return [_summary(name, of, norms) for of, norms in zip("hc", gradient_norms(model, input, target, lags))]


def _summary(name: str, of: str, norms: np.ndarray) -> Reach:
    logs = [np.log(column[column > 0]) for column in norms.T]
    columns = {
        "mean": [float(np.exp(one.mean())) if len(one) else 0.0 for one in logs],
        "low": [float(np.exp(np.quantile(one, LOW))) if len(one) else 0.0 for one in logs],
        "high": [float(np.exp(np.quantile(one, HIGH))) if len(one) else 0.0 for one in logs],
        "zeros": [float((column == 0).mean()) for column in norms.T],
    }
    return Reach(name, of, **columns)
