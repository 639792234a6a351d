"""What CuPy has: the functions and parameters of CuPy 14 that the stand-in device lets through.

Taken from CuPy itself (`inspect.signature`).  A parameter that NumPy has and CuPy has not (`sum(initial=)`,
`take(mode=)`, `argsort(stable=)`) is missing here, and so is refused.  Whether a parameter may be left out is for NumPy
to say, which does the work.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# A parameter is told by its name: these are numbers, words or tuples of them, known on the host; those are arrays in a
# tuple or a list; any other is one array or number.
PLAIN = _words(
    """
    N M UPLO axes axis axis1 axis2 assume_unique atol bias casting compute_uv copy ddof decimals destination dimensions
    dtype endpoint equal_nan full_matrices invert indices_or_sections k keepdims kind kth kwargs max_work
    method minlength mode n nan neginf newshape num offset optimize ord order overwrite_input pad_width period posinf
    rcond repeats reps return_counts return_index return_inverse returned retstep rowvar rtol shape shapes
    shift side source start step stop strides subok tol window_shape
    """
)
SEQUENCES = _words("args arys choicelist condlist keys operands tup xi")

FUNCTIONS = """
all(a, axis, out, keepdims)                    any(a, axis, out, keepdims)
sum(a, axis, dtype, out, keepdims)             prod(a, axis, dtype, out, keepdims)
mean(a, axis, dtype, out, keepdims)            max(a, axis, out, keepdims)
amax(a, axis, out, keepdims)                   min(a, axis, out, keepdims)
amin(a, axis, out, keepdims)                   ptp(a, axis, out, keepdims)
std(a, axis, dtype, out, ddof, keepdims)       var(a, axis, dtype, out, ddof, keepdims)
argmax(a, axis, dtype, out, keepdims)          argmin(a, axis, dtype, out, keepdims)
nansum(a, axis, dtype, out, keepdims)          nanmax(a, axis, out, keepdims)
nanmin(a, axis, out, keepdims)                 count_nonzero(a, axis)
median(a, axis, out, overwrite_input, keepdims)
average(a, axis, weights, returned, *, keepdims)
quantile(a, q, axis, out, overwrite_input, method, keepdims)
cumsum(a, axis, dtype, out)                    cumprod(a, axis, dtype, out)
diff(a, n, axis, prepend, append)              trace(a, offset, axis1, axis2, dtype, out)
clip(a, a_min, a_max, out)                     round(a, decimals, out)
around(a, decimals, out)                       nan_to_num(x, copy, nan, posinf, neginf)
isclose(a, b, rtol, atol, equal_nan)           allclose(a, b, rtol, atol, equal_nan)
array_equal(a1, a2, equal_nan)                 array_equiv(a1, a2)
isposinf(x, out)                               isneginf(x, out)
real(val)                                      imag(val)
zeros(shape, dtype, order)                     zeros_like(a, dtype, order, subok, shape)
ones(shape, dtype, order)                      ones_like(a, dtype, order, subok, shape)
empty(shape, dtype, order)                     empty_like(prototype, dtype, order, subok, shape)
full(shape, fill_value, dtype, order)          full_like(a, fill_value, dtype, order, subok, shape)
arange(start, stop, step, dtype)               linspace(start, stop, num, endpoint, retstep, dtype, axis)
eye(N, M, k, dtype, order)                     identity(n, dtype)
tri(N, M, k, dtype)                            indices(dimensions, dtype)
tril(m, k)                                     triu(m, k)
tril_indices(n, k)                             triu_indices(n, k)
diag(v, k)                                     diagflat(v, k)
diagonal(a, offset, axis1, axis2)              meshgrid(*xi, **kwargs)
reshape(a, newshape, order, *, copy)           ravel(a, order)
transpose(a, axes)                             permute_dims(a, axes)
swapaxes(a, axis1, axis2)                      moveaxis(a, source, destination)
rollaxis(a, axis, start)                       matrix_transpose(x)
expand_dims(a, axis)                           squeeze(a, axis)
broadcast_to(array, shape)                     broadcast_arrays(*args)
atleast_1d(*arys)                              atleast_2d(*arys)
atleast_3d(*arys)                              copy(a, order)
concatenate(tup, axis, out, *, dtype, casting) concat(tup, axis, out, *, dtype, casting)
stack(tup, axis, out, *, dtype, casting)       hstack(tup, *, dtype, casting)
vstack(tup, *, dtype, casting)                 dstack(tup)
column_stack(tup)                              append(arr, values, axis)
split(ary, indices_or_sections, axis)          array_split(ary, indices_or_sections, axis)
hsplit(ary, indices_or_sections)               vsplit(ary, indices_or_sections)
tile(A, reps)                                  repeat(a, repeats, axis)
flip(a, axis)                                  fliplr(a)
flipud(a)                                      roll(a, shift, axis)
rot90(a, k, axes)                              pad(array, pad_width, mode, **kwargs)
select(condlist, choicelist, default)
copyto(dst, src, casting, where)               putmask(a, mask, values)
fill_diagonal(a, val)                          ascontiguousarray(a, dtype)
asfortranarray(a, dtype)                       nonzero(a)
flatnonzero(a)                                 argwhere(a)
extract(condition, a)                          compress(condition, a, axis, out)
sort(a, axis, kind)                            argsort(a, axis, kind)
partition(a, kth, axis)                        argpartition(a, kth, axis)
lexsort(keys)                                  searchsorted(a, v, side, sorter)
digitize(x, bins, right)                       isin(element, test_elements, assume_unique, invert)
unique(ar, return_index, return_inverse, return_counts, axis, *, equal_nan)
bincount(x, weights, minlength)                interp(x, xp, fp, left, right, period)
dot(a, b, out)                                 vdot(a, b)
inner(a, b)                                    outer(a, b, out)
kron(a, b)                                     tensordot(a, b, axes)
einsum(*operands, **kwargs)                    convolve(a, v, mode)
cov(a, y, rowvar, bias, ddof, fweights, aweights, *, dtype)
"""

LINALG = """
norm(x, ord, axis, keepdims)                   inv(a)
pinv(a, rcond)                                 det(a)
slogdet(a)                                     solve(a, b)
lstsq(a, b, rcond)                             cholesky(a)
qr(a, mode)                                    svd(a, full_matrices, compute_uv)
eigh(a, UPLO)                                  eigvalsh(a, UPLO)
"""

# These answer on the host, about shapes, dtypes and memory.
QUESTIONS = """
shape(a)                                       ndim(a)
size(a, axis)                                  isscalar(element)
iscomplexobj(x)                                isrealobj(x)
broadcast_shapes(*shapes)                      may_share_memory(a, b, max_work)
shares_memory(a, b, max_work)
"""

STRIDE_TRICKS = """
as_strided(x, shape, strides)                  sliding_window_view(x, window_shape, axis)
"""

METHODS = """
all(axis, out, keepdims)                       any(axis, out, keepdims)
sum(axis, dtype, out, keepdims)                prod(axis, dtype, out, keepdims)
mean(axis, dtype, out, keepdims)               ptp(axis, out, keepdims)
max(axis, out, keepdims)                       min(axis, out, keepdims)
std(axis, dtype, out, ddof, keepdims)          var(axis, dtype, out, ddof, keepdims)
argmax(axis, out, dtype, keepdims)             argmin(axis, out, dtype, keepdims)
cumsum(axis, dtype, out)                       cumprod(axis, dtype, out)
astype(dtype, order, casting, subok, copy)     copy(order)
view(dtype)                                    fill(value)
reshape(*shape, **kwargs)                      ravel(order)
flatten(order)                                 transpose(*axes)
swapaxes(axis1, axis2)                         squeeze(axis)
diagonal(offset, axis1, axis2)                 trace(offset, axis1, axis2, dtype, out)
repeat(repeats, axis)                          round(decimals, out)
sort(axis, kind)                               argsort(axis, kind)
partition(kth, axis)                           argpartition(kth, axis)
searchsorted(v, side, sorter)                  nonzero()
dot(b, out)                                    conj()
conjugate()                                    clip(min, max, out)
"""

# Their results have a shape that hangs on values, or they read a value on their way.
WAITING = _words("nonzero flatnonzero argwhere extract compress unique bincount lstsq")

UFUNCS = _words("""
abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or bitwise_xor cbrt ceil
conj conjugate copysign cos cosh deg2rad degrees divide divmod equal exp exp2 expm1 fabs float_power floor
floor_divide fmax fmin fmod frexp gcd greater greater_equal heaviside hypot invert isfinite isinf isnan lcm ldexp
left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor
matmul maximum minimum mod modf multiply negative nextafter not_equal positive power rad2deg radians reciprocal
remainder right_shift rint sign signbit sin sinh sqrt square subtract tan tanh true_divide trunc
""")

# ufunc.at, and the dtypes for which CUDA has the atomic operation.
SCATTERS = {"add": "eiILQfdFD", "subtract": "eiILQfdFD", "maximum": "iILQfd", "minimum": "iILQfd"}

VALUES = _words("""
bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp uintp float16 float32 float64 complex64 complex128
dtype generic number integer signedinteger unsignedinteger inexact floating complexfloating finfo iinfo issubdtype
can_cast promote_types inf nan pi e euler_gamma newaxis ndindex
""")


def listed(table: str) -> Iterator[tuple[str, inspect.Signature]]:
    """The entries of a table, each a name and its parameters."""
    for entry in table.replace(")", ")\n").splitlines():
        name, _, parameters = entry.strip().partition("(")
        if name:
            yield name, _signature(parameters.removesuffix(")"))


def _signature(parameters: str) -> inspect.Signature:
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    built = []
    for name in filter(None, parameters.split(", ")):
        if name == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif name.startswith("**"):
            built.append(inspect.Parameter(name[2:], inspect.Parameter.VAR_KEYWORD))
        elif name.startswith("*"):
            built.append(inspect.Parameter(name[1:], inspect.Parameter.VAR_POSITIONAL))
        else:
            built.append(inspect.Parameter(name, kind, default=None))
    return inspect.Signature(built)
