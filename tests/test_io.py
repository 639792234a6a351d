"""Saving and loading trees: round trips for drawn trees, and one clear sentence for what is no such file."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad
from minigrad.io import write_atomically

pytest.importorskip("safetensors")

arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5)
trees = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def with_tensors(tree):
    if isinstance(tree, np.ndarray):
        return minigrad.tensor(tree)
    if isinstance(tree, dict):
        return {key: with_tensors(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(with_tensors(value) for value in tree)
    return tree


def assert_same(found, wanted):
    if isinstance(wanted, np.ndarray):
        assert isinstance(found, minigrad.Tensor)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found.numpy(), wanted)
    elif isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert list(found) == list(wanted)
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, (list, tuple)):
        assert type(found) is type(wanted)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, float) and math.isnan(wanted):
        assert math.isnan(found)
    else:
        assert type(found) is type(wanted)
        assert found == wanted


@given(trees)
def test_round_trip(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("io") / "tree.safetensors"
    minigrad.save(with_tensors(tree), path)
    assert_same(minigrad.load(path), tree)
    assert list(path.parent.iterdir()) == [path]


def test_one_tensor_in_two_places_is_stored_once(tmp_path):
    tensor = minigrad.ones(1000)
    minigrad.save({"a": tensor, "b": tensor}, tmp_path / "f")
    loaded = minigrad.load(tmp_path / "f")
    assert loaded["a"] is loaded["b"]
    assert (tmp_path / "f").stat().st_size < 6000


def test_a_plain_safetensors_file(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weight": np.ones((2, 2), np.float32)}, tmp_path / "f")
    assert_same(minigrad.load(tmp_path / "f"), {"weight": np.ones((2, 2), np.float32)})


def test_a_module_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"at model stands a Linear.*state_dict\(\)"):
        minigrad.save({"model": minigrad.nn.Linear(2, 2)}, tmp_path / "f")
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        minigrad.load(tmp_path / "f")


@given(st.data())
def test_a_damaged_file_is_said(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("io") / "f"
    minigrad.save({"w": minigrad.arange(10)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        minigrad.load(path)


@pytest.mark.parametrize(
    "description", ["[", '{"tensor": "absent"}', '{"unknown": 1}', '{"a": 1, "b": 2}', '{"dict": 3}']
)
def test_a_damaged_description_is_said(tmp_path, description):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "f", metadata={"minigrad": description})
    with pytest.raises(ValueError, match="damaged description"):
        minigrad.load(tmp_path / "f")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_atomically(path, lambda place: place.write_bytes(b"old"))

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, lambda place: place.write_bytes(b"new"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
