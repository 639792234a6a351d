"""minigrad and PyTorch under the same names, so that each piece of work is written once for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], object]


@dataclass(frozen=True)
class Library:
    """`lib.tensor`, `nn.LSTM`, `F.cross_entropy`, `optim.SGD` mean the same in both."""

    name: str
    lib: Any
    nn: Any
    F: Any
    optim: Any


def of_minigrad() -> Library:
    """Ours."""
    import minigrad
    import minigrad.nn.functional as F
    from minigrad import nn, optim

    minigrad.manual_seed(0)
    return Library("minigrad", minigrad, nn, F, optim)


def of_torch() -> Library:
    """PyTorch; ImportError where it is not installed."""
    import torch
    import torch.nn.functional as F
    from torch import nn, optim

    torch.manual_seed(0)
    return Library("torch", torch, nn, F, optim)


def set_threads(name: str, count: int) -> None:
    """So many threads for one library; ours has NumPy's for matrix products."""
    if name == "torch":
        import torch

        torch.set_num_threads(count)
        return
    import threadpoolctl

    import minigrad

    minigrad.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")
