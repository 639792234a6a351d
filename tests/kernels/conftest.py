"""What the tests of the kernels have in common."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from kernels.host_cupy import compiled_for_the_host, stand_in_for_cupy

from minigrad.kernels import pool


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


@pytest.fixture(scope="module")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """minigrad.kernels.cuda over a stand-in for CuPy; gone again afterwards."""
    library = compiled_for_the_host(tmp_path_factory.mktemp("cuda"))
    if library is None:
        pytest.skip("no g++ on this machine")
    names = [name for name in sys.modules if name == "cupy" or name.startswith("minigrad.kernels.cuda")]
    before = {name: sys.modules.pop(name) for name in names if name != "minigrad.kernels.cuda_source"}
    sys.modules["cupy"] = stand_in_for_cupy(library)
    module = importlib.import_module("minigrad.kernels.cuda")
    many = importlib.import_module("minigrad.kernels.cuda_many")
    many.address = lambda array: array.ctypes.data  # type: ignore[attr-defined]
    yield module
    for name in [name for name in sys.modules if name.startswith("minigrad.kernels.cuda")]:
        if name != "minigrad.kernels.cuda_source":
            del sys.modules[name]
    del sys.modules["cupy"]
    sys.modules.update(before)
