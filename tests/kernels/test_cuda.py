"""The CUDA kernels without a card: their text is compiled for the device where nvcc is at hand, and for the host, where
the modules that use it run on NumPy with a stand-in for CuPy and must equal the plain version."""

import ctypes
import importlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels import cuda_source, reference
from minigrad.kernels.cuda_source import BODIES, PREAMBLE, SUMS, Body
from minigrad.testing.running import frozen

C_TYPES = {"int64": "long long", "bool": "bool"}
CTYPES = {"int64": ctypes.c_longlong, "bool": ctypes.c_bool}


def as_body(kernel):
    """A sum's text is a kernel too: one that writes the terms."""
    if isinstance(kernel, Body):
        return kernel
    return Body(kernel.name, kernel.inputs, "", "T term", f"term = {kernel.text};")


def parameters(text):
    """(raw, type, name) for each of "raw T x, int64 H"."""
    words = [parameter.split() for parameter in text.split(",") if parameter.strip()]
    return [(len(each) == 3, each[-2], each[-1]) for each in words]


def all_parameters(body):
    """(role, raw, type, name): the arrays that come in, the numbers, the arrays that go out."""
    roles = (("in", body.inputs), ("number", body.numbers), ("out", body.outputs))
    return [(role, *parameter) for role, text in roles for parameter in parameters(text)]


def wrapped(body, real, qualifiers, loop):
    """C++ that runs the body for each index, in float or double."""
    signature, names = [], []
    for role, raw, kind, name in all_parameters(body):
        c_type = real if kind == "T" else C_TYPES[kind]
        if role == "number":
            signature.append(f"{c_type} {name}")
        else:
            const = "const " if role == "in" else ""
            signature.append(f"{const}{c_type}* {name if raw else '_' + name}")
            names += [] if raw else [f"{const}{c_type}& {name} = _{name}[i];"]
    head = f'extern "C" {qualifiers} void {body.name}_{real}({", ".join(signature)}, long long _size)'
    return f"{head} {{ {loop} {{ using T = {real}; {' '.join(names)} {body.text} }} }}"


def source(qualifiers, loop):
    pairs = [(as_body(kernel), real) for kernel in (*BODIES, *SUMS) for real in ("float", "double")]
    return PREAMBLE + "\n".join(wrapped(body, real, qualifiers, loop) for body, real in pairs)


