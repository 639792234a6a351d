"""Devices by name, arrays by type, and the ways between them.  A made-up CuPy of two cards plays CUDA."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import backend
from minigrad.backend import Device, device, device_of, is_array, namespace, on, to_host, transfer
from minigrad.testing import standin


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers ends with it."""
    for table in ("_BY_NAME", "_BY_TYPE", "_LOCATIONS"):
        monkeypatch.setattr(backend, table, dict(getattr(backend, table)))
    backend._look_for_cuda.cache_clear()
    yield
    backend._look_for_cuda.cache_clear()


class CudaError(Exception):
    pass


def made_up_cupy(monkeypatch: pytest.MonkeyPatch, cards: int | Exception) -> Any:
    """A module `cupy` whose arrays remember the card that was current when they were made."""
    current = [0]

    class ndarray:  # noqa: N801, CuPy's name
        def __init__(self, host: np.ndarray) -> None:
            self.host, self.device = host, SimpleNamespace(id=current[0])

        def copy(self) -> ndarray:
            return ndarray(self.host.copy())

    class Card:
        def __init__(self, index: int) -> None:
            self.index = index

        def __enter__(self) -> None:
            self.before, current[0] = current[0], self.index

        def __exit__(self, *exception: object) -> None:
            current[0] = self.before

    def count() -> int:
        if isinstance(cards, Exception):
            raise cards
        return cards

    cupy: Any = ModuleType("cupy")
    ndarray.__module__ = "cupy"
    cupy.ndarray = ndarray
    cupy.asnumpy = lambda array: array.host.copy()
    cupy.asarray = lambda host: ndarray(np.array(host))
    runtime = SimpleNamespace(getDeviceCount=count, getDevice=lambda: current[0], CUDARuntimeError=CudaError)
    cupy.cuda = SimpleNamespace(runtime=runtime, Device=Card)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


# ---- names of devices ----


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@given(st.sampled_from(["cpu", "cuda"]), st.none() | st.integers(0, 120), st.booleans())
def test_a_device_reads_as_in_pytorch(torch: Any, name: str, index: int | None, in_the_string: bool) -> None:
    args: tuple[Any, ...] = (name,) if index is None else (f"{name}:{index}",) if in_the_string else (name, index)
    ours, theirs = Device(*args), torch.device(*args)
    assert (ours.type, ours.index, str(ours), repr(ours)) == (theirs.type, theirs.index, str(theirs), repr(theirs))


@given(st.lists(st.tuples(st.sampled_from(["cpu", "cuda"]), st.none() | st.integers(0, 2)), min_size=2, max_size=2))
def test_devices_are_equal_when_type_and_index_are(pair: list[tuple[str, int | None]]) -> None:
    left, right = (Device(*one) for one in pair)
    assert (left == right) == (pair[0] == pair[1])
    assert left != right or hash(left) == hash(right)
    assert left != str(left)


