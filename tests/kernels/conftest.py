"""What the tests of the kernels have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minigrad.kernels import pool


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)
