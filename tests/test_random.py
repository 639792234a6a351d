"""Same state, same bits; and the bits make the distributions they should."""

from __future__ import annotations

import copy
import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import random
from minigrad.random import CUDA_SOURCE, Generator
from minigrad.testing import standin

SEEDS = st.integers(-(2**63), 2**64 - 1)
FLOATS = (np.float16, np.float32, np.float64)

# One of each, for properties that hold for all.
DRAWS: dict[str, Any] = {
    "uniform": lambda g: g.uniform((3, 5), -2.0, 3.0),
    "normal": lambda g: g.normal((3, 5), 1.0, 2.0, dtype=np.float64),
    "bernoulli_mask": lambda g: g.bernoulli_mask((40, 5), 0.37),
    "randint": lambda g: g.randint((3, 5), -9, 10**12),
    "permutation": lambda g: g.permutation(50),
    "multinomial": lambda g: g.multinomial(np.arange(1.0, 60.0), 20, True),
    "multinomial without replacement": lambda g: g.multinomial(np.ones((2, 60)), 20),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


# ---- state ----


@draws
@given(seed=SEEDS, counter=st.integers(0, 2**64 - 2))
@settings(max_examples=20)
def test_the_state_decides_the_bits_and_a_run_resumes(draw: Any, seed: int, counter: int) -> None:
    first = Generator(seed).set_state({"seed": seed % 2**64, "counter": counter})
    state = first.get_state()
    assert state == {"seed": seed % 2**64, "counter": counter}
    run = [draw(first) for _ in range(3)]
    assert first.get_state()["counter"] == (counter + 3) % 2**64
    resumed = Generator().set_state(state)
    np.testing.assert_array_equal(run[0], draw(resumed))
    continued = copy.deepcopy(resumed)  # what was drawn before, and by whom, is in the state alone
    np.testing.assert_array_equal(run[1:], [draw(continued), draw(continued)])


@draws
def test_calls_and_seeds_differ(draw: Any) -> None:
    generator, other = Generator(1), Generator(2)
    results = [draw(generator), draw(generator), draw(other)]
    for i, left in enumerate(results):
        for right in results[i + 1 :]:
            assert not np.array_equal(left, right)


@draws
def test_a_draw_depends_neither_on_another_generator_nor_on_the_draws_before_it(draw: Any) -> None:
    expected = [draw(g) for g in [Generator(3)] for _ in range(2)][1]
    generator, other = Generator(3), Generator(4)
    generator.normal(7)  # of another kind and size than the first draw above
    draw(other)
    np.testing.assert_array_equal(draw(generator), expected)


def test_seeds_are_counted_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    assert Generator().initial_seed() == torch.Generator().initial_seed()
    for seed in (0, 5, -1, -(2**63), 2**63, 2**64 - 1):
        assert Generator(seed).initial_seed() == torch.Generator().manual_seed(seed).initial_seed()
        assert Generator().manual_seed(seed).get_state() == Generator(seed).get_state()
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="does not fit into 64 bits"):
            Generator(seed)


def test_seed_takes_a_new_one_and_starts_anew() -> None:
    generator = Generator(1)
    generator.uniform(3)
    seeds = {generator.seed(), generator.seed()}
    assert len(seeds) == 2
    assert generator.initial_seed() in seeds
    assert generator.get_state()["counter"] == 0


def test_the_default_generator() -> None:
    before = random.default_generator.get_state()
    try:
        assert random.manual_seed(7) is random.default_generator
        assert random.initial_seed() == 7
        np.testing.assert_array_equal(random.default_generator.uniform(4), Generator(7).uniform(4))
    finally:
        random.default_generator.set_state(before)


@pytest.mark.parametrize("state", [None, {}, {"seed": 1}, {"seed": 1, "counter": -1}, {"seed": 2**64, "counter": 0}])
def test_a_state_that_is_none_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="generator's"):
        Generator().set_state(state)
    with pytest.raises(TypeError, match="whole number"):
        Generator("cuda")  # type: ignore[arg-type]


# ---- values ----


