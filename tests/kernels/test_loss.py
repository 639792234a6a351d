"""Softmax and the cross-entropies: the plain version against independent ones, NumPy's against the plain one."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels import cpu, cpu_few_rows, cpu_loss, pool, reference, reference_loss
from minigrad.testing.running import frozen

IGNORED = -100
FEW = cpu_few_rows.FEW


@pytest.fixture(autouse=True, scope="module")
def _blocks_alone():
    """The small losses drawn here go through blocks as large ones do; what few rows do instead has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_few_rows, "FEW", 0)
        yield


class Case:
    """Drawn arguments of the losses, read-only: N rows, D features, V classes."""

    def __init__(self, N, D, V, *, bias, weighted, seed, dtype, spread=1.0):
        rng = np.random.default_rng(seed)
        self.input = frozen(rng.normal(size=(N, D)).astype(dtype))
        self.linear_weight = frozen((spread * rng.normal(size=(V, D))).astype(dtype))
        self.bias = frozen(rng.normal(size=V).astype(dtype)) if bias else None
        self.weight = frozen(rng.uniform(0.1, 2, size=V).astype(dtype)) if weighted else None
        target = rng.integers(0, V, size=N)
        target[rng.random(N) < 0.25] = IGNORED
        self.target = frozen(target)

    @property
    def logits(self):
        logits = self.input @ self.linear_weight.T
        return frozen(logits if self.bias is None else logits + self.bias)

    def fused(self, module, **kwargs):
        arrays = (self.input, self.linear_weight, self.target, self.bias, self.weight)
        return module.linear_cross_entropy_forward(*arrays, ignore_index=IGNORED, **kwargs)

    def plain(self, module, **kwargs):
        return module.cross_entropy_forward(self.logits, self.target, self.weight, ignore_index=IGNORED, **kwargs)


def drawn_cases(dtypes=(np.float64,), most=7):
    return st.builds(
        Case, st.integers(0, most), st.integers(1, 4), st.integers(1, most), bias=st.booleans(), weighted=st.booleans(),
        seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(dtypes),
    )  # fmt: skip


modes = {
    "reduction": st.sampled_from(["mean", "sum", "none"]),
    "label_smoothing": st.sampled_from([0.0, 0.1, 1.0]),
}


def loss_by_hand(case, reduction, label_smoothing):
    """The formula, one number at a time."""
    V, losses, weights = case.linear_weight.shape[0], [], []
    weight = [1.0] * V if case.weight is None else case.weight.tolist()
    for row, y in zip(case.logits.tolist(), case.target.tolist()):
        if y == IGNORED:
            losses.append(0.0)
            continue
        log_sum = max(row) + math.log(sum(math.exp(z - max(row)) for z in row))
        surprise = [log_sum - z for z in row]
        smooth = sum(w * s for w, s in zip(weight, surprise)) / V
        losses.append((1 - label_smoothing) * weight[y] * surprise[y] + label_smoothing * smooth)
        weights.append(weight[y])
    if reduction == "none":
        return losses
    return sum(losses) if reduction == "sum" else sum(losses) / sum(weights) if weights else math.nan


@given(case=drawn_cases(), **modes)
def test_loss_is_the_formula(case, reduction, label_smoothing):
    wanted = loss_by_hand(case, reduction, label_smoothing)
    for compute in (case.fused, case.plain):
        loss, residuals = compute(reference, reduction=reduction, label_smoothing=label_smoothing, keep=False)
        assert residuals is None
        assert isinstance(loss, np.ndarray)
        np.testing.assert_allclose(loss, wanted, rtol=1e-11, atol=1e-12)


@given(case=drawn_cases(), **modes)
def test_gradient_is_the_derivative(case, reduction, label_smoothing):
    """Along a drawn direction, in every argument at a time that has a gradient."""
    kwargs = {"reduction": reduction, "label_smoothing": label_smoothing}
    loss, residuals = case.fused(reference, keep=True, **kwargs)
    rng = np.random.default_rng(1)
    g = frozen(rng.normal(size=loss.shape))
    gradients = reference.linear_cross_entropy_backward(residuals, g, (True, True, True))
    if (case.target == IGNORED).all():
        assert all(d is None or (d == 0).all() for d in gradients)
        return
    names = ("input", "linear_weight", "bias")
    start = {name: getattr(case, name) for name in names}
    direction = {name: None if a is None else rng.normal(size=a.shape) for name, a in start.items()}

    def along(step):
        for name in names:
            setattr(case, name, None if start[name] is None else start[name] + step * direction[name])
        return (g * case.fused(reference, keep=False, **kwargs)[0]).sum()

    slope = sum((d * direction[name]).sum() for name, d in zip(names, gradients) if d is not None)
    np.testing.assert_allclose(slope, (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-6, atol=1e-7)


@pytest.mark.oracle
@given(case=drawn_cases(), **modes)
def test_agrees_with_torch(case, reduction, label_smoothing):
    torch = pytest.importorskip("torch")
    logits = torch.from_numpy(case.logits.copy()).requires_grad_()
    weight = None if case.weight is None else torch.from_numpy(case.weight.copy())
    kwargs = {"reduction": reduction, "label_smoothing": label_smoothing}
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(case.target.copy()), weight, **kwargs)
    g = np.random.default_rng(2).normal(size=expected.shape)
    expected.backward(torch.from_numpy(np.asarray(g)))
    for module in (reference, cpu):
        loss, residuals = case.plain(module, keep=True, **kwargs)
        np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
        (gradient,) = module.cross_entropy_backward(residuals, np.asarray(g), (True,))
        np.testing.assert_allclose(gradient, logits.grad.numpy(), rtol=1e-10, atol=1e-12)


