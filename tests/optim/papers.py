"""For each optimizer: settings to draw, and its paper's update in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np

Array = Any
Settings = dict[str, Any]

rates = st.sampled_from([1e-3, 0.03, 0.5])
decays = st.sampled_from([0, 0.1])
flags = st.booleans()
betas = st.sampled_from([(0.9, 0.999), (0.5, 0.7), (0.0, 0.9)])


@st.composite
def sgd_settings(draw: Any) -> Settings:
    nesterov = draw(flags)
    return {
        "lr": draw(rates),
        "momentum": draw(st.sampled_from([0.5, 0.9] if nesterov else [0, 0.5, 0.9])),
        "dampening": 0 if nesterov else draw(st.sampled_from([0, 0.3])),
        "weight_decay": draw(decays),
        "nesterov": nesterov,
        "maximize": draw(flags),
    }


adagrad_settings = st.fixed_dictionaries(
    {"lr": rates, "lr_decay": st.sampled_from([0, 0.2]), "weight_decay": decays, "maximize": flags,
     "initial_accumulator_value": st.sampled_from([0, 0.5]), "eps": st.sampled_from([1e-10, 1e-2])}
)  # fmt: skip
rmsprop_settings = st.fixed_dictionaries(
    {"lr": rates, "alpha": st.sampled_from([0.5, 0.99]), "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays,
     "momentum": st.sampled_from([0, 0.9]), "centered": flags, "maximize": flags}
)  # fmt: skip
adam_settings = st.fixed_dictionaries(
    {"lr": rates, "betas": betas,
     "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays, "amsgrad": flags, "maximize": flags}
)  # fmt: skip
adadelta_settings = st.fixed_dictionaries(
    {"lr": st.sampled_from([0.1, 1.0]), "rho": st.sampled_from([0.5, 0.9]), "eps": st.sampled_from([1e-6, 1e-2]),
     "weight_decay": decays, "maximize": flags}
)  # fmt: skip
adamax_settings = st.fixed_dictionaries(
    {"lr": rates, "betas": betas, "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays, "maximize": flags}
)
radam_settings = st.fixed_dictionaries(
    {"lr": rates, "betas": betas, "eps": st.sampled_from([1e-8, 1e-2]), "weight_decay": decays, "maximize": flags,
     "decoupled_weight_decay": flags}
)  # fmt: skip
nadam_settings = st.builds(dict, radam_settings, momentum_decay=st.sampled_from([4e-3, 0.5]))
asgd_settings = st.fixed_dictionaries(
    {"lr": rates, "lambd": st.sampled_from([1e-4, 0.1]), "alpha": st.sampled_from([0.75, 0.5]),
     "t0": st.sampled_from([0, 3, 1e6]), "weight_decay": decays, "maximize": flags}
)  # fmt: skip
rprop_settings = st.fixed_dictionaries(
    {"lr": st.sampled_from([1e-3, 0.03]), "etas": st.sampled_from([(0.5, 1.2), (0.3, 1.5)]),
     "step_sizes": st.sampled_from([(1e-6, 50), (1e-2, 0.05)]), "maximize": flags}
)  # fmt: skip
SETTINGS = {
    "SGD": sgd_settings(), "Adagrad": adagrad_settings, "RMSprop": rmsprop_settings, "Adam": adam_settings,
    "AdamW": adam_settings, "Adadelta": adadelta_settings, "Adamax": adamax_settings, "NAdam": nadam_settings,
    "RAdam": radam_settings, "ASGD": asgd_settings, "Rprop": rprop_settings,
}  # fmt: skip


# ---- the papers' updates --------------------------------------------------------------------------------------------


def descent(p: Array, g: Array, s: Settings) -> Array:
    return (-g if s["maximize"] else g) + s["weight_decay"] * p


def sgd(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    if s["momentum"]:
        memory["v"] = g if t == 1 else s["momentum"] * memory["v"] + (1 - s["dampening"]) * g
        g = g + s["momentum"] * memory["v"] if s["nesterov"] else memory["v"]
    return p - s["lr"] * g


def adagrad(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    memory["G"] = memory.get("G", s["initial_accumulator_value"]) + g**2
    return p - s["lr"] / (1 + (t - 1) * s["lr_decay"]) * g / (np.sqrt(memory["G"]) + s["eps"])


def rmsprop(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    memory["r"] = s["alpha"] * memory.get("r", 0) + (1 - s["alpha"]) * g**2
    memory["m"] = s["alpha"] * memory.get("m", 0) + (1 - s["alpha"]) * g
    step = g / (np.sqrt(memory["r"] - memory["m"] ** 2 if s["centered"] else memory["r"]) + s["eps"])
    memory["b"] = s["momentum"] * memory.get("b", 0) + step
    return p - s["lr"] * memory["b"]


def adam(p: Array, g: Array, memory: Settings, s: Settings, t: int, decoupled: bool = False) -> Array:
    b1, b2 = s["betas"]
    if decoupled:
        p = p - s["lr"] * s["weight_decay"] * p
        g = descent(p, g, {**s, "weight_decay": 0})
    else:
        g = descent(p, g, s)
    memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g**2
    memory["largest"] = np.maximum(memory.get("largest", 0), memory["v"])
    v = (memory["largest"] if s["amsgrad"] else memory["v"]) / (1 - b2**t)
    return p - s["lr"] * memory["m"] / (1 - b1**t) / (np.sqrt(v) + s["eps"])


def adamw(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    return adam(p, g, memory, s, t, decoupled=True)


def adadelta(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    g = descent(p, g, s)
    memory["g2"] = s["rho"] * memory.get("g2", 0) + (1 - s["rho"]) * g**2
    step = np.sqrt((memory.get("x2", 0) + s["eps"]) / (memory["g2"] + s["eps"])) * g
    memory["x2"] = s["rho"] * memory.get("x2", 0) + (1 - s["rho"]) * step**2
    return p - s["lr"] * step


def adamax(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    b1, b2 = s["betas"]
    g = descent(p, g, s)
    memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    memory["u"] = np.maximum(b2 * memory.get("u", 0), np.abs(g) + s["eps"])
    return p - s["lr"] / (1 - b1**t) * memory["m"] / memory["u"]


def moments(p: Array, g: Array, memory: Settings, s: Settings) -> tuple[Array, Array, Array]:
    """The parameter and the gradient after weight decay of either kind, and Adam's v; m goes into the memory."""
    if s["decoupled_weight_decay"]:
        p, s = p * (1 - s["lr"] * s["weight_decay"]), {**s, "weight_decay": 0}
    g, (b1, b2) = descent(p, g, s), s["betas"]
    memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g**2
    return p, g, memory["v"]


