"""LSTM, GRU and RNN: the plain version against an independent one, NumPy's against the plain one."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.kernels import cpu, cpu_lstm, cpu_steps, memory, pool, reference
from minigrad.testing.running import frozen

KINDS = {"lstm": 4, "gru": 3, "rnn": 1}  # gates
STATES = {"lstm": 2, "gru": 1, "rnn": 1}


def draw_arguments(kind, sizes, bias, seed, dtype=np.float64, batch_sizes=None):
    """The array arguments of a forward, read-only, in order."""
    T, B, features, H = sizes
    K, rng = KINDS[kind], np.random.default_rng(seed)
    steps = (T, B) if batch_sizes is None else (sum(batch_sizes),)
    shapes = [(*steps, features), *[(B, H)] * STATES[kind], (K * H, features), (K * H, H)]
    arrays = [frozen(rng.normal(size=shape).astype(dtype)) for shape in shapes]
    return arrays + [frozen(rng.normal(size=K * H).astype(dtype)) if bias else None for _ in range(2)]


def draw_gradients(results, seed):
    rng = np.random.default_rng(seed)
    return [frozen(rng.normal(size=result.shape).astype(result.dtype)) for result in results]


def settings_of(kind, reverse, nonlinearity="tanh"):
    return {"reverse": reverse} | ({"nonlinearity": nonlinearity} if kind == "rnn" else {})


def forward(module, kind, arguments, *, keep=True, **kwargs):
    return getattr(module, f"{kind}_forward")(*arguments, keep=keep, **kwargs)


def backward(module, kind, residuals, gradients, needs):
    return getattr(module, f"{kind}_backward")(residuals, *gradients, needs)


def one_number_at_a_time(kind, arguments, reverse, nonlinearity="tanh"):
    """The recurrences as the papers write them, in Python's own arithmetic, no array function in sight."""
    x, *states, w_ih, w_hh, b_ih, b_hh = [None if a is None else a.tolist() for a in arguments]
    T, B, H = len(x), len(states[0]), len(w_hh[0])
    zero = [0.0] * len(w_ih)

    def affine(row, vector, weight, bias):
        return sum(w * v for w, v in zip(weight[row], vector)) + (bias or zero)[row]

    def sigmoid(v):
        return 1 / (1 + math.exp(-v))

    output = np.zeros((T, B, H))
    last = [np.zeros((B, H)) for _ in states]
    for b in range(B):
        h, c = states[0][b], states[-1][b]
        for t in reversed(range(T)) if reverse else range(T):
            from_x = [affine(k, x[t][b], w_ih, b_ih) for k in range(len(w_ih))]
            from_h = [affine(k, h, w_hh, b_hh) for k in range(len(w_ih))]
            both = [p + q for p, q in zip(from_x, from_h)]
            if kind == "rnn":
                h = [math.tanh(v) if nonlinearity == "tanh" else max(v, 0.0) for v in both]
            elif kind == "gru":
                r, z = [sigmoid(v) for v in both[:H]], [sigmoid(v) for v in both[H : 2 * H]]
                n = [math.tanh(from_x[2 * H + k] + r[k] * from_h[2 * H + k]) for k in range(H)]
                h = [(1 - z[k]) * n[k] + z[k] * h[k] for k in range(H)]
            else:
                i, f, o = ([sigmoid(v) for v in both[k * H : (k + 1) * H]] for k in (0, 1, 3))
                g = [math.tanh(v) for v in both[2 * H : 3 * H]]
                c = [f[k] * c[k] + i[k] * g[k] for k in range(H)]
                h = [o[k] * math.tanh(c[k]) for k in range(H)]
            output[t, b] = h
        last[0][b], last[-1][b] = h, (h if kind != "lstm" else c)
        if kind == "lstm":
            last[1][b] = c
    return [output, *last]


def draw_batch_sizes(data, sizes):
    """None, or how many of the B sequences each of the T steps has."""
    T, B = sizes[:2]
    if not T * B or data.draw(st.booleans(), label="padded"):
        return None
    later = data.draw(st.lists(st.integers(1, B), min_size=T - 1, max_size=T - 1), label="batch sizes")
    return [B, *sorted(later, reverse=True)]


