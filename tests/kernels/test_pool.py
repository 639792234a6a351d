"""The threads and the reused memory under the NumPy kernels."""

import multiprocessing
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import memory, pool


@given(count=st.integers(0, 1000), grain=st.integers(1, 100), threads=st.integers(1, 5))
def test_pieces_make_up_the_whole(count, grain, threads):
    pool.set_num_threads(threads)
    pieces = []
    pool.share(lambda start, stop: pieces.append((start, stop)), count, grain)
    assert len(pieces) <= threads
    assert [k for piece in sorted(pieces) for k in range(*piece)] == list(range(count))
    assert len(pieces) == 1 or all(stop - start >= grain for start, stop in pieces)


@given(start=st.integers(0, 50), length=st.integers(0, 200), size=st.integers(0, 60))
def test_blocks_make_up_the_range(start, length, size):
    slices = list(pool.blocks(start, start + length, size))
    assert [k for block in slices for k in range(block.start, block.stop)] == list(range(start, start + length))
    assert all(block.stop - block.start <= max(1, size) for block in slices)


def test_the_work_is_done_by_several_threads_at_a_time():
    pool.set_num_threads(3)
    together = threading.Barrier(3, timeout=10)
    pool.share(lambda start, stop: together.wait() and None, 3, 1)  # breaks unless all three are there at once


@pytest.mark.parametrize("culprit", [0, 1, 2])
def test_an_exception_in_any_piece_is_raised_after_all_have_ended(culprit):
    pool.set_num_threads(3)
    ended = []

    def work(start, stop):
        if start == culprit:
            raise KeyError(f"piece {start}")
        ended.append(start)

    with pytest.raises(KeyError, match=f"piece {culprit}"):
        pool.share(work, 3, 1)
    assert sorted(ended) == [k for k in range(3) if k != culprit]
    pool.share(lambda start, stop: ended.append(start), 3, 1)  # and the threads still serve
    assert len(ended) == 5


def test_the_callers_errstate_holds_in_every_thread():
    pool.set_num_threads(2)
    bad = np.zeros(2)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        pool.share(lambda start, stop: np.divide(1, bad[start:stop]) if start else None, 2, 1)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, None])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="positive int"):
        pool.set_num_threads(count)


def _share_in_child(queue):
    pool.set_num_threads(2)
    pieces = []
    pool.share(lambda start, stop: pieces.append(start), 10, 1)
    queue.put(len(pieces))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking with threads alive is what is tested
def test_a_forked_child_starts_threads_of_its_own():
    pool.set_num_threads(2)
    pool.share(lambda start, stop: None, 10, 1)  # the parent's threads are running
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_share_in_child, args=(queue,))
    child.start()
    child.join(timeout=20)
    assert child.exitcode == 0
    assert queue.get() == 2


@given(
    shape=st.lists(st.integers(0, 600), min_size=1, max_size=2),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
def test_memory_is_never_lent_twice(shape, dtype):
    first, second = memory.empty(shape, dtype), memory.empty(shape, dtype)
    for array in (first, second):
        assert array.shape == tuple(shape)
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned
    assert not np.shares_memory(first, second)


def test_memory_is_lent_again_when_nothing_refers_to_it_and_not_before(monkeypatch):
    monkeypatch.setattr(memory, "_blocks", [])
    shape = (1000, 1000)
    array = memory.empty(shape, np.float32)
    address = array.ctypes.data
    view = array[5:]
    del array
    assert memory.empty(shape, np.float32).ctypes.data != address  # the view is still alive
    del view
    assert memory.empty(shape, np.float32).ctypes.data == address


def test_no_more_than_the_limit_is_kept():
    step = memory.LIMIT // 8
    for k in range(20):
        memory.empty((step + k * memory.SMALL,), np.uint8)
    assert sum(block.nbytes for block in memory._blocks) <= memory.LIMIT