def nadam(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    mu = s["betas"][0] * (1 - 0.5 * 0.96 ** (np.arange(1, t + 2) * s["momentum_decay"]))
    p, g, v = moments(p, g, memory, s)
    ahead = mu[t] * memory["m"] / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:-1]))
    return p - s["lr"] * ahead / (np.sqrt(v / (1 - s["betas"][1] ** t)) + s["eps"])


def radam(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    p, _, v = moments(p, g, memory, s)
    b1, b2 = s["betas"]
    mean = memory["m"] / (1 - b1**t)
    last = 2 / (1 - b2) - 1
    rho = last - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return p - s["lr"] * mean
    r = np.sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho))
    return p - s["lr"] * r * mean * np.sqrt(1 - b2**t) / (np.sqrt(v) + s["eps"])


def asgd(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    eta = s["lr"] / (1 + s["lambd"] * s["lr"] * (t - 1)) ** s["alpha"]
    return p - eta * (s["lambd"] * p + descent(p, g, s))


def rprop(p: Array, g: Array, memory: Settings, s: Settings, t: int) -> Array:
    """Element by element, as the paper's loop has it."""
    g = -g if s["maximize"] else g
    before, steps = memory.get("g", np.zeros_like(p)), memory.get("steps", np.full_like(p, s["lr"]))
    p, g = np.array(p), np.array(g)
    for at in np.ndindex(p.shape):
        if before[at] * g[at] > 0:
            steps[at] = min(steps[at] * s["etas"][1], s["step_sizes"][1])
        elif before[at] * g[at] < 0:
            steps[at] = max(steps[at] * s["etas"][0], s["step_sizes"][0])
            g[at] = 0
        else:  # PyTorch keeps the first step within the bounds too
            steps[at] = min(max(steps[at], s["step_sizes"][0]), s["step_sizes"][1])
        p[at] -= np.sign(g[at]) * steps[at]
    memory.update(g=g, steps=steps)
    return p


UPDATES: dict[str, Callable[..., Array]] = {
    "SGD": sgd, "Adagrad": adagrad, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw, "Adadelta": adadelta,
    "Adamax": adamax, "NAdam": nadam, "RAdam": radam, "ASGD": asgd, "Rprop": rprop,
}  # fmt: skip