@given(shape=st.integers(0, 30) | st.lists(st.integers(0, 4), max_size=3).map(tuple), dtype=st.sampled_from(FLOATS))
def test_every_draw_has_its_shape_and_dtype(shape: Any, dtype: Any) -> None:
    generator, full = Generator(5), (shape,) if isinstance(shape, int) else shape
    for values in (
        generator.uniform(shape, dtype=dtype),
        generator.normal(shape, dtype=dtype),
        generator.bernoulli_mask(shape, 0.3, dtype=dtype),
    ):
        assert type(values) is np.ndarray
        assert values.shape == full
        assert values.dtype == dtype
    whole = generator.randint(shape, 0, 9, dtype=np.int32)
    assert type(whole) is np.ndarray
    assert whole.shape == full
    assert whole.dtype == np.int32


def test_a_draw_belongs_to_nobody_else() -> None:
    generator = Generator(5)
    first = generator.uniform(4)
    kept = first.copy()
    second = generator.uniform(4)
    second[:] = 9.0
    np.testing.assert_array_equal(first, kept)


@given(
    low=st.floats(-1e4, 1e4, width=16),
    width=st.floats(0, 1e4, width=16),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 99),
)
def test_uniform_stays_inside_its_half_open_interval(low: float, width: float, dtype: Any, seed: int) -> None:
    low, high = float(dtype(low)), float(dtype(low + width))
    values = Generator(seed).uniform(300, low, high, dtype=dtype)
    assert (values >= dtype(low)).all()
    assert (values < dtype(high)).all() or low == high


def test_float16_never_rounds_up_to_one() -> None:
    assert Generator(0).uniform(200_000, dtype=np.float16).max() < 1


def within(observed: Any, expected: float, deviation: float) -> None:
    """Five standard deviations: seeds are fixed, so this passes always or never."""
    np.testing.assert_array_less(np.abs(np.asarray(observed) - expected), 5 * deviation)


def test_uniform_is_uniform() -> None:
    values = Generator(10).uniform(1 << 18, -1.0, 3.0)
    counts = np.histogram(values, bins=64, range=(-1, 3))[0]
    within(counts, values.size / 64, np.sqrt(values.size / 64))
    within(np.mean((values[1:] - 1) * (values[:-1] - 1)), 0, (16 / 12) / np.sqrt(values.size))  # neighbours


def test_normal_is_normal() -> None:
    values = Generator(11).normal(1 << 18, 3.0, 2.0, dtype=np.float64)
    z, n = (values - 3) / 2, values.size
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        within(np.mean(z**power), moment, np.sqrt(spread / n))


@pytest.mark.parametrize("keep", [0.0, 1e-3, 1 / 256, 0.1, 0.5, 0.8, 0.9, 255.5 / 256, 1.0])
def test_the_mask_keeps_as_often_as_it_should(keep: float) -> None:
    mask = Generator(12).bernoulli_mask(1 << 20, keep)
    assert set(np.unique(mask)) <= {np.float32(0), np.float32(1 / keep if keep else 0)}
    within(np.count_nonzero(mask) / mask.size, keep, np.sqrt(keep * (1 - keep) / mask.size) + 1e-9)
    together = np.count_nonzero(mask[1:] * mask[:-1]) / mask.size
    within(together, keep**2, np.sqrt(3 * keep**2 * (1 - keep**2) / mask.size) + 2e-6)


def test_the_masks_probability_is_finer_than_a_byte() -> None:
    """0.0019 is 0.49 / 256: a draw of whole bytes would give 0 or 1 / 256."""
    masks = Generator(13).bernoulli_mask((64, 1 << 16), 0.0019)
    within(np.count_nonzero(masks) / masks.size, 0.0019, np.sqrt(0.0019 / masks.size))


@given(st.integers(-50, 50), st.integers(1, 40))
def test_randint_covers_its_range_and_no_more(low: int, width: int) -> None:
    values = Generator(14).randint(2000, low, low + width)
    assert set(values.tolist()) == set(range(low, low + width))


@given(st.integers(0, 200))
def test_a_permutation_is_one(n: int) -> None:
    order = Generator(15).permutation(n)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


