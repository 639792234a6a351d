"""What the tests of the kernels have in common."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from kernels.host_cupy import compiled_for_the_host, imported

from minigrad.kernels import pool
from minigrad.testing import standin


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


@pytest.fixture(scope="session")
def kernel_library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The CUDA kernels compiled for the host."""
    library = compiled_for_the_host(tmp_path_factory.mktemp("cuda"))
    if library is None:
        pytest.skip("no g++ on this machine")
    return library


@pytest.fixture(scope="module")
def cuda(kernel_library: Any) -> Iterator[ModuleType]:
    """minigrad.kernels.cuda, working on NumPy's arrays."""
    with imported(kernel_library, np) as module:
        yield module


@pytest.fixture
def cuda_on_standin(kernel_library: Any) -> Iterator[ModuleType]:
    """minigrad.kernels.cuda, working on the arrays of the stand-in device: as strict as CuPy, and counting waits."""
    standin.install()
    with imported(kernel_library, standin.namespace) as module:
        yield module
