"""The CUDA kernels on the stand-in device: they ask of CuPy nothing that it has not, and wait for the card nowhere but
where they say so."""

import numpy as np
import pytest
from kernels.host_cupy import HostLaunch
from kernels.on_standin import assert_same

import minigrad
import minigrad.nn.functional as F
from minigrad import kernels, nn, optim
from minigrad.backend import from_host
from minigrad.kernels import reference
from minigrad.testing import standin

CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def there(tree):
    """The same numbers on the stand-in device."""
    if isinstance(tree, list | tuple):
        return [there(branch) for branch in tree]
    return from_host(tree, "standin") if isinstance(tree, np.ndarray) else tree


def drawn(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.1, 1, size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("batch_sizes", [None, [3, 2, 2, 1]])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_recurrent(cuda_on_standin, kind, bias, reverse, batch_sizes):
    K, B, D, H = {"lstm": 4, "gru": 3, "rnn": 1}[kind], 3, 2, 4
    steps = (5, B) if batch_sizes is None else (sum(batch_sizes),)
    biases = [(K * H,)] * 2 if bias else []
    host = drawn((*steps, D), *[(B, H)] * (1 + (kind == "lstm")), (K * H, D), (K * H, H), *biases)
    host += [] if bias else [None, None]
    options = {"reverse": reverse, "keep": True, "batch_sizes": batch_sizes}
    options |= {"nonlinearity": "tanh"} if kind == "rnn" else {}
    wanted, residuals = getattr(reference, f"{kind}_forward")(*host, **options)
    g, needs = drawn(*[result.shape for result in wanted], seed=1), (True,) * len(host)
    device, g_device = there(host), there(g)
    with standin.no_synchronisation():
        found, found_residuals = getattr(cuda_on_standin, f"{kind}_forward")(*device, **options)
        gradients = getattr(cuda_on_standin, f"{kind}_backward")(found_residuals, *g_device, needs)
    assert_same(found, wanted, **CLOSE)
    assert_same(gradients, getattr(reference, f"{kind}_backward")(residuals, *g, needs), **CLOSE)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(cuda_on_standin, reduction, weighted, smoothing):
    N, D, V = 5, 3, 4
    input, linear_weight, bias, weight, logits = drawn((N, D), (V, D), (V,), (V,), (N, V))
    target = np.array([0, 3, -100, 1, 3])
    options = {"ignore_index": -100, "reduction": reduction, "label_smoothing": smoothing, "keep": True}
    g = np.asarray(input.sum(axis=1) if reduction == "none" else input.sum())
    arrays = (input, linear_weight, target, bias, weight if weighted else None), (logits, target, weight), g

    def run(module, fused, plain, g):
        loss, residuals = module.linear_cross_entropy_forward(*fused, **options)
        other, others = module.cross_entropy_forward(*plain, **options)
        gradients = module.linear_cross_entropy_backward(residuals, g, (True,) * 3)
        return [loss, other, gradients, module.cross_entropy_backward(others, g, (True,))]

    device = there(arrays)
    with standin.no_synchronisation():
        found = run(cuda_on_standin, *device)
    assert_same(found, run(reference, *arrays), **CLOSE)


def test_updates_norms_and_rows(cuda_on_standin):
    arrays, index = drawn((4, 3), (4, 3), (4, 3), (4, 3), (4, 3), (3,)), np.array([2, 0, 2])

    def run(module, p, g, a, b, c, factor, index):
        decay = {"weight_decay": 0.1, "maximize": True}
        with module.together():
            module.sgd_update(p, g, a, lr=0.1, momentum=0.9, dampening=0.1, nesterov=False, first=False, **decay)
        with module.together():
            module.adagrad_update(p, g, a, lr=0.1, eps=1e-8, **decay)
        module.rmsprop_update(p, g, a, None, c, lr=0.1, alpha=0.9, eps=1.0, momentum=0.9, **decay)
        with module.together():
            module.adam_update(
                p, g, b, a, None, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, decoupled=True, step=2, **decay
            )
        norm = module.squared_norm([p, g, factor])
        module.scale([g, factor], norm)
        module.add_rows(p, index, g[:3])
        soft = module.softmax(c, 1)
        return [p, g, a, b, c, factor, norm, soft, module.softmax_backward(g, soft, 1), module.log_softmax(c, 0)]

    device = there([*arrays, index])
    with standin.no_synchronisation():
        found = run(cuda_on_standin, *device)
    assert_same(found, run(reference, *arrays, index), **CLOSE)


def test_summing_rows_waits_once(cuda_on_standin):
    (values,), index = drawn((3, 2)), np.array([2, 0, 2])
    device = there([index, values])
    before = standin.synchronisations()
    found = cuda_on_standin.sum_rows(*device)
    assert standin.synchronisations() == before + 1
    assert_same(found, reference.sum_rows(index, values), **CLOSE)


class Model(nn.Module):
    """A language model: its loss for words and those after them, (T, B)."""

    def __init__(self):
        super().__init__()
        self.words, self.layers, self.out = nn.Embedding(7, 4), nn.LSTM(4, 5, num_layers=2), nn.Linear(5, 7)

    def forward(self, words, following):
        hidden, _ = self.layers(self.words(words))
        return F.linear_cross_entropy(
            hidden.flatten(0, 1), self.out.weight, following.flatten(), linear_bias=self.out.bias
        )


def test_training_waits_nowhere_and_follows_the_cpu(cuda_on_standin, monkeypatch):
    of = kernels.of
    monkeypatch.setattr(
        kernels, "of", lambda array: cuda_on_standin if isinstance(array, standin.StandinArray) else of(array)
    )
    text, trained = minigrad.tensor(np.arange(24).reshape(6, 4) * 3 % 7), []
    for place in ("cpu", "standin"):
        minigrad.manual_seed(0)
        model = Model().to(place)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        words, following = text[:-1].to(place), text[1:].to(place)

        def step(model=model, optimizer=optimizer, words=words, following=following):
            optimizer.zero_grad()
            model(words, following).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()

        step()
        before = HostLaunch.launches
        with standin.no_synchronisation():
            step()
        # The gradients' norm, their scale, and the update of all parameters are one launch each.
        assert HostLaunch.launches - before == (3 if place == "standin" else 0)
        trained.append([parameter.detach().cpu().numpy() for parameter in model.parameters()])
    for a, b in zip(*trained, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
