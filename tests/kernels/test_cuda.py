"""The CUDA kernels without a card: their text is compiled for the device where nvcc is at hand, and for the host, where
the modules that use it run on NumPy with a stand-in for CuPy and must equal the plain version."""

import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.host_cupy import compile_with, source

from minigrad.kernels import cuda_source, reference
from minigrad.kernels.cuda_source import BODIES, SUMS, Body
from minigrad.testing.running import frozen


def test_every_kernel_is_listed():
    written = {value.name for value in vars(cuda_source).values() if isinstance(value, Body | cuda_source.Sum)}
    assert {kernel.name for kernel in (*BODIES, *SUMS)} == written


def test_compiles_for_the_device(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on this machine")
    first, stride = "blockIdx.x * (long long)blockDim.x + threadIdx.x", "gridDim.x * blockDim.x"
    loop = f"for (long long i = {first}; i < _size; i += {stride})"
    compile_with(nvcc, ["-arch=sm_90", "-std=c++14", "-ptx"], source("__global__", loop), tmp_path, ".cu")


def assert_same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        if b is None:
            assert a is None
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        single = b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-3 if single else 1e-9, atol=2e-4 if single else 1e-11)


drawn = {"dtype": st.sampled_from([np.float32, np.float64]), "seed": st.integers(0, 2**32 - 1), "data": st.data()}


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["lstm", "gru", "rnn"]),
    sizes=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 3), st.integers(1, 4)),
    reverse=st.booleans(), bias=st.booleans(), relu=st.booleans(), **drawn,
)  # fmt: skip
def test_recurrent(cuda, kind, sizes, reverse, bias, relu, dtype, seed, data):
    T, B, features, H = sizes
    K, states, rng = {"lstm": 4, "gru": 3, "rnn": 1}[kind], 1 + (kind == "lstm"), np.random.default_rng(seed)
    batch_sizes = None  # or how many sequences each step of a packed input has
    if T * B and data.draw(st.booleans()):
        batch_sizes = [B, *sorted([data.draw(st.integers(1, B)) for _ in range(T - 1)], reverse=True)]
    steps = (T, B) if batch_sizes is None else (sum(batch_sizes),)
    shapes = [(*steps, features), *[(B, H)] * states, (K * H, features), (K * H, H), (K * H,), (K * H,)]
    arrays = [frozen(rng.normal(size=shape).astype(dtype)) for shape in shapes]
    if not bias:
        arrays[-2:] = None, None
    options = {"reverse": reverse, "batch_sizes": batch_sizes}
    options |= {"nonlinearity": "relu" if relu else "tanh"} if kind == "rnn" else {}
    wanted, expected_residuals = getattr(reference, f"{kind}_forward")(*arrays, keep=True, **options)
    found, residuals = getattr(cuda, f"{kind}_forward")(*arrays, keep=True, **options)
    assert_same(found, wanted)
    light, nothing = getattr(cuda, f"{kind}_forward")(*arrays, keep=False, **options)
    assert nothing is None
    assert_same(light, wanted)
    g = [frozen(rng.normal(size=w.shape).astype(dtype)) if data.draw(st.booleans()) else None for w in wanted]
    needs = tuple(data.draw(st.booleans()) for _ in arrays)
    expected = getattr(reference, f"{kind}_backward")(expected_residuals, *g, needs)
    for _ in range(2):
        gradients = getattr(cuda, f"{kind}_backward")(residuals, *g, needs)
        assert_same(gradients, expected)
        for gradient in (*gradients, *found):
            if gradient is not None:
                gradient.fill(np.nan)


@settings(max_examples=60)
@given(
    sizes=st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(1, 6)),
    reduction=st.sampled_from(["mean", "sum", "none"]), smoothing=st.sampled_from([0.0, 0.2]),
    bias=st.booleans(), weighted=st.booleans(), index=st.sampled_from([np.int64, np.int32]),
    needs=st.tuples(st.booleans(), st.booleans(), st.booleans()), chunk=st.sampled_from([7, 1 << 20]), **drawn,
)  # fmt: skip
def test_losses(cuda, sizes, reduction, smoothing, bias, weighted, index, needs, chunk, dtype, seed, data):
    del data
    (N, D, V), rng = sizes, np.random.default_rng(seed)
    input, linear_weight, linear_bias, weight = (
        frozen(rng.uniform(0.1, 1, size=shape).astype(dtype)) for shape in ((N, D), (V, D), V, V)
    )
    target = rng.integers(0, V, size=N).astype(index)
    target[rng.random(N) < 0.3] = -100
    linear_bias, weight = linear_bias if bias else None, weight if weighted else None
    options = {"ignore_index": -100, "reduction": reduction, "label_smoothing": smoothing}
    logits = frozen(3 * rng.normal(size=(N, V)).astype(dtype))
    sys.modules["minigrad.kernels.cuda_loss"].CHUNK = chunk
    for name, arrays, which in (
        ("linear_cross_entropy", (input, linear_weight, frozen(target), linear_bias, weight), needs),
        ("cross_entropy", (logits, target, weight), needs[:1]),
    ):
        wanted, expected_residuals = getattr(reference, f"{name}_forward")(*arrays, keep=True, **options)
        found, residuals = getattr(cuda, f"{name}_forward")(*arrays, keep=True, **options)
        assert_same([found, getattr(cuda, f"{name}_forward")(*arrays, keep=False, **options)[0]], [wanted, wanted])
        g = frozen(np.asarray(rng.normal(size=found.shape), dtype=dtype))
        expected = getattr(reference, f"{name}_backward")(expected_residuals, g, which)
        for _ in range(3):
            gradients = getattr(cuda, f"{name}_backward")(residuals, g, which)
            assert_same(gradients, expected)
            for gradient in gradients:
                if gradient is not None:
                    gradient.fill(np.nan)


@settings(max_examples=100)
@given(
    name=st.sampled_from(["sgd", "adagrad", "rmsprop", "adam"]), shape=st.lists(st.integers(0, 4), max_size=2), **drawn
)
def test_updates(cuda, name, shape, dtype, seed, data):
    def flag():
        return data.draw(st.booleans())

    rng = np.random.default_rng(seed)
    p = np.asarray(rng.normal(size=shape), dtype=dtype)
    g = frozen(np.asarray(rng.normal(size=shape), dtype=dtype))
    states = [np.asarray(rng.uniform(1, 2, size=shape), dtype=dtype) for _ in range(3)]
    options = {"lr": 0.1, "weight_decay": 0.1 * flag(), "maximize": flag()}
    if name == "sgd":
        options |= {"momentum": 0.9, "dampening": 0.2 * flag(), "nesterov": flag(), "first": flag()}
        states = [states[0] if flag() else None]
    elif name == "adagrad":
        options, states = options | {"eps": 1e-3}, states[:1]
    elif name == "rmsprop":
        momentum = 0.9 * flag()
        options |= {"alpha": 0.9, "eps": 1e-3, "momentum": momentum}
        # A mean of squares is never less than the square of the mean.
        means = np.asarray(states[1] / 4)
        states = [states[0], means if flag() else None, states[2] if momentum else None]
    else:
        options |= {"beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "decoupled": flag(), "step": 3}
        states = [states[0], states[1], states[2] if flag() else None]
    wanted = [None if a is None else np.array(a) for a in (p, *states)]
    getattr(reference, f"{name}_update")(wanted[0], g, *wanted[1:], **options)
    getattr(cuda, f"{name}_update")(p, g, *states, **options)
    assert_same([p, *states], wanted)