def compile_with(compiler, arguments, text, folder, suffix):
    path = folder / f"kernels{suffix}"
    path.write_text(text)
    done = subprocess.run([compiler, *arguments, str(path)], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr


def test_every_kernel_is_listed():
    written = {value.name for value in vars(cuda_source).values() if isinstance(value, Body | cuda_source.Sum)}
    assert {kernel.name for kernel in (*BODIES, *SUMS)} == written


def test_compiles_for_the_device(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on this machine")
    first, stride = "blockIdx.x * (long long)blockDim.x + threadIdx.x", "gridDim.x * blockDim.x"
    loop = f"for (long long i = {first}; i < _size; i += {stride})"
    compile_with(nvcc, ["-arch=sm_90", "-std=c++17", "-ptx"], source("__global__", loop), tmp_path, ".cu")


class HostKernel:
    """cupy.ElementwiseKernel over NumPy arrays, and as strict about types."""

    def __init__(self, library, body):
        self.library, self.body, self.parameters = library, body, all_parameters(body)

    def __call__(self, *arguments):
        given = list(zip(self.parameters, arguments, strict=True))
        dtype = self._dtype([value for (role, _, kind, _), value in given if role != "number" and kind == "T"])
        shape = np.broadcast_shapes(*[np.shape(v) for (role, raw, *_), v in given if role != "number" and not raw])
        passed, written = [], []
        for (role, raw, kind, name), value in given:
            if role == "number":
                passed.append(self._number(kind, dtype)(value))
                continue
            want = dtype if kind == "T" else np.dtype(kind)
            if isinstance(value, np.ndarray) and value.dtype != want:
                raise TypeError(f"{self.body.name}: {name} is {value.dtype}, not {want}")
            if role == "out" and not raw and value.shape != shape:
                raise ValueError(f"{self.body.name}: {name} has shape {value.shape}, not {shape}")
            array = np.array(value if raw else np.broadcast_to(value, shape), dtype=want, order="C")
            passed.append(ctypes.c_void_p(array.ctypes.data))
            written.append((role, value, array))
        size = int(np.prod(shape, dtype=np.int64))
        getattr(self.library, f"{self.body.name}_{'float' if dtype == np.float32 else 'double'}")(
            *passed, ctypes.c_longlong(size)
        )
        for role, value, array in written:
            if role == "out":
                value[...] = array

    @staticmethod
    def _dtype(values):
        (dtype,) = {value.dtype for value in values if isinstance(value, np.ndarray)}  # one T for all
        return dtype

    @staticmethod
    def _number(kind, dtype):
        return CTYPES.get(kind) or (ctypes.c_float if dtype == np.float32 else ctypes.c_double)


def stand_in_for_cupy(library):
    """What the cuda modules use of CuPy, made of NumPy and the kernels compiled for the host."""
    bodies = {kernel.name: as_body(kernel) for kernel in (*BODIES, *SUMS)}

    def elementwise(inputs, outputs, text, name, preamble):
        body = bodies[name]
        assert (outputs, text, preamble) == (body.outputs, body.text, PREAMBLE)
        assert inputs == ", ".join(filter(None, [body.inputs, body.numbers]))
        return HostKernel(library, body)

    def reduction(inputs, output, text, reduce, post, identity, name):
        assert (inputs, output, reduce, post, identity) == (bodies[name].inputs, "T total", "a + b", "total = a", "0")
        terms_of = HostKernel(library, bodies[name])

        def total(*arrays, axis=None):
            terms = np.empty(np.broadcast_shapes(*[array.shape for array in arrays]), arrays[0].dtype)
            terms_of(*arrays, terms)
            return np.asarray(terms.sum(axis=axis))

        return total

    module = types.ModuleType("cupy")
    module.ElementwiseKernel, module.ReductionKernel = elementwise, reduction
    module.__getattr__ = lambda name: getattr(np, name)
    return module


@pytest.fixture(scope="module")
def cuda(tmp_path_factory):
    """minigrad.kernels.cuda over the stand-in; gone again afterwards."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ on this machine")
    folder = tmp_path_factory.mktemp("cuda")
    head = "#include <cmath>\n#define __device__\nusing std::exp; using std::sqrt; using std::tanh;\n"
    text = head + source("", "for (long long i = 0; i < _size; ++i)")
    compile_with("g++", ["-std=c++17", "-O1", "-shared", "-fPIC", "-o", "kernels.so"], text, folder, ".cpp")
    names = [name for name in sys.modules if name == "cupy" or name.startswith("minigrad.kernels.cuda")]
    before = {name: sys.modules.pop(name) for name in names if name != "minigrad.kernels.cuda_source"}
    sys.modules["cupy"] = stand_in_for_cupy(ctypes.CDLL(str(folder / "kernels.so")))
    yield importlib.import_module("minigrad.kernels.cuda")
    for name in [name for name in sys.modules if name.startswith("minigrad.kernels.cuda")]:
        if name != "minigrad.kernels.cuda_source":
            del sys.modules[name]
    del sys.modules["cupy"]
    sys.modules.update(before)


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


@given(shapes=st.lists(st.lists(st.integers(0, 4), max_size=2), min_size=1, max_size=3), **drawn)
def test_squared_norm(cuda, shapes, dtype, seed, data):
    del data
    rng = np.random.default_rng(seed)
    arrays = [frozen(np.asarray(rng.normal(size=shape), dtype=dtype)) for shape in shapes]
    assert_same([cuda.squared_norm(arrays)], [reference.squared_norm(arrays)])