WEIGHTS = np.array([0.0, 4.0, 1.0, 0.0, 3.0, 2.0, 0.0])


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial_draws_in_proportion(replacement: bool) -> None:
    n = 40_000
    first = Generator(16).multinomial(np.tile(WEIGHTS, (n, 1)), 2, replacement)
    assert first.shape == (n, 2)
    assert first.dtype == np.int64
    p = WEIGHTS / 10
    for category, share in enumerate(p):
        within(np.mean(first[:, 0] == category), share, np.sqrt(share * (1 - share) / n) + 1e-9)
    # Given that category 1 came first, the second is drawn from all, or from the rest.
    rest = p if replacement else np.where(np.arange(7) == 1, 0, p) / 0.6
    second = first[first[:, 0] == 1, 1]
    for category, share in enumerate(rest):
        within(np.mean(second == category), share, np.sqrt(share * (1 - share) / second.size) + 1e-9)


@given(st.lists(st.sampled_from([0.0, 5e-324, 1e-30, 1.0, 1e308]), min_size=1, max_size=6), st.integers(0, 50))
def test_multinomial_never_draws_a_weight_of_zero(weights: list[float], seed: int) -> None:
    array = np.array(weights)
    possible = int(np.count_nonzero(array))
    if possible == 0:
        return
    once = Generator(seed).multinomial(array, possible)
    assert sorted(once) == np.flatnonzero(array).tolist()
    assert set(Generator(seed).multinomial(array, 50, True)) <= set(np.flatnonzero(array))


def _rows_of(C: int) -> st.SearchStrategy[list[int]]:
    """C weights, whole numbers, so that no sum is rounded; not all 0."""
    return st.lists(st.integers(0, 9), min_size=C, max_size=C).filter(any)


def test_a_point_on_the_border_falls_to_the_next_category_that_has_weight() -> None:
    class Borders:
        def random(self, shape: tuple[int, int]) -> np.ndarray:
            return np.array([[0.0, 0.25, 0.5, np.nextafter(1.0, 0.0)]])

    weights = np.array([[0.0, 1.0, 0.0, 1.0, 2.0, 0.0]])
    found = random._sample_again(Borders(), weights, 4)  # type: ignore[arg-type]
    assert found.tolist() == [[1, 3, 4, 4]]

    class InColumns:
        def random(self, shape: tuple[int, int]) -> np.ndarray:
            return Borders().random(shape).T

    found = random._sample_one(InColumns(), np.repeat(weights, 4, axis=0))  # type: ignore[arg-type]
    assert found.tolist() == [[1], [3], [4], [4]]


@given(
    st.integers(1, 60).flatmap(lambda C: st.lists(_rows_of(C), min_size=1, max_size=3)),
    st.sampled_from([(np.float16, 0), (np.float32, 124), (np.float64, 0), (np.float64, -1074), (np.float64, 1020)]),
    st.integers(0, 2**32),
)
def test_one_sample_is_the_first_of_several(rows: list[list[int]], kind: Any, seed: int) -> None:
    dtype, exponent = kind
    weights = np.ldexp(np.array(rows, dtype), exponent)
    again = random._sample_again(np.random.default_rng(seed), weights.astype(np.float64), 1)
    np.testing.assert_array_equal(random._sample_one(np.random.default_rng(seed), weights), again)


@pytest.mark.parametrize("count", [3, random.MANY])
def test_of_no_rows_there_are_no_samples(count: int) -> None:
    assert random.Generator().multinomial(np.ones((0, count)), 1).shape == (0, 1)


@given(
    st.lists(st.sampled_from([0.0, 1e-45, 5e-324, 1e-7, 0.1, 1.0, 3e38, 1e308]), min_size=1, max_size=40).filter(any),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([0.0, 1e-17, 0.1, 0.5, 0.999, np.nextafter(1.0, 0.0)]),
)
def test_one_sample_always_has_weight(listed: list[float], dtype: Any, point: float) -> None:
    class Stream:
        def random(self, shape: tuple[int, int]) -> np.ndarray:
            return np.full(shape, point)

    with np.errstate(over="ignore"):
        weights = np.minimum(np.array([listed]), np.finfo(dtype).max).astype(dtype)
    if weights.any():
        assert weights[0, random._sample_one(Stream(), weights)[0, 0]] > 0  # type: ignore[arg-type]


def test_a_point_beside_the_weights_comes_back_in() -> None:
    for point, place in [(-1e-9, 1), (0.0, 1), (0.3, 3), (0.4, 3), (1.0, 3)]:
        assert random._place_of(point, np.array([0.0, 0.1, 0.0, 0.3, 0.0]))[0] == place


