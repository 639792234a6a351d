"""Specs of the containers, by small networks that hold their layers in them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.testing.module_spec import Batch, ModuleCase, ModuleSpec
from minigrad.testing.strategies import Host, arrays, shapes

Call = tuple[dict[str, Any], list[Any]]


@st.composite
def _widths(draw: st.DrawFn) -> Call:
    widths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return {"widths": widths}, [draw(arrays((*draw(shapes(max_dims=1)), widths[0])))]


def _layers(widths: list[int]) -> list[nn.Module]:
    return [nn.Linear(one, other) for one, other in itertools.pairwise(widths)]


def in_a_row(widths: list[int]) -> nn.Sequential:
    """Linear layers with a tanh after each."""
    return nn.Sequential(*[part for layer in _layers(widths) for part in (layer, nn.Tanh())])


class Listed(nn.Module):
    """The same in a list."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_layers(widths))

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        for layer in self.layers:
            x = layer(x).tanh()
        return x


class Named(nn.Module):
    """The same in a dictionary."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({f"layer{at}": layer for at, layer in enumerate(_layers(widths))})

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        for _, layer in self.layers.items():
            x = layer(x).tanh()
        return x


class Matrices(nn.Module):
    """Matrices in a row, in a list of parameters."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        shapes = itertools.pairwise(widths)
        self.matrices = nn.ParameterList([minigrad.zeros(one, other) for one, other in shapes])

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        for matrix in self.matrices:
            x = (x @ matrix).tanh()
        return x


def _network(prefix: str, step: int = 1) -> Any:
    def reference(state: Any, x: Host, widths: list[int]) -> Host:
        for at in range(len(widths) - 1):
            name = f"{prefix}{at * step}"
            x = np.tanh(x @ state[f"{name}.weight"].T + state[f"{name}.bias"])
        return x

    return reference


def _product(state: Any, x: Host, widths: list[int]) -> Host:
    for at in range(len(widths) - 1):
        x = np.tanh(x @ state[f"matrices.{at}"])
    return x


def _rows(case: ModuleCase) -> Batch | None:
    return Batch((0,), (0,)) if case.arrays()[0].ndim > 1 else None


SPECS = [
    ModuleSpec(in_a_row, _widths(), _network("", 2), covers=nn.Sequential, batch=_rows),
    ModuleSpec(Listed, _widths(), _network("layers."), covers=nn.ModuleList, batch=_rows),
    ModuleSpec(Named, _widths(), _network("layers.layer"), covers=nn.ModuleDict, batch=_rows),
    ModuleSpec(Matrices, _widths(), _product, covers=nn.ParameterList, batch=_rows),
]
