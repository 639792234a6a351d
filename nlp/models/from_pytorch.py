"""A language model trained in PyTorch, taken over: embedding, nn.LSTM (or GRU, RNN), linear.

PyTorch's own files may hold code, so they are not read; save the weights there as data first:

    safetensors.torch.save_file(model.state_dict(), "weights.safetensors")

(where weights are tied, clone one of the two), and here `from_pytorch(minigrad.load("weights.safetensors"))`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from minigrad import Tensor
from nlp.errors import NlpError
from nlp.models.rnn_lm import RNNLM

__all__ = ["from_pytorch"]

GATES = {4: "lstm", 3: "gru", 1: "rnn"}
_RECURRENT = re.compile(r"(?:(?P<module>.*)\.)?(?P<kind>weight_ih|weight_hh|bias_ih|bias_hh)_l(?P<layer>\d+)")


def from_pytorch(state: Mapping[str, Tensor]) -> RNNLM:
    """The model whose state_dict this is, whatever its parts are called; ready to evaluate.

    Expected: an embedding (V, E), one recurrent module of L layers in one direction, a linear layer (V, H) with its
    bias (V,); where embedding and linear layer have one size, the linear one is that with a bias of its name. A missing
    linear weight is the embedding's (tied). The nonlinearity of an nn.RNN must be tanh.

    Raises NlpError for a state_dict of another shape.
    """
    layers: dict[int, dict[str, Tensor]] = {}
    others: dict[str, Tensor] = {}
    for name, value in state.items():
        if match := _RECURRENT.fullmatch(name):
            layers.setdefault(int(match["layer"]), {})[match["kind"]] = value
        else:
            others[name] = value
    if not layers or any(set(one) != {"weight_ih", "weight_hh", "bias_ih", "bias_hh"} for one in layers.values()):
        raise _unlike("it needs weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0 of one direction, layer by layer")
    embedding, weight, bias = _ends(others)
    rows, hidden = layers[0]["weight_hh"].shape
    if (
        layers[0]["weight_ih"].shape[1] != embedding.shape[1]
        or weight.shape[1] != hidden
        or rows // hidden not in GATES
    ):
        raise _unlike(
            f"embedding {tuple(embedding.shape)}, {rows} gate rows of {hidden} units and output "
            f"{tuple(weight.shape)} do not fit together"
        )
    model = RNNLM(len(embedding), embedding.shape[1], hidden, len(layers), 0.0, GATES[rows // hidden])
    renamed: dict[str, Any] = {"embedding.weight": embedding, "decoder.weight": weight, "decoder.bias": bias}
    for number, layer in layers.items():
        renamed |= {f"layers.{number}.{kind}_l0": value for kind, value in layer.items()}
    model.load_state_dict(renamed)
    return model.eval()


def _ends(others: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """(embedding, output weight, output bias) among the parameters outside the recurrent module."""
    biases = [name for name, value in others.items() if value.ndim == 1]
    tables = {name: value for name, value in others.items() if value.ndim == 2}
    if len(biases) != 1 or len(tables) not in (1, 2) or len(others) != 1 + len(tables):
        raise _unlike(f"beside the recurrent layers it needs two matrices and a bias, not {sorted(others)}")
    output = biases[0].removesuffix("bias") + "weight"
    embeddings = [value for name, value in tables.items() if name != output]
    if len(embeddings) != 1:
        raise _unlike(
            f"of {sorted(tables)} one must be {output!r}, the weight of the bias, and the other the embedding"
        )
    return embeddings[0], tables.get(output, embeddings[0]), others[biases[0]]


def _unlike(reason: str) -> NlpError:
    return NlpError(f"these are not the weights of a recurrent language model that can be taken over: {reason}")
