"""What every optimizer of `minigrad.optim` should do: one OptimizerSpec each. The papers' updates: optim/papers.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from optim.papers import SETTINGS, UPDATES, betas, flags, rates

from minigrad import optim
from minigrad.testing.optimizer_spec import OptimizerSpec
from minigrad.testing.strategies import Host, shapes

_ROWS = {"SGD": "as dense", "Adagrad": "as dense"}


def _sparse_adam(p: Host, g: Host, memory: dict[str, Any], s: dict[str, Any], t: int, rows: Host) -> Host:
    """Adam on the rows that were looked up; the others and their averages stand still."""
    b1, b2 = s["betas"]
    g = -g if s["maximize"] else g
    m, v = memory.setdefault("m", np.zeros_like(p)), memory.setdefault("v", np.zeros_like(p))
    p = p.copy()
    for row in set(rows.tolist()):
        m[row] = b1 * m[row] + (1 - b1) * g[row]
        v[row] = b2 * v[row] + (1 - b2) * g[row] ** 2
        p[row] -= s["lr"] * np.sqrt(1 - b2**t) / (1 - b1**t) * m[row] / (np.sqrt(v[row]) + s["eps"])
    return p


_lbfgs = st.fixed_dictionaries(
    {"max_iter": st.sampled_from([1, 4])},
    optional={
        "lr": st.sampled_from([0.5, 1.0]),
        "history_size": st.sampled_from([1, 3]),
        "line_search_fn": st.just("strong_wolfe"),
    },
)

OPTIMIZERS = [
    *(
        OptimizerSpec(
            getattr(optim, name), SETTINGS[name], UPDATES[name], torch=name, rows=_ROWS.get(name, "refused"),
            refuses=True,
        )
        for name in SETTINGS
    ),
    OptimizerSpec(
        optim.SparseAdam,
        st.fixed_dictionaries(
            {"lr": rates, "betas": betas, "eps": st.sampled_from([1e-8, 1e-2]), "maximize": flags}
        ),
        _sparse_adam, torch="SparseAdam", rows="only", refuses=True, shapes=shapes(min_dims=2, max_dims=2, min_side=1),
        waits=True,  # how many different rows there are is known to the device alone
    ),
    # Both refuse parameters without any elements: there is nothing to search.
    OptimizerSpec(
        optim.LBFGS, _lbfgs, torch="LBFGS", rows="refused", refuses=True, closure=True, waits=True,
        shapes=shapes(max_dims=2, min_side=1),
    ),
    OptimizerSpec(
        optim.ConjugateGradient, st.fixed_dictionaries({"max_iter": st.sampled_from([1, 4])}),
        rows="refused", refuses=True, closure=True, waits=True,
        shapes=shapes(max_dims=2, min_side=1),
    ),
]  # fmt: skip