sizes = st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 4), st.integers(1, 5))
common = {
    "kind": st.sampled_from(sorted(KINDS)),
    "reverse": st.booleans(),
    "bias": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
    "nonlinearity": st.sampled_from(["tanh", "relu"]),
}


@given(sizes=sizes, **common)
def test_forward_is_the_recurrence(kind, sizes, reverse, bias, seed, nonlinearity):
    arguments = draw_arguments(kind, sizes, bias, seed)
    expected = one_number_at_a_time(kind, arguments, reverse, nonlinearity)
    results, _ = forward(reference, kind, arguments, **settings_of(kind, reverse, nonlinearity))
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-12, atol=1e-13)


@given(sizes=sizes, **common)
def test_backward_is_the_derivative(kind, sizes, reverse, bias, seed, nonlinearity):
    """Along a drawn direction v: <gradients, v> is the slope of <g, results>."""
    del nonlinearity  # relu has kinks, where a difference quotient is not a derivative; torch is its oracle below
    arguments, kwargs = draw_arguments(kind, sizes, bias, seed), settings_of(kind, reverse)
    results, residuals = forward(reference, kind, arguments, **kwargs)
    g = draw_gradients(results, seed + 1)
    direction = [None if a is None else d for a, d in zip(arguments, draw_arguments(kind, sizes, True, seed + 2))]

    def along(step):
        moved = [None if a is None else a + step * d for a, d in zip(arguments, direction)]
        return sum((r * w).sum() for r, w in zip(forward(reference, kind, moved, keep=False, **kwargs)[0], g))

    gradients = backward(reference, kind, residuals, g, (True,) * len(arguments))
    slope = sum((d * v).sum() for d, v in zip(gradients, direction) if v is not None)
    step = 1e-5
    numeric = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
@settings(max_examples=40)
@given(sizes=st.tuples(st.integers(1, 5), st.integers(0, 4), st.integers(1, 4), st.integers(1, 5)), **common)
def test_agrees_with_torch(kind, sizes, reverse, bias, seed, nonlinearity):
    torch = pytest.importorskip("torch")
    arguments, kwargs = draw_arguments(kind, sizes, bias, seed), settings_of(kind, reverse, nonlinearity)
    results, residuals = forward(reference, kind, arguments, **kwargs)
    g = draw_gradients(results, seed + 1)
    gradients = backward(reference, kind, residuals, g, (True,) * len(arguments))
    tensors = [None if a is None else torch.from_numpy(a.copy()).requires_grad_() for a in arguments]
    x, *states = tensors[: 1 + STATES[kind]]
    name = {"lstm": "lstm", "gru": "gru", "rnn": f"rnn_{nonlinearity}"}[kind]
    flow = x.flip(0) if reverse else x  # one direction at a time, so turn time round ourselves
    hx = tuple(s[None] for s in states) if kind == "lstm" else states[0][None]
    weights = [t for t in tensors[1 + STATES[kind] :] if t is not None]
    out, *last = getattr(torch, name)(flow, hx, weights, bias, 1, 0.0, True, False, False)
    expected = [out.flip(0) if reverse else out, *[s[0] for s in last]]
    wanted = torch.autograd.grad(
        sum((e * torch.from_numpy(w.copy())).sum() for e, w in zip(expected, g)), [t for t in tensors if t is not None]
    )
    for result, want in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, want.detach().numpy(), rtol=1e-10, atol=1e-12)
    found = [d for d, t in zip(gradients, tensors) if t is not None]
    for d, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(d, want.numpy(), rtol=1e-9, atol=1e-11)


TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-11}, np.float32: {"rtol": 2e-3, "atol": 2e-4}}


def assert_same(found, wanted, dtype):
    if wanted is None:
        assert found is None
        return
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape) == (np.dtype(dtype), wanted.shape)
    np.testing.assert_allclose(found, wanted, **TOLERANCE[dtype])


