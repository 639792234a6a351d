"""What ops give at 0, -0, ±infinity, NaN, ties, the largest and the smallest numbers: values and gradients.

The questions are here, the answers in `values.toml`: those of PyTorch, which tests/oracle/test_special_values.py asks
again where it is installed. `python tests/special/values.py` writes them anew.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]

ANSWERS = Path(__file__).with_suffix(".toml")

INF, NAN = math.inf, math.nan
TINY, SMALL, LARGE = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308  # denormal, least normal, largest
ALL = (0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, TINY, -TINY, SMALL, LARGE, -LARGE)
_SOME = (0.0, -0.0, 1.0, -2.0, INF, -INF, NAN)
PAIRS = tuple(zip(*[(a, b) for a in _SOME for b in _SOME], strict=True))  # two rows: every pair of these


@dataclass(frozen=True)
class Question:
    """A call `call(library, *tensors)` on these numbers; the gradients that flow in are 1, 2, 3 …"""

    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    gradient: bool = True


def _each(name: str) -> Question:
    return Question(lambda library, x: getattr(x, name)(), (ALL,))


def _of_pairs(call: Callable[..., Any], gradient: bool = True) -> Question:
    return Question(call, PAIRS, gradient)


_ROWS = (
    (1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (INF, 1.0, 2.0), (-INF, 1.0, 2.0), (-INF, -INF, -INF), (INF, INF, 0.0),
    (NAN, 1.0, 2.0), (1.0, NAN, NAN), (LARGE, LARGE, 1.0), (TINY, TINY, 0.0), (-0.0, 0.0, -0.0), (INF, -INF, 0.0),
)  # fmt: skip
_FACTORS = (
    (2.0, 3.0, 4.0), (0.0, 3.0, 4.0), (0.0, 0.0, 4.0), (0.0, 0.0, 0.0), (-0.0, 3.0, -2.0), (INF, 2.0, 1.0),
    (INF, 0.0, 1.0), (NAN, 0.0, 1.0), (LARGE, 2.0, 1.0), (LARGE, 2.0, 0.0), (TINY, 0.5, 1.0),
)  # fmt: skip


def _rows(call: Callable[..., Any], rows: Any = _ROWS) -> Question:
    return Question(call, (rows,))


_ELEMENTWISE = [
    "abs",
    "sign",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "square",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "sigmoid",
    "relu",
    "floor",
    "ceil",
    "trunc",
    "round",
    "frac",
    "neg",
]
_ACTIVATIONS = [
    "relu",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "hardtanh",
    "relu6",
    "hardsigmoid",
    "hardswish",
    "hardshrink",
    "softshrink",
    "tanhshrink",
    "softsign",
    "logsigmoid",
]


def _activation(name: str) -> Question:
    return Question(lambda library, x: getattr(library.nn.functional, name)(x), ((*ALL, 0.5, -0.5, 3.0, -3.0, 6.0),))


def _functional(library: Any) -> Any:
    return library.nn.functional


QUESTIONS: dict[str, Question] = {
    **{name: _each(name) for name in _ELEMENTWISE},
    **{f"F.{name}": _activation(name) for name in _ACTIVATIONS},
    "add": _of_pairs(lambda library, x, y: x + y),
    "mul": _of_pairs(lambda library, x, y: x * y),
    "div": _of_pairs(lambda library, x, y: x / y),
    "pow": _of_pairs(lambda library, x, y: x**y),
    **{
        f"pow {exponent}": Question(lambda library, x, exponent=exponent: x**exponent, (ALL,))
        for exponent in (0, 1, 2, 3, 0.5, -0.5, -1, -2, 1.5)
    },
    **{f"{base} pow": Question(lambda library, x, base=base: base**x, (ALL,)) for base in (0.0, 2.0, 1.0)},
    "atan2": _of_pairs(lambda library, x, y: library.atan2(x, y)),
    "xlogy": _of_pairs(lambda library, x, y: library.xlogy(x, y)),
    "logaddexp": _of_pairs(lambda library, x, y: library.logaddexp(x, y)),
    "maximum": _of_pairs(lambda library, x, y: library.maximum(x, y)),
    "minimum": _of_pairs(lambda library, x, y: library.minimum(x, y)),
    "remainder": _of_pairs(lambda library, x, y: library.remainder(x, y)),
    "fmod": _of_pairs(lambda library, x, y: library.fmod(x, y)),
    "floor_divide": _of_pairs(lambda library, x, y: library.floor_divide(x, y), gradient=False),
    "lerp": _of_pairs(lambda library, x, y: library.lerp(x, y, 0.5)),
    "where": _of_pairs(lambda library, x, y: library.where(x > 0, x, y)),
    "where of a quotient": _of_pairs(lambda library, x, y: library.where(y != 0, x / y, x)),
    "clamp": Question(lambda library, x: x.clamp(-1.0, 1.0), (ALL,)),
    "clamp by tensors": _of_pairs(lambda library, x, y: library.clamp(x, y, y + 1)),
    "masked_fill": Question(lambda library, x: x.masked_fill(x.isnan(), 0.0), (ALL,)),
    "nan_to_num": Question(lambda library, x: library.nan_to_num(x), (ALL,)),
    "sum": _rows(lambda library, x: x.sum(1)),
    "mean": _rows(lambda library, x: x.mean(1)),
    "var": _rows(lambda library, x: x.var(1), _ROWS[:8]),
    "std": _rows(lambda library, x: x.std(1), _ROWS[:8]),
    "std of one": Question(lambda library, x: x.std(1), (((1.0,), (0.0,), (INF,), (NAN,)),)),
    "std of one over 1": Question(lambda library, x: x.std(1, correction=0), (((1.0,), (0.0,), (INF,), (NAN,)),)),
    "norm": _rows(lambda library, x: x.norm(dim=1)),
    **{f"norm {p}": _rows(lambda library, x, p=p: x.norm(p, 1), _ROWS[:8]) for p in (0, 0.5, 1, 3, INF, -INF)},
    "prod": _rows(lambda library, x: x.prod(1), _FACTORS),
    "prod of all": Question(lambda library, x: x.prod(), ((2.0, 0.0, 3.0),)),
    "prod of nothing": Question(lambda library, x: x.prod(1), (((), ()),)),
    "cumsum": _rows(lambda library, x: x.cumsum(1)),
    "cumprod": _rows(lambda library, x: x.cumprod(1), _FACTORS),
    "amax": _rows(lambda library, x: x.amax(1)),
    "amin": _rows(lambda library, x: x.amin(1)),
    "max": _rows(lambda library, x: x.max(1).values),
    "min": _rows(lambda library, x: x.min(1).values),
    "max of all": Question(lambda library, x: x.max(), ((1.0, 2.0, 2.0, -INF),)),
    "min of all with NaN": Question(lambda library, x: x.min(), ((1.0, NAN, NAN),)),
    "median": _rows(lambda library, x: x.median(1).values, (_ROWS[2], _ROWS[3], _ROWS[6], _ROWS[11])),
    "sort": _rows(lambda library, x: x.sort(dim=1, stable=True).values),
    "topk": _rows(lambda library, x: x.topk(2, 1).values, (_ROWS[2], _ROWS[3], _ROWS[6], _ROWS[11])),
    "softmax": _rows(lambda library, x: x.softmax(1)),
    "log_softmax": _rows(lambda library, x: x.log_softmax(1)),
    "logsumexp": _rows(lambda library, x: x.logsumexp(1)),
    "normalize": _rows(lambda library, x: _functional(library).normalize(x), _ROWS[:8]),
    "cosine_similarity": _rows(
        lambda library, x: _functional(library).cosine_similarity(x, library.ones_like(x)), _ROWS[:8]
    ),
    "cross_entropy": _rows(
        lambda library, x: _functional(library).cross_entropy(
            x, library.zeros(len(_ROWS), dtype=library.int64), reduction="none"
        )
    ),
    "cross_entropy, all ignored": _rows(
        lambda library, x: _functional(library).cross_entropy(
            x, library.full((len(_ROWS),), -100, dtype=library.int64), reduction="sum"
        )
    ),
    "cross_entropy, mean of none": Question(
        lambda library, x: _functional(library).cross_entropy(x, library.tensor([-100])), (((1.0, 2.0),),)
    ),
    "nll_loss": _rows(
        lambda library, x: _functional(library).nll_loss(
            x, library.zeros(len(_ROWS), dtype=library.int64), reduction="none"
        )
    ),
    "binary_cross_entropy": Question(
        lambda library, x, y: _functional(library).binary_cross_entropy(x, y, reduction="none"),
        ((0.0, 1.0, 0.0, 1.0, 0.5, TINY), (0.0, 0.0, 1.0, 1.0, 0.5, 1.0)),
    ),
    "binary_cross_entropy_with_logits": Question(
        lambda library, x, y: _functional(library).binary_cross_entropy_with_logits(x, y, reduction="none"),
        ((0.0, INF, -INF, NAN, LARGE, -LARGE, 1e3, -1e3), (1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.5)),
    ),
    "kl_div": Question(
        lambda library, x, y: _functional(library).kl_div(x, y, reduction="none"),
        ((0.0, -INF, -1.0, -INF, NAN), (0.0, 0.0, 0.5, 0.5, 0.0)),
    ),
    "smooth_l1_loss": _of_pairs(lambda library, x, y: _functional(library).smooth_l1_loss(x, y, reduction="none")),
    "huber_loss": _of_pairs(lambda library, x, y: _functional(library).huber_loss(x, y, reduction="none")),
    "l1_loss": _of_pairs(lambda library, x, y: _functional(library).l1_loss(x, y, reduction="none")),
    "mse_loss": _of_pairs(lambda library, x, y: _functional(library).mse_loss(x, y, reduction="none")),
    "layer_norm of one": Question(
        lambda library, x: _functional(library).layer_norm(x, (1,)), (((1.0,), (0.0,), (INF,), (NAN,)),)
    ),
    "matmul": Question(lambda library, x, y: x @ y, (((0.0, 1.0), (INF, 0.0)), ((1.0, NAN), (0.0, 2.0)))),
}


# Where minigrad gives something else, and why; the stored answer is PyTorch's all the same.
DIFFERENT: dict[str, str] = {
    "F.gelu": "at ±1.8e308 with a gradient above 1 flowing in, their product overflows, and NaN is passed on",
    "F.silu": "see F.gelu",
    "F.mish": "see F.gelu",
    "F.hardsigmoid": "PyTorch's backward takes 1/6 in single precision",
    "F.hardswish": "0 at -inf and 1.8e308 at 1.8e308, where PyTorch multiplies -inf by 0 and 1.8e308 by 6",
    "F.hardshrink": "the gradient at NaN, whose value is NaN, goes through",
    "F.softshrink": "see F.hardshrink",
    "lerp": "at an infinite end, PyTorch's second formula for weights from 0.5 on takes inf - inf",
    "cumprod": "right where PyTorch divides by infinities, NaN or denormals",
    "amax": "all NaN share the gradient, as in PyTorch's max; its amax divides 0 by 0",
    "amin": "see amax",
    "cross_entropy, all ignored": "an ignored row has no gradient; PyTorch multiplies its NaN by 0",
    "binary_cross_entropy": "the bound on the slope's denominator is 1e-12, in PyTorch the same in single precision",
}
# Where 0 and -0 are told apart, in the value.
SIGN_OF_ZERO_MATTERS = {
    "sqrt",
    "neg",
    "reciprocal",
    "rsqrt",
    "div",
    "mul",
    "atan2",
    "tanh",
    "sin",
    "floor",
    "ceil",
    "abs",
}


def equal(name: str, what: str, found: Any, expected: Any) -> Host:
    """Which numbers are the same: NaN as NaN, to 12 digits, anything below the least normal number as 0."""
    one, other = np.array(found, float), np.array(expected, float)
    same = np.isclose(one, other, rtol=1e-12, atol=1e-14, equal_nan=True)
    if what == "value" and name in SIGN_OF_ZERO_MATTERS:
        same &= (one != 0) | (other != 0) | (np.signbit(one) == np.signbit(other))
    return same


def answer(library: Any, question: Question, dtype: Any = np.float64) -> dict[str, Any]:
    """The value, and the gradient of each input, as nested lists."""
    tensors = [library.tensor(np.array(numbers, dtype)) for numbers in question.inputs]
    for tensor in tensors:
        tensor.requires_grad_(question.gradient)
    result = question.call(library, *tensors)
    found = {"value": result.detach().tolist()}
    if question.gradient:
        flowing = np.arange(1, math.prod(result.shape) + 1).reshape(tuple(result.shape)).astype(dtype)
        result.backward(library.tensor(flowing))
        for place, tensor in enumerate(tensors):
            zeros = np.zeros(tuple(tensor.shape)).tolist()
            found[f"gradient {place}"] = zeros if tensor.grad is None else tensor.grad.tolist()
    return found


def answers() -> dict[str, dict[str, Any]]:
    """The stored answers."""
    with ANSWERS.open("rb") as file:
        return tomllib.load(file)


def _written(value: Any) -> str:
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else repr(float(value))


def write(library: Any) -> None:
    """Ask the library and store its answers."""
    lines = ["# What PyTorch gives at special values, written by values.py; the inputs are there."]
    for name, question in QUESTIONS.items():
        lines += ["", f'["{name}"]']
        lines += [f'"{what}" = {_written(numbers)}' for what, numbers in answer(library, question).items()]
    ANSWERS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import torch

    write(torch)