TOLERANCE = {np.dtype(np.float64): {"rtol": 1e-10, "atol": 1e-12}, np.dtype(np.float32): {"rtol": 1e-4, "atol": 2e-5}}


def assert_same(found, wanted):
    if wanted is None:
        assert found is None
        return
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(found, wanted, **TOLERANCE[wanted.dtype])


@settings(max_examples=60)
@given(
    case=st.one_of(drawn_cases((np.float32, np.float64)), drawn_cases((np.float32, np.float64), most=300)),
    threads=st.integers(1, 3),
    chunk=st.sampled_from([1, 40, 1 << 22]),
    needs=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    grain=st.sampled_from([1, 1 << 15]),
    **modes,
)
def test_cpu_equals_reference(case, threads, chunk, needs, grain, reduction, label_smoothing):
    pool.set_num_threads(threads)
    kwargs = {"reduction": reduction, "label_smoothing": label_smoothing, "keep": True}
    with pytest.MonkeyPatch.context() as patch:  # small chunks, blocks and pieces: their seams are what may go wrong
        patch.setattr(cpu_loss, "CHUNK", chunk)
        patch.setattr(cpu_loss, "BLOCK", 64)
        patch.setattr(cpu_loss, "GRAIN", grain)
        patch.setattr(reference_loss, "CHUNK", chunk)
        for compute, name, which in (
            (case.fused, "linear_cross_entropy", needs), (case.plain, "cross_entropy", needs[:1]),
        ):  # fmt: skip
            wanted, plain_residuals = compute(reference, **kwargs)
            loss, residuals = compute(cpu, **kwargs)
            assert_same(loss, wanted)
            g = frozen(np.random.default_rng(3).normal(size=loss.shape).astype(loss.dtype).reshape(loss.shape))
            expected = getattr(reference, f"{name}_backward")(plain_residuals, g, which)
            for _ in range(3):  # retain_graph: again and again the same, whatever becomes of what was handed out
                gradients = getattr(cpu, f"{name}_backward")(residuals, g, which)
                for found, want in zip(gradients, expected, strict=True):
                    assert_same(found, want)
                    if found is not None:
                        found.fill(np.nan)


@pytest.mark.parametrize("needs", list(itertools.product([True, False], repeat=3)))
@pytest.mark.parametrize("module", [cpu, reference])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_is_not_needed_is_none(module, needs, reduction):
    case = Case(5, 2, 4, bias=True, weighted=True, seed=0, dtype=np.float64)
    loss, residuals = case.fused(module, reduction=reduction, label_smoothing=0.1, keep=True)
    for _ in range(2):
        gradients = module.linear_cross_entropy_backward(residuals, np.ones_like(loss), needs)
        assert tuple(d is not None for d in gradients) == needs
    _, residuals = case.plain(module, reduction=reduction, label_smoothing=0.1, keep=True)
    assert module.cross_entropy_backward(residuals, np.ones_like(loss), (False,)) == (None,)


@pytest.mark.parametrize("module", [cpu, reference])
def test_far_logits_stay_finite(module):
    case = Case(6, 3, 5, bias=True, weighted=False, seed=4, dtype=np.float32, spread=1e4)
    with np.errstate(all="raise", under="ignore"):
        loss, residuals = case.fused(module, reduction="mean", label_smoothing=0.1, keep=True)
        gradients = module.linear_cross_entropy_backward(residuals, np.ones_like(loss), (True, True, True))
    assert all(np.isfinite(array).all() for array in (loss, *gradients))


