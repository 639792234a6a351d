"""Updates in blocks: whatever the blocks and threads, now or together, each element is updated once."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import cpu_blocks, pool
from minigrad.kernels.cpu_blocks import in_blocks, together

Update = Any


def grown(p: Any, g: Any, scratch: Any) -> None:
    """p <- p + 2 g + 1, with what is in the scratch array spoilt."""
    scratch[...] = 2
    np.multiply(scratch, g, scratch)
    scratch += 1
    p += scratch


shapes = st.lists(st.lists(st.integers(0, 6), max_size=3).map(tuple), max_size=5)


@given(
    shapes=shapes, block=st.integers(1, 50), threads=st.integers(1, 4), at_once=st.booleans(), turned=st.booleans(),
    dtypes=st.lists(st.sampled_from("efd"), min_size=5, max_size=5),
)  # fmt: skip
def test_each_element_is_updated_once(
    shapes: list[tuple[int, ...]], block: int, threads: int, at_once: bool, turned: bool, dtypes: list[str]
) -> None:
    pool.set_num_threads(threads)
    ps = [np.zeros(shape, kind) for shape, kind in zip(shapes, dtypes)]
    gs = [np.arange(p.size, dtype=p.dtype).reshape(p.shape) for p in ps]
    if turned:
        ps, gs = [p.T for p in ps], [g.T for g in gs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_blocks, "BLOCK", block)
        if at_once:
            with together():
                for p, g in zip(ps, gs):
                    in_blocks(grown, (p, g))
        else:
            for p, g in zip(ps, gs):
                in_blocks(grown, (p, g))
    for p, g in zip(ps, gs):
        np.testing.assert_array_equal(p, 2 * g + 1)


def test_large_ones_wait_for_the_end_and_share_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_blocks, "BLOCK", 4)
    pool.set_num_threads(2)
    seen: list[tuple[int, int]] = []

    def update(p: Any, scratch: Any) -> None:
        seen.append((p.size, threading.get_ident()))
        p += 1

    small, large = np.zeros(4), [np.zeros(10), np.zeros(6)]
    with together():
        for one in (small, *large):
            in_blocks(update, (one,))
        assert [one.sum() for one in (small, *large)] == [4, 0, 0]
        assert len(seen) == 1
    assert [one.sum() for one in large] == [10, 6]
    by_thread = [sum(size for size, thread in seen[1:] if thread == one) for one in {thread for _, thread in seen[1:]}]
    assert sorted(by_thread) == [7, 9]


def test_what_is_written_twice_is_written_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As two parameters in one memory, or a gradient that is scaled in two places: not by two threads at once."""
    monkeypatch.setattr(cpu_blocks, "BLOCK", 4)
    pool.set_num_threads(2)
    p, ones = np.zeros((2, 8)), np.ones((2, 8))
    with together():
        in_blocks(grown, (p, ones))
        in_blocks(grown, (p[1], ones[1]))
        assert p.tolist() == [[3.0] * 8] * 2
        in_blocks(grown, (p[0], ones[0]))  # beside the one before
        assert p[1].tolist() == [3.0] * 8
    assert p.tolist() == [[6.0] * 8] * 2


def test_after_a_mistake_what_waited_is_done_and_nothing_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_blocks, "BLOCK", 1)
    one, other = np.zeros(3), np.zeros(3)

    @together()
    def mistaken() -> None:
        in_blocks(grown, (one, one))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mistaken()
    in_blocks(grown, (other, other))
    assert one.tolist() == other.tolist() == [1, 1, 1]


def test_another_thread_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_blocks, "BLOCK", 1)
    p = np.zeros(3)
    with together():
        thread = threading.Thread(target=in_blocks, args=(grown, (p, p)))
        thread.start()
        thread.join()
        assert p.tolist() == [1, 1, 1]