@settings(max_examples=60)
@given(
    sizes=st.one_of(sizes, st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 9), st.integers(50, 150))),
    dtype=st.sampled_from([np.float32, np.float64]),
    threads=st.integers(1, 3),
    data=st.data(),
    **common,
)
def test_cpu_equals_reference(kind, sizes, reverse, bias, seed, nonlinearity, dtype, threads, data):
    pool.set_num_threads(threads)
    batch_sizes = draw_batch_sizes(data, sizes)
    arguments = draw_arguments(kind, sizes, bias, seed, dtype, batch_sizes)
    # Large weights would make float32 paths drift apart; the scale is that of an initialised network.
    arguments = [a if a is None or k <= STATES[kind] else frozen(a / sizes[3] ** 0.5) for k, a in enumerate(arguments)]
    kwargs = settings_of(kind, reverse, nonlinearity if dtype is np.float64 else "tanh") | {"batch_sizes": batch_sizes}
    results, residuals = forward(cpu, kind, arguments, **kwargs)
    wanted, reference_residuals = forward(reference, kind, arguments, **kwargs)
    for found, want in zip(results, wanted, strict=True):
        assert_same(found, want, dtype)
    g = draw_gradients(wanted, seed + 1)
    used = [w if data.draw(st.booleans(), label="used") else None for w in g]
    needs = tuple(data.draw(st.booleans(), label="need") for _ in arguments)
    expected = backward(reference, kind, reference_residuals, used, needs)
    first = backward(cpu, kind, residuals, used, needs)
    kept = [None if d is None else d.copy() for d in first]
    for d in first:
        if d is not None:
            d.fill(np.nan)  # what a caller does to its gradients must not reach the residuals
    for result in results:
        result.fill(np.nan)  # nor what it does to its results
    again = backward(cpu, kind, residuals, used, needs)
    for found, repeated, want, need in zip(kept, again, expected, needs, strict=True):
        assert (found is not None) == need
        assert_same(found, want, dtype)
        if need:
            np.testing.assert_array_equal(found, repeated)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("module", [cpu, reference])
def test_every_subset_of_needs_and_of_used_results(kind, module):
    arguments = draw_arguments(kind, (3, 2, 2, 3), True, seed=5)
    results, residuals = forward(module, kind, arguments, **settings_of(kind, False))
    g = draw_gradients(results, seed=6)
    for used in itertools.product([True, False], repeat=len(g)):
        flowing = [w if use else None for w, use in zip(g, used)]
        zeros = [w if use else np.zeros_like(w) for w, use in zip(g, used)]
        whole = backward(module, kind, residuals, zeros, (True,) * len(arguments))
        for needs in itertools.product([True, False], repeat=len(arguments)):
            some = backward(module, kind, residuals, flowing, needs)
            for found, want, need in zip(some, whole, needs, strict=True):
                assert (found is not None) == need
                if need:
                    np.testing.assert_allclose(found, want, rtol=1e-13, atol=1e-15)


@given(sizes=sizes, data=st.data(), **common)
@example(kind="gru", sizes=(0, 2, 1, 2), reverse=False, bias=True, seed=0, nonlinearity="tanh", data=None)
def test_keep_false_gives_the_same_results_and_no_residuals(kind, sizes, reverse, bias, seed, nonlinearity, data):
    batch_sizes = draw_batch_sizes(data, sizes)
    arguments = draw_arguments(kind, sizes, bias, seed, batch_sizes=batch_sizes)
    kwargs = settings_of(kind, reverse, nonlinearity) | {"batch_sizes": batch_sizes}
    for module in (cpu, reference):
        kept, residuals = forward(module, kind, arguments, **kwargs)
        results, nothing = forward(module, kind, arguments, keep=False, **kwargs)
        assert nothing is None
        assert residuals is not None
        for found, want in zip(results, kept, strict=True):
            np.testing.assert_array_equal(found, want)
            assert not any(np.shares_memory(found, a) for a in arguments if a is not None)


@given(sizes=sizes, rows=st.integers(1, 9), data=st.data(), **common)
def test_without_residuals_in_pieces_of_any_size(kind, sizes, reverse, bias, seed, nonlinearity, rows, data):
    batch_sizes = draw_batch_sizes(data, sizes)
    arguments = draw_arguments(kind, sizes, bias, seed, batch_sizes=batch_sizes)
    kwargs = settings_of(kind, reverse, nonlinearity) | {"batch_sizes": batch_sizes, "keep": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_steps, "ROWS", rows)
        results, _ = forward(cpu, kind, arguments, **kwargs)
    for found, want in zip(results, forward(reference, kind, arguments, **kwargs)[0], strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-13)