@pytest.mark.parametrize(
    ("weights", "samples", "replacement"),
    [
        ([1.0, 2.0], 3, False),
        ([1.0, 2.0], 0, True),
        ([0.0, 0.0], 1, True),
        ([[1.0, 1.0], [0.0, 0.0]], 1, True),
        ([-1.0, 2.0], 1, True),
        ([1.0, float("nan")], 1, True),
        ([1.0, float("inf")], 1, True),
        ([[[1.0]]], 1, True),
        ([1, 2], 1, True),
    ],
)
def test_multinomial_refuses_what_pytorch_refuses(weights: Any, samples: int, replacement: bool) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError):
        torch.multinomial(torch.tensor(weights), samples, replacement)
    with pytest.raises(RuntimeError, match="multinomial"):
        Generator().multinomial(np.array(weights), samples, replacement)


def test_multinomial_refuses_more_samples_than_can_be_drawn() -> None:
    with pytest.raises(RuntimeError, match="only 1 have a weight above 0"):
        Generator().multinomial(np.array([[1.0, 1.0], [1.0, 0.0]]), 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: g.uniform(2, 1.0, 0.0), RuntimeError, "low <= high"),
        (lambda g: g.uniform(2, 0.0, float("inf")), RuntimeError, "finite interval"),
        (lambda g: g.uniform(2, 0.0, 1e5, dtype=np.float16), RuntimeError, "finite interval"),
        (lambda g: g.uniform(2, dtype=np.int64), TypeError, "float16, float32 or float64"),
        (lambda g: g.normal(2, 0.0, -1.0), RuntimeError, "standard deviation"),
        (lambda g: g.normal(2, 0.0, float("nan")), RuntimeError, "standard deviation"),
        (lambda g: g.bernoulli_mask(2, 1.5), ValueError, "probability"),
        (lambda g: g.bernoulli_mask(2, float("nan")), ValueError, "probability"),
        (lambda g: g.randint(2, 3, 3), RuntimeError, "there is nothing"),
        (lambda g: g.randint(2, 0, 300, dtype=np.uint8), RuntimeError, "wider dtype"),
        (lambda g: g.permutation(-1), RuntimeError, "at least 0"),
        (lambda g: g.permutation(2.0), TypeError, "whole number"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: Any, error: type[Exception], message: str) -> None:
    generator = Generator()
    with pytest.raises(error, match=message):
        call(generator)
    assert generator.get_state()["counter"] == 0  # and costs no counter


# ---- other devices ----


@draws
def test_another_device_gets_the_hosts_values(draw: Any) -> None:
    there = draw(Generator(20, device=standin.install()))
    on_host = draw(Generator(20))
    if isinstance(there, standin.StandinArray):  # multinomial answers where its weights are
        there = there.get()
    np.testing.assert_array_equal(there, on_host)


def test_a_draw_names_its_device() -> None:
    place = standin.install()
    assert isinstance(Generator().uniform(3, device=place), standin.StandinArray)
    assert isinstance(Generator(device="standin").bernoulli_mask(3, 0.5), standin.StandinArray)
    weights = standin.namespace.ones(3)
    assert isinstance(Generator().multinomial(weights, 2), standin.StandinArray)


# ---- the CUDA kernel's body, compiled for the host ----

SHIM = """
#define __device__ static
#define __global__
struct Index { unsigned int x; };
static Index blockIdx, blockDim, threadIdx;
%s
extern "C" void philox_block(u64 where, u64 call, u64 seed, u32* out) {
    Block b = philox(where, call, seed);
    for (int i = 0; i < 4; ++i) out[i] = b.x[i];
}
#define RUN(T, name) \\
extern "C" void run_##name(T* out, u64 size, u64 seed, u64 call, double a, double b, u32 blocks, u32 threads) { \\
    blockDim.x = threads; \\
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) \\
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) name(out, size, seed, call, a, b); \\
}
RUN(float, uniform_float32) RUN(double, uniform_float64)
RUN(float, bernoulli_mask_float32) RUN(double, bernoulli_mask_float64)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler at hand")
    folder: Path = tmp_path_factory.mktemp("philox")
    (folder / "shim.cpp").write_text(SHIM % CUDA_SOURCE)
    command = [compiler, "-O1", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-o", "philox.so", "shim.cpp"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "philox.so"))


def run_kernel(kernel: ctypes.CDLL, name: str, size: int, seed: int, call: int, a: float, b: float) -> np.ndarray:
    dtype = np.dtype(name.rpartition("_")[2])
    out = np.full(size + 4, -7.0, dtype)  # beyond `size` nothing may be written
    threads = 8
    blocks = -(-size // (4 * threads))
    u64, f64, u32 = ctypes.c_uint64, ctypes.c_double, ctypes.c_uint32
    arguments = (u64(size), u64(seed), u64(call), f64(a), f64(b), u32(blocks), u32(threads))
    getattr(kernel, f"run_{name}")(ctypes.c_void_p(out.ctypes.data), *arguments)
    assert (out[size:] == -7).all()
    return out[:size]


def philox4x32(where: np.ndarray, call: int, seed: int) -> np.ndarray:
    """Philox4x32-10 once more, from the paper's description.  where: N; result: N, 4."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1 = where & mask, where >> np.uint64(32)
    c2, c3 = (np.full_like(where, part) for part in (call & 0xFFFFFFFF, call >> 32))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        left, right = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (right >> np.uint64(32)) ^ c1 ^ np.uint64(k0), right & mask
        c2, c3 = (left >> np.uint64(32)) ^ c3 ^ np.uint64(k1), left & mask
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1)


