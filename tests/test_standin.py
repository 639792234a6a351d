"""The stand-in device computes what NumPy computes and refuses what CuPy refuses."""

from __future__ import annotations

import copy
import inspect
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.testing import _cupy_names as cupy_names
from minigrad.testing.standin import (
    StandinArray,
    SynchronisationError,
    namespace,
    no_synchronisation,
    synchronisations,
)

xp = namespace
HOST = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def there(host: Any) -> StandinArray:
    return xp.asarray(host)


def same(got: Any, expected: Any) -> None:
    """An array of the device, with the dtype and values that NumPy's result has as an array."""
    assert type(got) is StandinArray
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.get(), expected)


# ---- it computes what NumPy computes ----

numbers = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    elements=st.integers(-5, 5),
)
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "eq", "ne", "gt", "ge"]


@given(numbers, st.integers(1, 4), st.sampled_from(BINARY), st.booleans(), st.booleans())
def test_operators_are_numpys(host: np.ndarray, other: int, name: str, with_array: bool, reflected: bool) -> None:
    host = np.asarray(np.abs(host) + 1)  # powers and quotients without exceptions of their own
    right: Any = np.full_like(host, other) if with_array else other
    left, right = (right, host) if reflected else (host, right)
    apply = getattr(operator, name)
    same(apply(*(there(side) if isinstance(side, np.ndarray) else side for side in (left, right))), apply(left, right))


@pytest.mark.parametrize("scalar", [2, 2.5, True, np.float32(2), np.float64(2), np.int64(2)])
@pytest.mark.parametrize("name", ["add", "mul", "sub", "truediv"])
def test_scalars_take_part_on_both_sides(scalar: Any, name: str) -> None:
    apply = getattr(operator, name)
    host = HOST + 1  # no division by zero
    same(apply(there(host), scalar), apply(host, scalar))
    same(apply(scalar, there(host)), apply(scalar, host))


def test_bitwise_unary_and_matrix_operators() -> None:
    whole, mask, matrix = HOST.astype(np.int32), HOST > 7, HOST[0]
    for apply in (operator.and_, operator.or_, operator.xor):
        same(apply(there(mask), there(~mask)), apply(mask, ~mask))
        same(apply(there(whole), 5), apply(whole, 5))
    same(there(whole) << 2, whole << 2)
    same(there(whole) >> 1, whole >> 1)
    for apply in (operator.neg, operator.pos, abs):
        same(apply(there(HOST)), apply(HOST))
    same(~there(mask), ~mask)
    same(there(matrix) @ there(matrix).T, matrix @ matrix.T)
    for got, expected in zip(divmod(there(whole), 5), divmod(whole, 5), strict=True):
        same(got, expected)


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"])
def test_operators_in_place_keep_the_array(name: str) -> None:
    array, host = there(HOST), HOST.copy()
    view = array[0]
    result = getattr(operator, name)(array, 2)
    assert result is array
    same(array, getattr(operator, name)(host, 2))
    same(view, host[0])
    with pytest.raises(TypeError, match="cast"):
        getattr(operator, name)(there(np.arange(3)), 0.5)


UNARY = ["exp", "log1p", "sqrt", "tanh", "isnan", "sign", "logical_not", "reciprocal", "floor"]


@given(numbers, st.sampled_from(UNARY))
def test_elementwise_functions_are_numpys(host: np.ndarray, name: str) -> None:
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(host)
    got = getattr(xp, name)(there(host))
    assert type(got) is StandinArray
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.get(), expected)


def test_elementwise_functions_write_where_they_are_told() -> None:
    out = xp.zeros((2, 3, 4), dtype=xp.float32)
    assert xp.add(there(HOST), 1, out=out, where=there(HOST > 5)) is out
    same(out, np.where(HOST > 5, HOST + 1, np.float32(0)))
    mantissa, exponent = xp.frexp(there(HOST))
    same(mantissa, np.frexp(HOST)[0])
    same(exponent, np.frexp(HOST)[1])


