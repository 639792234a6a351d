"""The plain kernels on a device whose arrays keep to CuPy's manners: nothing mixes with NumPy, nothing waits."""

import numpy as np
import pytest
from kernels.on_standin import assert_same

from minigrad import kernels
from minigrad.backend import from_host
from minigrad.kernels import reference
from minigrad.testing import standin


@pytest.fixture(scope="module")
def device():
    return standin.install()


def both(device, shape, seed, dtype=np.float32):
    """The same numbers here and there."""
    host = np.asarray(np.random.default_rng(seed).uniform(0.1, 1, size=shape), dtype=dtype)
    return host, from_host(host, device)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_recurrent(device, kind, reverse):
    (T, B, features, H), K = (3, 2, 4, 3), {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    shapes = [(T, B, features), *[(B, H)] * (1 + (kind == "lstm")), (K * H, features), (K * H, H), (K * H,), (K * H,)]
    host, there = zip(*[both(device, shape, seed) for seed, shape in enumerate(shapes)])
    options = {"reverse": reverse, "keep": True} | ({"nonlinearity": "relu"} if kind == "rnn" else {})
    assert kernels.of(there[0]) is reference
    results, residuals = getattr(reference, f"{kind}_forward")(*host, **options)
    g = [both(device, result.shape, 9) for result in results]
    needs = (True,) * len(host)
    with standin.no_synchronisation():
        found, found_residuals = getattr(reference, f"{kind}_forward")(*there, **options)
        gradients = getattr(reference, f"{kind}_backward")(found_residuals, *[w for _, w in g], needs)
    assert_same(found, results)
    assert_same(gradients, getattr(reference, f"{kind}_backward")(residuals, *[w for w, _ in g], needs))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(device, reduction, weighted, smoothing):
    N, D, V = 5, 3, 4
    host, there = zip(*[both(device, shape, seed) for seed, shape in enumerate(((N, D), (V, D), (V,), (V,), (N, V)))])
    target = np.array([0, 3, -100, 1, 3])
    targets = target, from_host(target, device)
    options = {"ignore_index": -100, "reduction": reduction, "label_smoothing": smoothing, "keep": True}

    def run(arrays, target):
        input, linear_weight, bias, weight, logits = arrays
        weight = weight if weighted else None
        fused = reference.linear_cross_entropy_forward(input, linear_weight, target, bias, weight, **options)
        plain = reference.cross_entropy_forward(logits, target, weight, **options)
        g = input.sum(axis=1) if reduction == "none" else input.sum()
        return (
            fused[0], reference.linear_cross_entropy_backward(fused[1], g, (True, True, True)),
            plain[0], reference.cross_entropy_backward(plain[1], g, (True,)),
        )  # fmt: skip

    with standin.no_synchronisation():
        found = run(there, targets[1])
    assert_same(found, run(host, targets[0]))


def test_softmax_and_rows(device):
    x, y = both(device, (3, 4), 0)
    index = np.array([2, 0, 2])
    indices = from_host(index, device)

    def run(x):
        soft, log_soft = reference.softmax(x, 0), reference.log_softmax(x, -1)
        return soft, reference.softmax_backward(x, soft, 0), reference.log_softmax_backward(x, log_soft, -1)

    with standin.no_synchronisation():
        found, total = run(y), reference.squared_norm([y, y])
        reference.scale([y], total)
    assert_same(found, run(x))
    assert_same(total, reference.squared_norm([x, x]))
    reference.scale([x], reference.squared_norm([x, x]))
    assert_same(y, x)
    assert_same(reference.sum_rows(indices, y), reference.sum_rows(index, x))
    table, mine = both(device, (5, 4), 1)
    reference.add_rows(mine, indices, y)
    reference.add_rows(table, index, x)
    assert_same(mine, table)


def test_updates(device):
    host, there = zip(*[both(device, (2, 3), seed) for seed in range(5)])

    def run(arrays):
        p, g, a, b, c = arrays
        decay = {"weight_decay": 0.1, "maximize": True}
        reference.sgd_update(p, g, a, lr=0.1, momentum=0.9, dampening=0.1, nesterov=False, first=False, **decay)
        reference.adagrad_update(p, g, a, lr=0.1, eps=1e-8, **decay)
        reference.rmsprop_update(p, g, a, b, c, lr=0.1, alpha=0.9, eps=1.0, momentum=0.9, **decay)
        reference.adam_update(
            p, g, b, a, c, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, decoupled=True, step=2, **decay
        )  # fmt: skip

    run(host)
    with standin.no_synchronisation():
        run(there)
    assert_same(tuple(there), tuple(host))