@pytest.mark.parametrize(
    ("where", "call", "seed", "answer"),
    [  # the known answers that the paper's authors publish with their library (Random123, kat_vectors)
        (0, 0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (2**64 - 1, 2**64 - 1, 2**64 - 1, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (0x85A308D3243F6A88, 0x0370734413198A2E, 0x299F31D0A4093822, [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
    ],
)
def test_the_kernels_philox_gives_the_known_answers(
    kernel: ctypes.CDLL, where: int, call: int, seed: int, answer: list[int]
) -> None:
    out = (ctypes.c_uint32 * 4)()
    kernel.philox_block(ctypes.c_uint64(where), ctypes.c_uint64(call), ctypes.c_uint64(seed), out)
    assert list(out) == answer
    assert philox4x32(np.array([where], np.uint64), call, seed).tolist() == [answer]


@given(size=st.integers(1, 200), seed=st.integers(0, 2**64 - 1), call=st.integers(0, 2**64 - 1))
@settings(max_examples=40)
def test_the_kernels_draws_are_those_of_their_words(kernel: ctypes.CDLL, size: int, seed: int, call: int) -> None:
    words = philox4x32(np.arange(size, dtype=np.uint64), call, seed).ravel()  # more than any draw needs
    single = (words >> np.uint64(8)).astype(np.float64)[:size] * 2.0**-24
    np.testing.assert_array_equal(run_kernel(kernel, "uniform_float32", size, seed, call, 0, 1), single)
    scaled = np.float32(-2.0) + np.float32(5.0) * single.astype(np.float32)
    np.testing.assert_array_equal(run_kernel(kernel, "uniform_float32", size, seed, call, -2, 3), scaled)
    pairs = words.reshape(-1, 2)
    double = ((pairs[:, 0] << np.uint64(21)) | (pairs[:, 1] >> np.uint64(11))).astype(np.float64)[:size] * 2.0**-53
    np.testing.assert_array_equal(run_kernel(kernel, "uniform_float64", size, seed, call, 0, 1), double)
    for name, dtype in (("bernoulli_mask_float32", np.float32), ("bernoulli_mask_float64", np.float64)):
        kept = np.where(words[:size] < round(0.9 * 2**32), dtype(1 / 0.9), dtype(0))
        np.testing.assert_array_equal(run_kernel(kernel, name, size, seed, call, 0.9, 1 / 0.9), kept)
        assert (run_kernel(kernel, name, size, seed, call, 1.0, 1.0) == 1).all()
        assert (run_kernel(kernel, name, size, seed, call, 0.0, 0.0) == 0).all()


def test_the_kernel_compiles_for_a_card(tmp_path: Path) -> None:
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("no CUDA compiler at hand")
    (tmp_path / "philox.cu").write_text(CUDA_SOURCE)
    subprocess.run([compiler, "-ptx", "-o", "philox.ptx", "philox.cu"], cwd=tmp_path, check=True)
    compiled = (tmp_path / "philox.ptx").read_text()
    for name in ("uniform_float32", "uniform_float64", "bernoulli_mask_float32", "bernoulli_mask_float64"):
        assert f".entry {name}(" in compiled
