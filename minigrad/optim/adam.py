"""Adam and its relatives: a moving average of the gradient, over one of its size."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.backend import Array, namespace
from minigrad.core.rows import Rows
from minigrad.optim.optimizer import Optimizer, Settings, State, buffer_of, is_number


class _Betas(Optimizer):
    """What they share: two averages, each with the share of the old that it keeps at a step."""

    _always: tuple[str, ...] = ("step", "exp_avg", "exp_avg_sq")

    def _check_settings(self, group: Settings) -> None:
        self._at_least_zero(group, "lr", "eps", "weight_decay", "momentum_decay")
        betas = group["betas"]
        pair = isinstance(betas, (tuple, list)) and len(betas) == 2
        if not pair or not all(is_number(beta) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"{self._name()}: betas must be two numbers, at least 0 and below 1, got {betas}")


class Adam(_Betas):
    """Kingma & Ba, ICLR 2015: moving averages of the gradient and of its square, corrected for their start at zero.

        m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2
        p <- p - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    With `amsgrad` (Reddi et al., ICLR 2018) the largest v so far takes v's place. `weight_decay` is added to the
    gradient; `AdamW` takes it off the weights instead.
    """

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        beta1, beta2 = group["betas"]
        largest = buffer_of(state, "max_exp_avg_sq", p, group["amsgrad"])
        kernels.of(p).adam_update(
            p, g, state["exp_avg"]._array, state["exp_avg_sq"]._array, largest,
            lr=group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=group["weight_decay"],
            decoupled=self.decoupled, step=state["step"], maximize=group["maximize"],
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr * weight_decay) p before each step (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class Adamax(_Betas):
    """Adam with the largest recent gradient in place of the average square (Kingma & Ba 2015, section 7.1).

    m <- b1 m + (1 - b1) g;   u <- max(b2 u, |g| + eps)
    p <- p - lr / (1 - b1^t) * m / u
    """

    _always = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        beta1, beta2 = group["betas"]
        kernels.of(p).adamax_update(
            p, g, state["exp_avg"]._array, state["exp_inf"]._array,
            lr=group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=group["weight_decay"],
            step=state["step"], maximize=group["maximize"],
        )  # fmt: skip


class NAdam(_Betas):
    """Adam with Nesterov's momentum, which looks one step ahead (Dozat, ICLR workshop 2016).

        mu(t) = b1 * (1 - 0.96^(t * momentum_decay) / 2);   M(t) = mu(1) * ... * mu(t);   m, v as Adam's
        p <- p - lr * ((1 - mu(t)) / (1 - M(t)) * g + mu(t+1) / (1 - M(t+1)) * m) / (sqrt(v / (1 - b2^t)) + eps)

    With `decoupled_weight_decay` p shrinks as in AdamW.
    """

    _numbers = {"step": int, "mu_product": float}
    _always = ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _first(self, group: Settings) -> dict[str, float]:
        return {"mu_product": 1.0}

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        mu, ahead = _momentum(state["step"], group), _momentum(state["step"] + 1, group)
        state["mu_product"] *= mu
        kernels.of(p).nadam_update(
            p, g, state["exp_avg"]._array, state["exp_avg_sq"]._array,
            lr_gradient=group["lr"] * (1 - mu) / (1 - state["mu_product"]),
            lr_momentum=group["lr"] * ahead / (1 - state["mu_product"] * ahead),
            step=state["step"], **_moment_settings(group),
        )  # fmt: skip


class RAdam(_Betas):
    """Adam that waits with its adaptive rates until their variance can be corrected (Liu et al., ICLR 2020).

        p <- p - lr * m / (1 - b1^t)                                                 in the first steps, then
        p <- p - lr * r(t) * m / (1 - b1^t) * sqrt(1 - b2^t) / (sqrt(v) + eps)

    r(t) comes from the length of the average v: see `kernels.reference_update.radam_update`. With
    `decoupled_weight_decay` p shrinks as in AdamW.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Array, g: Array, state: State, group: Settings) -> None:
        kernels.of(p).radam_update(
            p, g, state["exp_avg"]._array, state["exp_avg_sq"]._array,
            lr=group["lr"], step=state["step"], **_moment_settings(group),
        )  # fmt: skip


class SparseAdam(_Betas):
    """Adam for tables with sparse gradients, `nn.Embedding(sparse=True)`: only rows that were looked up move.

    The averages of the other rows stand still too, where Adam would let them fall: so the work is that of the rows, and
    a rare row keeps its momentum until it comes again. The bias corrections count the table's steps.

    Raises RuntimeError for a dense gradient.
    """

    _takes_dense, _takes_rows = False, True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _update_rows(self, p: Array, rows: Rows, state: State, group: Settings) -> None:
        rows, (beta1, beta2) = rows.coalesce(), group["betas"]
        at, g = rows._index, -rows._values if group["maximize"] else rows._values
        mean = _toward(state["exp_avg"]._array, at, g, beta1)
        square = _toward(state["exp_avg_sq"]._array, at, g * g, beta2)
        rate = group["lr"] * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
        p[at] -= rate * mean / (namespace(p).sqrt(square) + group["eps"])


def _momentum(step: int, group: Settings) -> float:
    """NAdam's mu(step), which grows from b1 / 2 to b1."""
    return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))


def _moment_settings(group: Settings) -> Settings:
    """What NAdam's and RAdam's updates have in common; weight decay is either a gradient or a shrinking."""
    decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
    return {
        "beta1": group["betas"][0], "beta2": group["betas"][1], "eps": group["eps"], "maximize": group["maximize"],
        "weight_decay": 0 if decoupled else decay, "shrink": 1 - group["lr"] * decay if decoupled else 1,
    }  # fmt: skip


def _toward(average: Array, at: Array, values: Array, keep: float) -> Array:
    """Move the rows `at` of a moving average towards `values`, in place, and return those rows."""
    rows = keep * average[at] + (1 - keep) * values
    average[at] = rows
    return rows
