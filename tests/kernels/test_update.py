"""Optimizer steps, norms and sparse rows: the plain version against PyTorch and NumPy, `cpu` against the plain one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels import cpu, cpu_blocks, pool, reference
from minigrad.testing.running import frozen

STEPS = 4


def sgd(module, p, gradients, options):
    momentum = options["momentum"]
    buf = np.empty_like(p) if momentum else None
    for k, g in enumerate(gradients):
        module.sgd_update(p, g, buf, first=k == 0, **options)
    return [p] if buf is None else [p, buf]


def adagrad(module, p, gradients, options):
    state = np.zeros_like(p)
    for g in gradients:
        module.adagrad_update(p, g, state, **options)
    return [p, state]


def rmsprop(module, p, gradients, options):
    options = dict(options)
    mean = np.zeros_like(p) if options.pop("centered") else None
    buf = np.zeros_like(p) if options["momentum"] else None
    square = np.zeros_like(p)
    for g in gradients:
        module.rmsprop_update(p, g, square, mean, buf, **options)
    return [a for a in (p, square, mean, buf) if a is not None]


def adam(module, p, gradients, options):
    options = dict(options)
    most = np.zeros_like(p) if options.pop("amsgrad") else None
    m, v = np.zeros_like(p), np.zeros_like(p)
    for k, g in enumerate(gradients):
        module.adam_update(p, g, m, v, most, step=k + 1, **options)
    return [a for a in (p, m, v, most) if a is not None]


decay = st.sampled_from([0.0, 0.01])
OPTIMIZERS = {
    "sgd": (sgd, st.fixed_dictionaries({
        "lr": st.just(0.1), "momentum": st.sampled_from([0.0, 0.9]), "dampening": st.sampled_from([0.0, 0.3]),
        "weight_decay": decay, "nesterov": st.booleans(), "maximize": st.booleans(),
    }).map(lambda o: o | {"nesterov": o["nesterov"] and bool(o["momentum"]) and not o["dampening"]})),
    "adagrad": (adagrad, st.fixed_dictionaries({
        "lr": st.just(0.1), "weight_decay": decay, "eps": st.just(1e-10), "maximize": st.booleans(),
    })),
    "rmsprop": (rmsprop, st.fixed_dictionaries({
        "lr": st.just(0.01), "alpha": st.just(0.9), "eps": st.just(1e-8), "weight_decay": decay,
        "momentum": st.sampled_from([0.0, 0.8]), "maximize": st.booleans(), "centered": st.booleans(),
    })),
    "adam": (adam, st.fixed_dictionaries({
        "lr": st.just(0.01), "beta1": st.just(0.9), "beta2": st.just(0.99), "eps": st.just(1e-8), "weight_decay": decay,
        "decoupled": st.booleans(), "maximize": st.booleans(), "amsgrad": st.booleans(),
    })),
}  # fmt: skip
drawn_optimizer = st.sampled_from(sorted(OPTIMIZERS)).flatmap(
    lambda name: OPTIMIZERS[name][1].map(lambda options: (name, options))
)


def torch_optimizer(torch, name, parameter, options):
    if name == "adam":
        options = dict(options)
        betas = (options.pop("beta1"), options.pop("beta2"))
        kind = torch.optim.AdamW if options.pop("decoupled") else torch.optim.Adam
        return kind([parameter], betas=betas, **options)
    return {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop}[name](
        [parameter], **options
    )


def draw(shape, seed, dtype):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(dtype), [frozen(rng.normal(size=shape).astype(dtype)) for _ in range(STEPS)]


@pytest.mark.oracle
@settings(max_examples=100)
@given(drawn=drawn_optimizer, seed=st.integers(0, 2**32 - 1))
def test_steps_are_torchs(drawn, seed):
    torch = pytest.importorskip("torch")
    (name, options), (p, gradients) = drawn, draw((3, 5), seed, np.float64)
    parameter = torch.from_numpy(p.copy()).requires_grad_()
    optimizer = torch_optimizer(torch, name, parameter, options)
    for g in gradients:
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
    for module in (reference, cpu):
        found = OPTIMIZERS[name][0](module, p.copy(), gradients, options)[0]
        np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-11, atol=1e-13)


def layouts(array, layout):
    if layout == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    return np.asfortranarray(array) if layout == "fortran" else array


@settings(max_examples=80)
@given(
    drawn=drawn_optimizer,
    shape=st.one_of(st.lists(st.integers(0, 7), max_size=3), st.tuples(st.integers(100, 300), st.integers(1, 300))),
    dtype=st.sampled_from([np.float32, np.float64]),
    threads=st.integers(1, 3),
    layout=st.sampled_from(["plain", "strided", "fortran"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_cpu_equals_reference(drawn, shape, dtype, threads, layout, seed):
    pool.set_num_threads(threads)
    (name, options), (p, gradients) = drawn, draw(shape, seed, dtype)
    wanted = OPTIMIZERS[name][0](reference, p.copy(), gradients, options)
    with pytest.MonkeyPatch.context() as patch:  # seams between blocks and pieces are what may go wrong
        patch.setattr(cpu_blocks, "BLOCK", 37)
        odd = [frozen(layouts(g, layout)) for g in gradients]
        mine = layouts(p.copy(), layout)
        found = OPTIMIZERS[name][0](cpu, mine, odd, options)
        pool.set_num_threads(1)
        alone = OPTIMIZERS[name][0](cpu, layouts(p.copy(), layout), odd, options)
    assert found[0] is mine
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == dtype
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-13}
        np.testing.assert_allclose(a, b, **tolerance)


@given(
    eps=st.sampled_from([1e-7, 1e-6, 1e-5]), step=st.integers(1, 9), amsgrad=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_half_precision_keeps_a_small_eps(eps, step, amsgrad, seed):
    """Where no gradient ever was, Adam divides by eps alone: multiplied by anything, it would be zero in float16."""
    options = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": eps, "weight_decay": 0.0, "decoupled": False}
    p, (g, *_) = draw((3, 5), seed, np.float16)
    g = np.where(np.arange(5) % 2, g, np.float16(0))
    results = []
    for module in (reference, cpu):
        mine, m, v = p.copy(), np.zeros_like(p), np.zeros_like(p)
        module.adam_update(mine, g, m, v, v.copy() if amsgrad else None, step=step, maximize=False, **options)
        results.append(mine)
    np.testing.assert_array_equal(results[1][:, ::2], p[:, ::2])
    np.testing.assert_allclose(*results, rtol=1e-2, atol=1e-3)


@given(
    shapes=st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=4),
    layout=st.sampled_from(["plain", "strided", "fortran"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_squared_norm_and_scale(shapes, layout, dtype, threads, seed):
    pool.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    arrays = [layouts(rng.normal(size=shape).astype(dtype), layout) for shape in shapes]
    kept = [array.astype(np.float64) for array in arrays]
    rtol = 1e-5 if dtype is np.float32 else 1e-12
    for module in (reference, cpu):
        total = module.squared_norm([frozen(array.view()) for array in arrays])
        assert isinstance(total, np.ndarray)
        assert (total.shape, total.dtype) == ((), dtype)
        np.testing.assert_allclose(total, sum((array**2).sum() for array in kept), rtol=rtol)
    for module, factor in ((reference, 0.5), (cpu, np.asarray(0.25, dtype=dtype))):
        module.scale(arrays, factor)
        kept = [array * float(factor) for array in kept]
        for array, want in zip(arrays, kept, strict=True):
            np.testing.assert_allclose(array, want, rtol=rtol)


def test_a_long_norm_keeps_its_precision():
    values = np.full(3_000_000, 0.1, dtype=np.float32)
    np.testing.assert_allclose(cpu.squared_norm([values]), values.astype(np.float64) @ values, rtol=1e-6)


@settings(max_examples=100)
@given(
    lengths=st.lists(st.integers(0, 6) | st.integers(0, 40), max_size=12),
    rest=st.lists(st.integers(0, 5), max_size=2),
    index_type=st.sampled_from([np.int64, np.int32]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    layout=st.sampled_from(["plain", "strided", "fortran"]),
    shuffled=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_sparse_rows_are_the_dense_sum(lengths, rest, index_type, dtype, layout, shuffled, seed):
    """Row k occurs lengths[k] times: some of one length, one much longer than the others, none at all."""
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(len(lengths)), lengths).astype(index_type)
    if shuffled:
        rng.shuffle(index)
    index, values = (
        frozen(layouts(one, layout)) for one in (index, rng.integers(-9, 10, (index.size, *rest)).astype(dtype))
    )  # whole numbers: every order of adding them up gives the same
    start = rng.integers(-9, 10, (len(lengths), *rest)).astype(dtype)
    dense = np.zeros_like(start)
    np.add.at(dense, index, values)
    for module in (reference, cpu):
        unique, sums = module.sum_rows(index, values)
        assert (unique.dtype, sums.dtype) == (index_type, dtype)
        assert unique.tolist() == sorted(set(index.tolist()))
        np.testing.assert_array_equal(sums, dense[unique])
        assert not np.shares_memory(sums, values)
        table = layouts(start.copy(), layout)
        module.add_rows(table, index, values)
        np.testing.assert_array_equal(table, start + dense)


def test_sparse_rows_in_half_precision_count_beyond_2048():
    for count in (4096, 3):
        index, values = np.zeros(count, np.int64), np.ones((count, 2), np.float16)
        unique, sums = cpu.sum_rows(index, values)
        assert (unique.tolist(), sums.tolist(), sums.dtype) == ([0], [[count, count]], np.float16)
