"""Random numbers from a seed and a counter.

A counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) has no state to
evolve: a value is a function of a key and of a place in a sequence.  Here the key is the seed, and every draw call
takes the next counter and with it a stream of its own.  So a generator's whole state is two integers, a run that is
resumed from them continues bit for bit, and a draw does not depend on how much the draw before it consumed.

On the CPU the streams are NumPy's Philox4x64-10, counter words (block, 0, call, 0).  On a CUDA card `uniform` and
`bernoulli_mask` are made by a Philox4x32-10 kernel, counter words (block, block >> 32, call, call >> 32), so that an
element depends on seed, call and its own index alone.  The two devices give different numbers from the same state, as
in PyTorch.  Everything else, and every other device, draws on the host and sends the result over.

This file deals in raw arrays; the Tensor functions (`rand`, `randn`, `dropout`, …) stand on it.
"""

from __future__ import annotations

import functools
import math
import operator
import secrets
import threading
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from minigrad import backend
from minigrad.backend import Array, Device, DeviceLike

__all__ = ["Generator", "default_generator", "initial_seed", "manual_seed"]

Shape: TypeAlias = int | tuple[int, ...]

DEFAULT_SEED = 0x3D30F19CD101  # PyTorch's, for a Generator() that nobody seeded
_WORD = 1 << 64
MANY = 1 << 11  # categories; of fewer, one of which is drawn, a running sum over all takes no longer