# Calls that must run under both: each gives the same under NumPy and here.
CALLS: dict[str, Any] = {
    "sum": lambda m, x: m.sum(x, axis=1, keepdims=True),
    "sum to a scalar": lambda m, x: m.sum(x),
    "method": lambda m, x: x.max(axis=(0, 2)),
    "method to a scalar": lambda m, x: x.mean(),
    "argmax": lambda m, x: m.argmax(x, axis=-1),
    "count_nonzero": lambda m, x: m.count_nonzero(x),
    "allclose": lambda m, x: m.allclose(x, x),
    "array_equal": lambda m, x: m.array_equal(x, x + 1),
    "concatenate": lambda m, x: m.concatenate([x, x], axis=1),
    "stack": lambda m, x: m.stack((x, x), axis=-1),
    "einsum": lambda m, x: m.einsum("ijk,ljk->il", x, x),
    "tensordot": lambda m, x: m.tensordot(x, x, axes=([1, 2], [1, 2])),
    "matmul": lambda m, x: m.matmul(x, m.swapaxes(x, 1, 2)),
    "where": lambda m, x: m.where(x > 3, x, 0),
    "take": lambda m, x: m.take(x, m.asarray([2, 0]), axis=1),
    "take_along_axis": lambda m, x: m.take_along_axis(x, m.argsort(-x, axis=2), axis=2),
    "cumsum": lambda m, x: m.cumsum(x, axis=0),
    "sort": lambda m, x: m.sort(-x, axis=1),
    "searchsorted": lambda m, x: m.searchsorted(x[0, 0], x[1, 1]),
    "clip": lambda m, x: m.clip(x, 2, 9),
    "pad": lambda m, x: m.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=3),
    "tril": lambda m, x: m.tril(x, -1),
    "repeat": lambda m, x: m.repeat(x, [1, 0, 2], axis=1),
    "roll": lambda m, x: m.roll(x, (1, 2), axis=(0, 1)),
    "reshape": lambda m, x: x.reshape(4, -1),
    "transpose": lambda m, x: x.transpose(2, 0, 1),
    "arange": lambda m, x: m.arange(1, 9, 2),
    "eye": lambda m, x: m.eye(3, 4, 1, dtype=m.float32),
    "full_like": lambda m, x: m.full_like(x, 3, dtype=m.int64),
    "linspace": lambda m, x: m.linspace(0, 1, 5),
    "norm": lambda m, x: m.linalg.norm(x, axis=1),
    "inv": lambda m, x: m.linalg.inv(x[:, :, :3] + m.eye(3)),
    "as_strided": lambda m, x: m.lib.stride_tricks.as_strided(x[0, 0], (2, 3), (4, 4)),
    "bincount": lambda m, x: m.bincount(x.astype(m.int64).ravel(), minlength=30),
    "unique": lambda m, x: m.unique(x // 5),
    "add.reduce": lambda m, x: m.add.reduce(x, axis=1),
    "multiply.accumulate": lambda m, x: m.multiply.accumulate(x, axis=1),
    "subtract.outer": lambda m, x: m.subtract.outer(x[0, 0], x[1, 0]),
    "meshgrid": lambda m, x: m.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")[1],
    "new axis and dots": lambda m, x: x[..., None, 1],
    "gather": lambda m, x: x[m.asarray([1, 0]), :, m.asarray([3, 0])],
    "list as index": lambda m, x: x[:, [2, 0]],
    "mask": lambda m, x: x[x > 5],
    "mask and integer": lambda m, x: x[x[:, :, 0] > 5, 2],
    "astype": lambda m, x: x.astype(m.float16),
    "T": lambda m, x: x.T,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_functions_are_numpys(call: Any) -> None:
    same(call(xp, there(HOST)), call(np, HOST))


def test_functions_with_several_results() -> None:
    for got, expected in zip(xp.split(there(HOST), [1, 2], axis=1), np.split(HOST, [1, 2], axis=1), strict=True):
        same(got, expected)
    assert isinstance(xp.split(there(HOST), 3, axis=1), list)
    for got, expected in zip(xp.linalg.qr(there(HOST[0])), np.linalg.qr(HOST[0]), strict=True):
        same(got, expected)
    for got, expected in zip(xp.nonzero(there(HOST > 9)), np.nonzero(HOST > 9), strict=True):
        same(got, expected)
    same(xp.where(there(HOST > 9))[0], np.where(HOST > 9)[0])


def test_questions_are_answered_on_the_host() -> None:
    x = there(HOST)
    with no_synchronisation():
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3, 4), 3, 24, np.float32, 2)
        assert (x.strides, x.itemsize, x.nbytes) == (HOST.strides, 4, 96)
        assert xp.shape(x) == (2, 3, 4)
        assert xp.ndim(x) == 3
        assert xp.size(x) == 24
        assert xp.shares_memory(x, x[1]) is True
        assert xp.may_share_memory(x, x.copy()) is False
        assert xp.result_type(x, xp.float64) == np.float64
        assert x.flags.c_contiguous
        assert not x.T.flags.c_contiguous
        assert x.T.flags.f_contiguous
        assert x.flags.owndata
        assert not x.T.flags.owndata
    assert not hasattr(x.flags, "writeable")


