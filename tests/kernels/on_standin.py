"""What a kernel gave on the stand-in device, beside what it should have given."""

import numpy as np

from minigrad.backend import to_host
from minigrad.testing import standin


def leaves(tree):
    """What is in nested tuples and lists, in order."""
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, list | tuple) else [tree]


def assert_same(found, wanted, *, rtol=1e-6, atol=1e-7):
    """The same numbers, dtypes and shapes, on the stand-in device; None where None is wanted."""
    for a, b in zip(leaves(found), leaves(wanted), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert type(a) is standin.StandinArray
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(to_host(a), b, rtol=rtol, atol=atol)