several_steps = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))


@pytest.mark.parametrize("reverse", [False, True])
@given(
    sizes=several_steps, stack=st.integers(1, 60), bias=st.booleans(), seed=st.integers(0, 2**32 - 1), data=st.data()
)
def test_an_lstm_goes_back_in_stacks_of_any_size(sizes, reverse, bias, seed, stack, data):
    kind, batch_sizes = "lstm", draw_batch_sizes(data, sizes)
    arguments = draw_arguments(kind, sizes, bias, seed, batch_sizes=batch_sizes)
    kwargs = settings_of(kind, reverse, "tanh") | {"batch_sizes": batch_sizes}
    results, residuals = forward(cpu, kind, arguments, **kwargs)
    g, needs = draw_gradients(results, seed + 1), (True,) * len(arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_lstm, "STACK", stack)
        gradients = backward(cpu, kind, residuals, g, needs)
    expected = backward(reference, kind, forward(reference, kind, arguments, **kwargs)[1], g, needs)
    for found, want in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-12)


@given(widths=st.lists(st.integers(0, 4), max_size=9), most=st.integers(0, 12))
def test_steps_alike(widths, most):
    """The pieces make up all steps, one width in each, within the limit unless one step alone is beyond it."""
    spans = cpu_steps.spans_of(np.empty((sum(widths), 1)), tuple(widths))
    pieces = cpu_steps.alike(spans, most)
    assert [t for piece in pieces for t in range(piece.start, piece.stop)] == list(range(len(widths)))
    for piece in pieces:
        inside = widths[piece]
        assert len(set(inside)) == 1
        assert cpu_steps.rows_of(spans, piece) == sum(inside)
        assert sum(inside) <= most or len(inside) == 1
    for one, other in itertools.pairwise(pieces):  # none ends before it has to
        assert widths[one][0] != widths[other.start] or sum(widths[one]) + widths[other.start] > most


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_without_residuals_memory_is_for_the_output(kind, monkeypatch):
    """Gates, cells or input products of all steps would each take as much as the output, or several times as much."""
    monkeypatch.setattr(memory, "_blocks", [])
    arguments = draw_arguments(kind, (600, 32, 4, 16), True, seed=1)
    tracemalloc.start()
    try:
        (output, *_), _ = forward(cpu, kind, arguments, keep=False, **settings_of(kind, False))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    few = 2 * KINDS[kind] * 16 * cpu_steps.ROWS * output.itemsize  # input products, the last and the next
    assert output.nbytes <= peak < 1.2 * output.nbytes + few


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_saturated_gates_stay_finite(kind):
    arguments = [frozen(1e4 * a) for a in draw_arguments(kind, (3, 2, 2, 3), True, 1, np.float32)]
    with np.errstate(all="raise", under="ignore"):
        results, residuals = forward(cpu, kind, arguments, **settings_of(kind, False))
        gradients = backward(cpu, kind, residuals, draw_gradients(results, 2), (True,) * len(arguments))
    assert all(np.isfinite(array).all() for array in (*results, *gradients))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_arguments_and_gradients_of_any_layout(kind):
    """Strided, transposed and broadcast arrays do as well as contiguous ones."""
    plain = draw_arguments(kind, (4, 3, 2, 5), True, seed=3)
    odd = [np.repeat(a, 2, axis=-1)[..., ::2] if k % 2 else np.asfortranarray(a) for k, a in enumerate(plain)]
    results, residuals = forward(cpu, kind, plain, **settings_of(kind, True))
    others, odd_residuals = forward(cpu, kind, odd, **settings_of(kind, True))
    ones = [np.broadcast_to(np.ones((), result.dtype), result.shape) for result in results]
    needs = (True,) * len(plain)
    gradients = backward(cpu, kind, residuals, [one.copy() for one in ones], needs)
    odd_gradients = backward(cpu, kind, odd_residuals, ones, needs)
    for found, want in zip([*others, *odd_gradients], [*results, *gradients], strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14)