def test_arithmetic_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    zero = xp.zeros(2)
    for compute in (lambda: 1 / zero, lambda: xp.log(zero), lambda: zero / zero, lambda: xp.exp(zero + 1e9)):
        compute()
    assert not recwarn.list


# ---- views ----


@given(st.data())
def test_basic_indexing_gives_a_view_with_its_base(data: st.DataObject) -> None:
    key = data.draw(hnp.basic_indices(HOST.shape, allow_newaxis=True))
    array, host = there(HOST), HOST.copy()
    view = array[key]
    same(view, host[key])
    if view.size:
        assert view.base is array
        assert view[...].base is array
        view[...] = -1.0
        host[key] = -1.0
        same(array, host)


VIEWS: dict[str, Any] = {
    "reshape": lambda x: x.reshape(6, 4),
    "xp.reshape": lambda x: xp.reshape(x, (24,)),
    "ravel": lambda x: x.ravel(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "swapaxes": lambda x: xp.swapaxes(x, 0, 2),
    "expand_dims": lambda x: xp.expand_dims(x, 1),
    "squeeze": lambda x: xp.squeeze(x[:1]),
    "broadcast_to": lambda x: xp.broadcast_to(x, (5, 2, 3, 4)),
    "diagonal": lambda x: x.diagonal(axis1=1, axis2=2),
    "split": lambda x: xp.split(x, 2)[1],
    "flip": lambda x: xp.flip(x, 1),
    "as_strided": lambda x: xp.lib.stride_tricks.as_strided(x, (2, 2), (4, 4)),
    "view": lambda x: x.view(xp.int32),
}


@pytest.mark.parametrize("take", VIEWS.values(), ids=VIEWS.keys())
def test_what_shares_memory_knows_its_base(take: Any) -> None:
    array = there(HOST)
    view = take(array)
    assert view.base is array
    assert xp.shares_memory(view, array)


@pytest.mark.parametrize(
    "take",
    [lambda x: x + 0, lambda x: x.copy(), lambda x: x[[0]], lambda x: x[x > 0], lambda x: x.flatten(), copy.deepcopy],
)
def test_what_owns_its_memory_has_no_base(take: Any) -> None:
    array = there(HOST)
    assert take(array).base is None
    assert not xp.shares_memory(take(array), array)


def test_what_need_not_be_copied_is_the_same_array() -> None:
    array = there(HOST)
    assert xp.asarray(array) is array
    assert xp.ascontiguousarray(array) is array
    assert array.astype(xp.float32, copy=False) is array
    assert xp.array(array) is not array


def test_host_memory_is_never_shared() -> None:
    host = HOST.copy()
    array = there(host)
    array[...] = 0
    array.get()[...] = 9
    np.testing.assert_array_equal(host, HOST)
    same(array, np.zeros_like(HOST))


# ---- indexing with arrays ----


@given(
    hnp.arrays(np.int64, st.integers(0, 5), elements=st.integers(-20, 20)),
    st.integers(0, 2),
    st.booleans(),
)
def test_integer_arrays_wrap_around(indices: np.ndarray, axis: int, dots: bool) -> None:
    before: tuple[Any, ...] = (Ellipsis,) if dots else (slice(None),) * axis
    after: tuple[Any, ...] = (slice(None),) * (2 - axis) if dots else ()
    inside = indices % HOST.shape[axis]
    key, key_inside = (*before, there(indices), *after), (*before, inside, *after)
    array, host = there(HOST), HOST.copy()
    same(array[key], host[key_inside])
    array[key] = 5.0
    host[key_inside] = 5.0
    same(array, host)
    xp.add.at(array, key, 1.0)
    np.add.at(host, key_inside, 1.0)
    same(array, host)
    same(xp.take(array, there(indices), axis=axis), np.take(host, inside, axis=axis))


def test_indices_along_an_axis_wrap_around() -> None:
    indices = np.array([[[7, -9, 1, 0]]] * 2)
    array, host = there(HOST), HOST.copy()
    same(xp.take_along_axis(array, there(indices), 1), np.take_along_axis(host, indices % 3, 1))
    xp.put_along_axis(array, there(indices), -1.0, 1)
    np.put_along_axis(host, indices % 3, -1.0, 1)
    same(array, host)


def test_a_mask_takes_the_axes_it_has() -> None:
    mask, indices = HOST[:, :, 0] > 3, np.array([9, 4, 5, 6, 7])
    same(there(HOST)[there(mask), there(indices)], HOST[mask, indices % 4])


def test_an_integer_out_of_range_raises_as_in_cupy() -> None:
    with pytest.raises(IndexError):
        there(HOST)[2]


def test_scattering_where_cuda_has_the_atomic_operation() -> None:
    array, host, twice = there(HOST[0, 0]), HOST[0, 0].copy(), np.array([1, 1, 2])
    xp.maximum.at(array, there(twice), there(np.array([9, 5, 0], np.float32)))
    np.maximum.at(host, twice, np.array([9, 5, 0], np.float32))
    same(array, host)
    with pytest.raises(TypeError, match="no such atomic operation"):
        xp.add.at(xp.zeros(3, dtype=xp.int64), there(twice), 1)
    with pytest.raises(NotImplementedError, match=r"multiply\.at"):
        xp.multiply.at(array, there(twice), 2.0)
    with pytest.raises(NotImplementedError, match=r"maximum\.reduce"):
        xp.maximum.reduce(array)


# ---- it refuses what CuPy refuses ----

MIXING: dict[str, Any] = {
    "operator": lambda x, h: x + h,
    "reflected": lambda x, h: h + x,
    "comparison": lambda x, h: x == h,
    "in place": lambda x, h: operator.iadd(x, h),
    "host in place": lambda x, h: operator.iadd(h.copy(), x),
    "matmul": lambda x, h: x @ h.swapaxes(1, 2),
    "host matmul": lambda x, h: h.swapaxes(1, 2) @ x,
    "ufunc": lambda x, h: xp.add(x, h),
    "out": lambda x, h: xp.exp(x, out=h.copy()),
    "method's out": lambda x, h: x.sum(out=h[0, 0, 0]),
    "function": lambda x, h: xp.sum(h),
    "sequence": lambda x, h: xp.concatenate([x, h]),
    "einsum": lambda x, h: xp.einsum("ijk,ijk", x, h),
    "where": lambda x, h: xp.where(x > 1, x, h),
    "index": lambda x, h: x[h[0, 0].astype(int) % 2],
    "index in a tuple": lambda x, h: x[:, h[0, 0].astype(int) % 2],
    "write": lambda x, h: x.__setitem__(Ellipsis, h),
    "host write": lambda x, h: h.copy().__setitem__(Ellipsis, x),
    "host index": lambda x, h: h[x.astype(int)],
    "fill": lambda x, h: x.fill(h[0, 0, 0:1]),
    "result_type": lambda x, h: xp.result_type(x, h),
    "numpy's ufunc": lambda x, h: np.exp(x),
    "numpy's function": lambda x, h: np.sum(x),
    "numpy's concatenate": lambda x, h: np.concatenate([x, x]),
    "asarray": lambda x, h: np.asarray(x),
    "array": lambda x, h: np.array([x, x]),
    "list as operand": lambda x, h: x + [1.0, 2.0, 3.0, 4.0],
    "list as array": lambda x, h: xp.sum([1.0, 2.0]),
    "array as shape": lambda x, h: xp.zeros(x.sum()),
    "array in a shape": lambda x, h: xp.zeros((x.sum(), 2)),
    "array as axis": lambda x, h: x.sum(axis=xp.argmax(x)),
    "array as a range": lambda x, h: range(xp.argmax(x)),  # CuPy's arrays have no __index__
    "array as a slice": lambda x, h: x[: xp.argmax(x)],
    "arrays as repeats": lambda x, h: xp.repeat(x, xp.asarray([1, 2]), axis=0),
    "None": lambda x, h: x + "1",
    "hash": lambda x, h: hash(x),
    "object dtype": lambda x, h: x.astype(object),
    "long double": lambda x, h: xp.zeros(3, dtype=np.longdouble),
    "strings": lambda x, h: xp.asarray(["a"]),
    "sum(initial=)": lambda x, h: xp.sum(x, initial=1),
    "max(where=)": lambda x, h: x.max(where=x > 1, initial=0),
    "argsort(stable=)": lambda x, h: xp.argsort(x, stable=True),
    "take(mode=)": lambda x, h: xp.take(x, xp.asarray([0]), mode="clip"),
    "clip(min=)": lambda x, h: xp.clip(x, min=0),
    "ufunc(order=)": lambda x, h: xp.add(x, 1, order="C"),
}


@pytest.mark.parametrize("mix", MIXING.values(), ids=MIXING.keys())
def test_mixing_is_a_type_error(mix: Any) -> None:
    with pytest.raises(TypeError):
        mix(there(HOST), HOST.copy())


def test_the_messages_of_a_mix() -> None:
    for mix in (lambda: there(HOST) + HOST, lambda: HOST + there(HOST)):
        with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy\.ndarray'>"):  # CuPy's words
            mix()
    with pytest.raises(TypeError, match=r"NumPy cannot take an array of another device: use namespace\(x\)"):
        np.exp(there(HOST))
    with pytest.raises(TypeError, match=r"numpy\.sum cannot take an array of another device"):
        np.sum(there(HOST))


@pytest.mark.parametrize(
    "name", ["__array_interface__", "ctypes", "data", "setflags", "resize", "__array_wrap__", "to_device"]
)
def test_what_cupys_arrays_lack_is_missing(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{name}' is not among the attributes of CuPy's arrays"):
        getattr(there(HOST), name)


@pytest.mark.parametrize(
    "name",
    ["block", "object_", "errstate", "frompyfunc", "vecdot", "spacing", "insert", "nditer", "random", "geomspace"],
)
def test_what_cupy_lacks_is_missing(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{name}' is not among the names of cupy"):
        getattr(xp, name)


def test_a_type_that_asks_to_go_first_does() -> None:
    class Tensor:
        __array_priority__ = 1000

        def __radd__(self, left: Any) -> str:
            return f"radd of {type(left).__name__}"

    assert there(HOST) + Tensor() == "radd of StandinArray"


# ---- what waits ----

WAITS: dict[str, Any] = {
    "bool": lambda x: bool(x.sum()),
    "if": lambda x: 1 if x.sum() > 0 else 2,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "complex": lambda x: complex(x.sum()),
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "get": lambda x: x.get(),
    "asnumpy": lambda x: xp.asnumpy(x),
    "iteration": lambda x: list(x),
    "in": lambda x: 3 in x[0, 0],
    "repr": lambda x: repr(x),
    "format": lambda x: f"{x}",
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: xp.where(x > 3),
    "unique": lambda x: xp.unique(x),
    "mask read": lambda x: x[x > 3],
    "mask write": lambda x: x.__setitem__(x > 50, xp.zeros(0)),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_waiting_is_counted_and_can_be_forbidden(wait: Any) -> None:
    x = there(HOST)
    before = synchronisations()
    wait(x)
    assert synchronisations() > before
    with pytest.raises(SynchronisationError, match="makes the host wait for the device"), no_synchronisation():
        wait(x)
    wait(x)  # and is allowed again


def test_computing_does_not_wait() -> None:
    x, before = there(HOST), synchronisations()
    with no_synchronisation(), no_synchronisation():
        y = xp.where(x > 3, xp.exp(-x), 0).sum(axis=0)
        y[y > 3] = 0.0
        y += x[there(np.array([1])), :, 0].max()
        xp.add.at(y, (slice(None), there(np.array([0, 0]))), 1.0)
    assert synchronisations() == before


# ---- it is like CuPy ----


def _named(signature: inspect.Signature) -> list[str]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, parameter in signature.parameters.items() if parameter.kind not in variadic]


def test_the_lists_are_cupys() -> None:
    """CuPy can be imported and asked for its parameters without a card."""
    cupy = pytest.importorskip("cupy")
    for module, table in (
        (cupy, cupy_names.FUNCTIONS),
        (cupy, cupy_names.QUESTIONS),
        (cupy.linalg, cupy_names.LINALG),
        (cupy.lib.stride_tricks, cupy_names.STRIDE_TRICKS),
    ):
        for name, signature in cupy_names.listed(table):
            if isinstance(getattr(module, name), type(len)):
                continue  # NumPy's own, which CuPy hands on
            theirs, ours = _named(inspect.signature(getattr(module, name))), _named(signature)
            positions = iter(theirs)  # ours may leave some out, but keep the order
            assert all(parameter in positions for parameter in ours), (name, theirs)
    for name in (*cupy_names.UFUNCS, *cupy_names.VALUES):
        assert hasattr(cupy, name), name
    for name, _ in cupy_names.listed(cupy_names.METHODS):
        assert hasattr(cupy.ndarray, name), name
    for name in cupy_names.UFUNCS:
        assert isinstance(getattr(cupy, name), cupy.ufunc) or name == "matmul", name
    for name in vars(StandinArray):
        ours_alone = name.startswith("_") and name not in dir(object) and not name.startswith("__")
        own = {"__slots__", "__weakref__", "__getattr__", "__module__", "__annotations__", "__static_attributes__"}
        assert ours_alone or name in own or hasattr(cupy.ndarray, name), name