class Generator:
    """A stream of random arrays, fixed by a seed and the number of draws made so far.

    `device` is only where arrays land when a draw names no device: one generator serves every device.  Draws are
    safe to make from several threads; which thread gets which counter is then the scheduler's choice.  The same
    state gives the same bits with the same NumPy version (NumPy may change how it turns bits into values).
    """

    def __init__(self, seed: int | None = None, *, device: DeviceLike = "cpu") -> None:
        self.device: Device = backend.device(device)
        self._lock = threading.Lock()
        self._bits = np.random.Philox(key=0)
        self._numpy = np.random.Generator(self._bits)
        self._start: Any = self._bits.state  # the state of a fresh stream; two of its words change
        self.manual_seed(DEFAULT_SEED if seed is None else seed)

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, counter={self._counter}, device={str(self.device)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.get_state(), self.device)  # a lock cannot be copied; two integers can

    # ---- state ----

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from `seed`, an integer of 64 bits (a negative one counts back from 2**64), and return self."""
        seed = _integer(seed, "a seed")
        if not -(_WORD >> 1) <= seed < _WORD:
            raise ValueError(f"the seed {seed} does not fit into 64 bits: take one from -2**63 up to 2**64 - 1")
        self._set(seed % _WORD, 0)
        return self

    def seed(self) -> int:
        """Start anew from a seed of the operating system's, and return it."""
        seed = secrets.randbits(64)
        self._set(seed, 0)
        return seed

    def initial_seed(self) -> int:
        """The seed, between 0 and 2**64 - 1."""
        return self._seed

    def get_state(self) -> dict[str, int]:
        """`{"seed": …, "counter": …}`, everything there is to know; `set_state` takes it back."""
        with self._lock:
            return {"seed": self._seed, "counter": self._counter}

    def set_state(self, state: Mapping[str, int]) -> Generator:
        """Continue where `get_state` was taken, and return self."""
        if not isinstance(state, Mapping) or set(state) != {"seed", "counter"}:
            raise ValueError(f"a generator's state is {{'seed': int, 'counter': int}}, not {state!r}")
        seed, counter = (_integer(state[name], f"the state's {name}") for name in ("seed", "counter"))
        if not (0 <= seed < _WORD and 0 <= counter < _WORD):
            raise ValueError(f"a generator's seed and counter are between 0 and 2**64 - 1, not {seed} and {counter}")
        self._set(seed, counter)
        return self

    def _set(self, seed: int, counter: int) -> None:
        with self._lock:
            self._seed = seed
            self._counter = counter
            self._start["state"]["key"][0] = seed

    def _take_counter(self) -> int:
        """The counter of this draw; the caller holds the lock."""
        counter = self._counter
        self._counter = (counter + 1) % _WORD
        return counter

    def _next_stream(self) -> np.random.Generator:
        """NumPy's generator at the start of this draw's stream; the caller holds the lock.

        Setting the state takes a microsecond, building a bit generator seven.
        """
        self._start["state"]["counter"][2] = self._take_counter()
        self._bits.state = self._start
        return self._numpy

    # ---- draws ----

    def uniform(
        self,
        shape: Shape,
        low: float = 0.0,
        high: float = 1.0,
        dtype: DTypeLike = np.float32,
        device: DeviceLike = None,
    ) -> Array:
        """Values from [low, high), in steps of (high - low) / 2**24, for float64 / 2**53.

        Raises RuntimeError for an empty or infinite interval, TypeError for a dtype that is no float.
        """
        kind, place = _float_dtype(dtype, "uniform"), self._place(device)
        _check_interval(low, high, kind)
        with self._lock:
            if place.type == "cuda":
                return self._cuda_draw("uniform", shape, kind, place, low, high)
            values = self._next_stream().random(shape, dtype=_drawn(kind))
        if (low, high) != (0.0, 1.0):
            values *= high - low
            values += low
        return self._put(_below(values.astype(kind, copy=False), low, high), place)

    def normal(
        self,
        shape: Shape,
        mean: float = 0.0,
        std: float = 1.0,
        dtype: DTypeLike = np.float32,
        device: DeviceLike = None,
    ) -> Array:
        """Values of the normal distribution; drawn on the host.  Raises RuntimeError for a negative `std`."""
        kind, place = _float_dtype(dtype, "normal"), self._place(device)
        if not std >= 0.0:
            raise RuntimeError(f"normal needs a standard deviation of at least 0, not {std}")
        with self._lock:
            values = self._next_stream().standard_normal(shape, dtype=_drawn(kind))
        if (mean, std) != (0.0, 1.0):
            values *= std
            values += mean
        return self._put(values.astype(kind, copy=False), place)

    def bernoulli_mask(
        self,
        shape: Shape,
        keep_probability: float,
        dtype: DTypeLike = np.float32,
        device: DeviceLike = None,
    ) -> Array:
        """The mask of inverted dropout (Srivastava et al., JMLR 2014): each element is `1 / keep_probability` with
        that probability and 0 otherwise, so that its mean is 1.

        The probability is met to within 2**-53 on the CPU, to 2**-33 on CUDA.
        Raises ValueError for a probability outside [0, 1], TypeError for a dtype that is no float.
        """
        kind, place = _float_dtype(dtype, "bernoulli_mask"), self._place(device)
        keep = float(keep_probability)
        if not 0.0 <= keep <= 1.0:
            raise ValueError(f"keep_probability is a probability, between 0 and 1, not {keep}")
        scale = 1.0 / keep if keep else 0.0
        with self._lock:
            if place.type == "cuda":
                return self._cuda_draw("bernoulli_mask", shape, kind, place, keep, scale)
            kept = _bernoulli(self._next_stream(), shape, keep)
        return self._put(np.multiply(kept, kind.type(scale), out=np.empty(shape, dtype=kind)), place)

    def randint(
        self,
        shape: Shape,
        low: int,
        high: int,
        dtype: DTypeLike = np.int64,
        device: DeviceLike = None,
    ) -> Array:
        """Whole numbers from low, low + 1, …, high - 1, all equally likely; drawn on the host.

        Raises RuntimeError where there is none, or where one does not fit into `dtype`.
        """
        kind, place = np.dtype(dtype), self._place(device)
        low, high = _integer(low, "randint's low"), _integer(high, "randint's high")
        if low >= high:
            raise RuntimeError(
                f"randint draws from low up to but without high, and there is nothing in [{low}, {high})"
            )
        limits = np.iinfo(kind if kind.kind in "iu" else np.int64)
        if low < limits.min or high - 1 > limits.max:
            raise RuntimeError(f"randint cannot give {kind} numbers from [{low}, {high}): take a wider dtype")
        with self._lock:
            values = self._next_stream().integers(low, high, shape, dtype=limits.dtype)
        return self._put(np.asarray(values, dtype=kind), place)

    def permutation(self, n: int, dtype: DTypeLike = np.int64, device: DeviceLike = None) -> Array:
        """0, 1, …, n - 1 in random order, shape (n,); drawn on the host."""
        n, place = _integer(n, "permutation's n"), self._place(device)
        if n < 0:
            raise RuntimeError(f"permutation needs n of at least 0, not {n}")
        with self._lock:
            order = self._next_stream().permutation(n)
        return self._put(order.astype(dtype, copy=False), place)

    def multinomial(self, probabilities: Array, num_samples: int, replacement: bool = False) -> Array:
        """Category numbers drawn in proportion to `probabilities`, which need not sum to 1.

        `probabilities`: (C,) or R rows (R, C).  Result: int64, (S,) or (R, S) with S = num_samples, on the same
        device.  It is drawn on the host: from a GPU it waits for the weights to arrive.

        Raises RuntimeError where PyTorch does: weights that are negative, not finite or all zero; no sample asked
        for; and without replacement more samples than a row has categories of weight above 0.
        """
        weights = backend.to_host(probabilities)
        num_samples = _integer(num_samples, "num_samples")
        _check_weights(weights, num_samples, replacement)
        rows = np.atleast_2d(weights)
        with self._lock:
            stream = self._next_stream()
            if num_samples == 1 and rows.shape[1] >= MANY:
                samples = _sample_one(stream, rows)
            elif replacement or num_samples == 1:  # of one, both say the same
                samples = _sample_again(stream, rows.astype(np.float64), num_samples)
            else:
                samples = _sample_once(stream, rows.astype(np.float64), num_samples)
        return self._put(samples.reshape(*weights.shape[:-1], num_samples), backend.device_of(probabilities))

    def _place(self, spec: DeviceLike) -> Device:
        return self.device if spec is None else backend.device(spec)

    def _put(self, values: np.ndarray, place: Device) -> Array:
        return values if place.type == "cpu" else backend.from_host(values, place)

    def _cuda_draw(self, name: str, shape: Shape, kind: np.dtype[Any], place: Device, a: float, b: float) -> Array:
        """Run the kernel `name` with its two settings a, b; the caller holds the lock."""
        real = _drawn(kind)
        with backend.on(place):
            out = backend.backend_for(place).namespace.empty(shape, dtype=real)
            if out.size:
                blocks = -(-out.size // (4 * _THREADS))  # a thread makes four elements
                numbers = (np.uint64(out.size), np.uint64(self._seed), np.uint64(self._take_counter()))
                _cuda_kernel(f"{name}_{real.name}")(
                    (blocks,), (_THREADS,), (out, *numbers, np.float64(a), np.float64(b))
                )
            else:
                self._take_counter()
            values = out.astype(kind, copy=False)
            return _below(values, a, b) if name == "uniform" else values


# ---- values from bits -------------------------------------------------------------------------------------------


def _bernoulli(stream: np.random.Generator, shape: Shape, keep: float) -> np.ndarray:
    """True with probability `keep`, from one random byte an element.

    A byte says `keep` only to within 1/256.  So the one byte value on which the decision hangs, k in
    keep * 256 = k + fraction, is decided by a second draw; that is one element in 256.
    """
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    words = stream.bit_generator.random_raw(-(-size // 8))
    bytes_ = words.astype("<u8", copy=False).view(np.uint8)[:size]
    fraction, k = math.modf(keep * 256)
    kept = bytes_ < int(k)
    if fraction:
        undecided = np.flatnonzero(bytes_ == int(k))
        kept[undecided] = stream.random(undecided.size) < fraction
    return kept.reshape(shape)


def _below(values: Array, low: float, high: float) -> Array:
    """`values` in [low, high), in place: low + (high - low) * u may round up to high, and so may float16's u."""
    if (low, high) != (0.0, 1.0) or values.dtype.itemsize < 4:
        values[values >= high] = low
    return values


def _sample_again(stream: np.random.Generator, rows: np.ndarray, num_samples: int) -> np.ndarray:
    """With replacement: look random numbers up among the running sums of each row.  rows: R, C; result: R, S."""
    sums = np.cumsum(rows / rows.max(axis=1, keepdims=True), axis=1)
    sums /= sums[:, -1:]  # the last is now 1 exactly, and above every random number
    points = stream.random((len(rows), num_samples))
    found = np.empty(points.shape, dtype=np.int64)
    for row in range(len(rows)):
        # "right": the first sum above the point, so a category of weight 0, whose sum is its left one's, is never it.
        found[row] = np.searchsorted(sums[row], points[row], side="right")
    return found


def _sample_one(stream: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """What `_sample_again` finds for one sample of many categories: a block of about sqrt(C), then one of these.

    Running sums take three nanoseconds each. Here they are made of the blocks' sums, and inside the one block: for a
    row of 10,000 categories that is 15 microseconds in place of 45.  rows: R, C; result: R, 1.
    """
    R, C = rows.shape
    width = math.isqrt(C - 1) + 1
    blocks = np.zeros((R, -(-C // width), width))
    blocks.reshape(R, math.prod(blocks.shape[1:]))[:, :C] = rows
    if rows.dtype.itemsize == 8:  # sums of smaller dtypes stay within the range of float64
        blocks /= blocks.max(axis=(1, 2), keepdims=True)
    of_blocks = np.einsum("rbw->rb", blocks)
    points = stream.random((R, 1))
    found = np.empty(points.shape, dtype=np.int64)
    for row in range(R):
        block, point = _place_of(float(points[row, 0] * of_blocks[row].sum()), of_blocks[row])
        place, _ = _place_of(point, blocks[row, block])
        found[row] = block * width + place
    return found


def _place_of(point: float, weights: np.ndarray) -> tuple[int, float]:
    """The first place whose running sum is above `point`, and how far the point is beyond the sum before it.

    Never a place of weight 0: a point that rounding has put outside the weights comes back in.  weights: K, not all 0.
    """
    sums = weights.cumsum()
    point = min(max(point, 0.0), math.nextafter(sums[-1], 0.0))
    place = int(sums.searchsorted(point, side="right"))
    return place, point - float(sums[place - 1] if place else 0)


def _sample_once(stream: np.random.Generator, rows: np.ndarray, num_samples: int) -> np.ndarray:
    """Without replacement: an exponential clock of rate w for each category, and the first S that ring, in order
    (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).  rows: R, C; result: R, S.
    """
    with np.errstate(divide="ignore"):  # a weight of 0 rings at infinity
        rings = np.log(stream.standard_exponential(rows.shape)) - np.log(rows)  # logarithms: no weight is too small
    return np.argsort(rings, axis=1, kind="stable")[:, :num_samples]


# ---- checks -----------------------------------------------------------------------------------------------------


def _integer(value: object, what: str) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(f"{what} is a whole number, not {value!r}") from error


def _float_dtype(dtype: DTypeLike, name: str) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind.kind != "f" or kind.itemsize > 8:
        raise TypeError(f"{name} draws float16, float32 or float64, not {kind}")
    return kind


def _drawn(kind: np.dtype[Any]) -> Any:
    """The dtype drawn in: float16 is made from float32."""
    return np.dtype(np.float64 if kind.itemsize == 8 else np.float32)


def _check_interval(low: float, high: float, kind: np.dtype[Any]) -> None:
    largest = float(np.finfo(kind).max)
    if not (low <= high and -largest <= low and high <= largest and high - low <= largest):
        raise RuntimeError(f"uniform needs a finite interval with low <= high, as {kind}; got [{low}, {high})")


def _check_weights(weights: np.ndarray, num_samples: int, replacement: bool) -> None:
    if weights.ndim not in (1, 2) or weights.shape[-1] == 0:
        raise RuntimeError(
            f"multinomial takes weights of shape (C,) or (R, C) with C of at least 1, not {weights.shape}"
        )
    if weights.dtype.kind != "f":
        raise RuntimeError(f"multinomial takes weights of a floating dtype, not {weights.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial draws at least 1 sample, not {num_samples}")
    largest = weights.max(axis=-1)
    if not (weights.min(initial=0) >= 0 and largest.max(initial=0) < math.inf):  # the first is false of nan, too
        raise RuntimeError("multinomial takes weights that are finite and at least 0; one is negative, inf or nan")
    if not largest.all():
        raise RuntimeError("multinomial needs a weight above 0 in each row; in one row all are 0")
    if replacement or num_samples == 1:
        return
    possible = np.count_nonzero(weights, axis=-1).min(initial=weights.shape[-1])
    if num_samples > possible:
        raise RuntimeError(
            f"multinomial cannot draw {num_samples} different categories where only {possible} have a weight above 0: "
            "draw fewer, or pass replacement=True"
        )


# ---- CUDA -------------------------------------------------------------------------------------------------------

_THREADS = 256

# Plain C but for the last lines, so that a host compiler can run it too.  uint32 arithmetic wraps; the products are
# taken in 64 bits, of which the compiler makes mul.wide.
CUDA_SOURCE = r"""
typedef unsigned int u32;
typedef unsigned long long u64;

struct Block { u32 x[4]; };

/* Philox4x32-10.  The counter's words: where in the stream (2), which draw call (2).  The key: the seed. */
__device__ Block philox(u64 where, u64 call, u64 seed) {
    Block c = {{(u32)where, (u32)(where >> 32), (u32)call, (u32)(call >> 32)}};
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        u64 p0 = (u64)0xD2511F53u * c.x[0], p1 = (u64)0xCD9E8D57u * c.x[2];
        Block d = {{(u32)(p1 >> 32) ^ c.x[1] ^ k0, (u32)p1, (u32)(p0 >> 32) ^ c.x[3] ^ k1, (u32)p0}};
        c = d;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* A thread makes elements 4 * thread to 4 * thread + 3.  A float takes one word, 24 bits of it. */
__device__ void uniform(u64 thread, float* out, u64 size, u64 seed, u64 call, double low, double high) {
    Block b = philox(thread, call, seed);
    for (int lane = 0; lane < 4 && 4 * thread + lane < size; ++lane)
        out[4 * thread + lane] = (float)low + (float)(high - low) * ((float)(b.x[lane] >> 8) * 0x1p-24f);
}

/* A double takes two words, 53 bits of them, so four doubles take two blocks. */
__device__ void uniform(u64 thread, double* out, u64 size, u64 seed, u64 call, double low, double high) {
    Block half[2] = {philox(2 * thread, call, seed), philox(2 * thread + 1, call, seed)};
    for (int lane = 0; lane < 4 && 4 * thread + lane < size; ++lane) {
        const u32* x = half[lane / 2].x + 2 * (lane % 2);
        u64 bits = ((u64)x[0] << 32) | x[1];
        out[4 * thread + lane] = low + (high - low) * ((double)(bits >> 11) * 0x1p-53);
    }
}

/* keep * 2^32 rounded: below it, the word says keep.  It is 2^32 itself for keep = 1, hence 64 bits. */
template <typename T>
__device__ void bernoulli_mask(u64 thread, T* out, u64 size, u64 seed, u64 call, double keep, double scale) {
    Block b = philox(thread, call, seed);
    u64 below = (u64)(keep * 4294967296.0 + 0.5);
    for (int lane = 0; lane < 4 && 4 * thread + lane < size; ++lane)
        out[4 * thread + lane] = b.x[lane] < below ? (T)scale : (T)0;
}

#define KERNEL(draw, T, name) \
extern "C" __global__ void name(T* out, u64 size, u64 seed, u64 call, double a, double b) { \
    draw((u64)blockIdx.x * blockDim.x + threadIdx.x, out, size, seed, call, a, b); \
}
KERNEL(uniform, float, uniform_float32)
KERNEL(uniform, double, uniform_float64)
KERNEL(bernoulli_mask, float, bernoulli_mask_float32)
KERNEL(bernoulli_mask, double, bernoulli_mask_float64)
"""


@functools.cache
def _cuda_kernel(name: str) -> Any:
    return backend.backend_for("cuda").namespace.RawKernel(CUDA_SOURCE, name)


# ---- the generator that everything draws from unless it is given another ------------------------------------------


def _restore(state: Mapping[str, int], device: Device) -> Generator:
    return Generator(device=device).set_state(state)


default_generator = Generator(secrets.randbits(64))  # as in PyTorch, a run that is not seeded is not repeatable


def manual_seed(seed: int) -> Generator:
    """Seed `default_generator`, on every device at once, and return it."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of `default_generator`."""
    return default_generator.initial_seed()