def test_the_fused_loss_never_holds_all_logits(monkeypatch):
    N, V = 512, 2000
    monkeypatch.setattr(cpu_loss, "CHUNK", N * V // 16)
    case = Case(N, 4, V, bias=True, weighted=False, seed=5, dtype=np.float32)
    tracemalloc.start()
    try:
        case.fused(cpu, reduction="mean", label_smoothing=0.0, keep=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < N * V * 4 // 3


@given(rows=st.integers(0, 100), classes=st.integers(0, 50), limit=st.integers(1, 400))
def test_chunks_make_up_the_rows(rows, classes, limit):
    slices = reference_loss.chunk_rows(rows, classes, limit)
    assert [k for s in slices for k in range(s.start, s.stop)] == list(range(rows))
    assert all((s.stop - s.start) * classes <= limit or s.stop - s.start == 1 for s in slices)


@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_softmax_and_its_logarithm(shape, dtype, seed, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(seed)
    x, g = (frozen((scale * rng.normal(size=shape)).astype(dtype)) for scale in (30, 1))
    exact = x.astype(np.float64)
    if exact.size:
        exact = exact - np.logaddexp.reduce(exact, axis=dim, keepdims=True)
    p, wide = np.exp(exact), g.astype(np.float64)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    for module in (reference, cpu):
        soft, log_soft = module.softmax(x, dim), module.log_softmax(x, dim)
        d_soft = module.softmax_backward(g, frozen(soft), dim)
        d_log = module.log_softmax_backward(g, frozen(log_soft), dim)
        for found, want in (
            (soft, p), (log_soft, exact),
            (d_soft, p * (wide - (wide * p).sum(axis=dim, keepdims=True))),
            (d_log, wide - p * wide.sum(axis=dim, keepdims=True)),
        ):  # fmt: skip
            assert found.dtype == dtype
            np.testing.assert_allclose(found, want, **tolerance)


@pytest.mark.parametrize("weight", [None, 1e-4])
def test_half_precision_stays_within_its_range(weight):
    rng = np.random.default_rng(0)
    N, V, D = 64, 500, 3
    arrays = [rng.normal(size=shape) for shape in ((N, D), (V, D))]
    target, g = rng.integers(0, V, N), np.ones(())
    gradients = []
    for dtype in (np.float16, np.float64):
        weights = None if weight is None else np.full((V,), weight, dtype)
        settings = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0, "keep": True}
        input, linear = (array.astype(np.float16).astype(dtype) for array in arrays)
        _, residuals = cpu.linear_cross_entropy_forward(input, linear, target, None, weights, **settings)
        gradients.append(cpu.linear_cross_entropy_backward(residuals, g.astype(dtype), (True, True, False))[:2])
    for half, exact in zip(*gradients):
        np.testing.assert_allclose(half, exact, atol=0.03 * np.abs(exact).max())


# ---- few rows -------------------------------------------------------------------------------------------------------


@given(
    N=st.integers(1, 5), V=st.integers(1, 5), reduction=st.sampled_from(["mean", "sum"]),
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_loss_of_few_rows_is_the_reference(N, V, reduction, dtype, seed):
    """... forward and, also a second time, back; with rows that do not lie next to each other, and large logits."""
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((V, 2 * N)) * rng.choice([1, 300])).astype(dtype).T[::2]
    logits.flags.writeable = False
    target, g = frozen(rng.integers(0, V, N)), frozen(np.asarray(rng.standard_normal(), dtype))
    kwargs = {"ignore_index": IGNORED, "reduction": reduction, "label_smoothing": 0.0, "keep": True}
    expected, residuals = reference.cross_entropy_forward(logits, target, None, **kwargs)
    (d_expected,) = reference.cross_entropy_backward(residuals, g, (True,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_few_rows, "FEW", FEW)
        found, few = cpu.cross_entropy_forward(logits, target, None, **kwargs)
    assert isinstance(few, cpu_few_rows.Few)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    for _ in range(2):
        (d_found,) = cpu.cross_entropy_backward(few, g, (True,))
        assert d_found.dtype == dtype
        np.testing.assert_allclose(d_found, d_expected, rtol=tolerance, atol=tolerance)


def test_what_does_not_go_the_way_of_few_rows(monkeypatch):
    monkeypatch.setattr(cpu_few_rows, "FEW", FEW)
    logits, target = np.zeros((2, 3), np.float32), np.array([0, 2])
    assert cpu_few_rows.fits(logits, target, IGNORED, "mean")
    assert not cpu_few_rows.fits(logits, np.array([0, IGNORED]), IGNORED, "mean")
    assert not cpu_few_rows.fits(logits, target, 2, "mean")
    assert not cpu_few_rows.fits(logits, target, IGNORED, "none")
    assert not cpu_few_rows.fits(logits.astype(np.float16), target, IGNORED, "mean")
    assert not cpu_few_rows.fits(logits[:0], target[:0], IGNORED, "mean")
    assert not cpu_few_rows.fits(np.zeros((FEW, 2), np.float32), target, IGNORED, "mean")