@pytest.mark.parametrize("bad", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:01", "cuda 1", ":0", "cpu:x", "cuda:1\n"])
def test_a_bad_name_is_refused_with_the_names_that_exist(bad: str) -> None:
    with pytest.raises(RuntimeError, match="is no device: write one of cpu, cuda"):
        device(bad)


@pytest.mark.parametrize("bad", [1.0, b"cpu", ["cpu"]])
def test_what_is_no_name_is_a_type_error(bad: Any) -> None:
    with pytest.raises(TypeError, match="a device is named by a string"):
        device(bad)


@pytest.mark.parametrize("bad", [-1, True, 0.0])
def test_a_bad_index_is_refused(bad: Any) -> None:
    with pytest.raises(RuntimeError, match="a device index is an int"):
        Device("cuda", bad)
    with pytest.raises(RuntimeError, match="already has an index"):
        Device("cuda:0", 0)


def test_what_device_takes() -> None:
    one = Device("cuda:1")
    assert device(one) is one
    assert device("cuda:1") == device(1) == one
    assert device() == device("cpu") == Device("cpu")
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    with pytest.raises(AttributeError, match="cannot be changed"):
        one.index = 2
    with pytest.raises(AttributeError, match="stays"):
        del one.index


# ---- arrays ----


@pytest.mark.parametrize("value", [np.zeros(2), np.float32(1), True, 1, 1.0, 1j, np.ma.zeros(2)])
def test_numpys_arrays_and_numbers_belong_to_numpy(value: Any) -> None:
    assert namespace(value) is np
    assert device_of(value) is device_of(np.ones(3)) == Device("cpu")
    assert is_array(value) == isinstance(value, np.ndarray)


@pytest.mark.parametrize("value", [[1.0], None, "1", object()])
def test_what_is_no_array_is_refused(value: Any) -> None:
    assert not is_array(value)
    for question in (namespace, device_of, to_host):
        with pytest.raises(TypeError, match=r"is no array: expected numpy\.ndarray"):
            question(value)


def test_on_the_cpu_nothing_is_copied() -> None:
    x = np.arange(3.0)
    assert transfer(x, "cpu") is transfer(x, "cpu:0") is to_host(x) is backend.from_host(x, None) is x
    scalar = transfer(np.float32(2), "cpu")
    assert isinstance(scalar, np.ndarray)
    assert scalar.dtype == np.float32
    with on("cpu"):
        assert backend.backend_for("cpu").namespace is np


def test_importing_minigrads_backend_does_not_import_cupy() -> None:
    code = "import minigrad.backend as b, sys; b.namespace(1); b.device('cuda'); assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- a registered device ----


def test_a_registered_device_takes_part() -> None:
    assert standin.install() == standin.install() == Device("standin", 0)
    host = np.arange(6.0).reshape(2, 3)
    there = transfer(host, "standin")
    assert is_array(there)
    assert namespace(there) is standin.namespace
    assert device_of(there) is device_of(transfer(host, "standin:0")) == Device("standin:0")
    assert transfer(there, "standin") is there
    back = transfer(there, "cpu")
    np.testing.assert_array_equal(back, host)
    assert not np.shares_memory(back, host)
    with on("standin:0"):
        assert is_array(backend.backend_for("standin").namespace.zeros(3))
    with pytest.raises(RuntimeError, match="standin:1 does not exist"):
        backend.backend_for("standin:1")


def test_a_name_can_be_registered_once() -> None:
    standin.install()
    for name in ("cpu", "cuda", "standin"):
        with pytest.raises(ValueError, match="is taken"):
            backend.register(name, SimpleNamespace, None, np.asarray, np.asarray)
    with pytest.raises(ValueError, match="lower-case"):
        backend.register("My:Device", SimpleNamespace, None, np.asarray, np.asarray)
    with pytest.raises(TypeError, match=r"takes a numpy\.ndarray, not .*StandinArray"):
        backend.from_host(standin.namespace.zeros(1), "cpu")


# ---- CUDA ----


def test_without_cupy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # an import of it now fails as if it were not there
    assert not backend.cuda_is_available()
    assert backend.cuda_device_count() == 0
    for use in (backend.backend_for, lambda spec: transfer(np.zeros(1), spec)):
        with pytest.raises(
            RuntimeError, match=r'not installed: pip install "minigrad\[cuda12\]" or "minigrad\[cuda13\]"'
        ):
            use("cuda")


@pytest.mark.parametrize(
    ("cards", "message"), [(0, "no CUDA card"), (CudaError("old"), r"no CUDA driver or card \(old\)")]
)
def test_without_a_card_the_message_says_so(monkeypatch: pytest.MonkeyPatch, cards: Any, message: str) -> None:
    made_up_cupy(monkeypatch, cards)
    assert not backend.cuda_is_available()
    with pytest.raises(RuntimeError, match=message):
        backend.backend_for("cuda:0")


def test_arrays_travel_between_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = made_up_cupy(monkeypatch, 2)
    assert backend.cuda_is_available()
    assert backend.cuda_device_count() == 2
    host = np.arange(3.0)
    first, second = transfer(host, "cuda"), transfer(host, 1)
    assert (device_of(first), device_of(second)) == (Device("cuda:0"), Device("cuda:1"))
    assert namespace(second) is cupy
    assert is_array(second)
    assert transfer(second, "cuda:1") is second
    with on("cuda:1"):
        assert transfer(second, "cuda") is second  # "cuda" is the current card
        moved = transfer(second, "cuda:0")
    assert device_of(moved) is device_of(first)
    np.testing.assert_array_equal(to_host(moved), host)
    with pytest.raises(RuntimeError, match="cuda:2 does not exist: this machine has 2"):
        transfer(host, "cuda:2")
