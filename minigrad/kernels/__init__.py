"""The work under the ops: functions on raw arrays, the same names for every kind of array.

Read `reference` first: it says what each kernel computes, in plain array functions. `cpu` says it again for NumPy,
arranged for caches and threads; `cuda` for CuPy. `of(array)` picks the module, and nothing above this package looks at
a device.
"""

from types import ModuleType

import numpy

from minigrad.kernels import cpu, reference
from minigrad.kernels.common import Array


def of(array: Array) -> ModuleType:
    """The kernels for this array: `cpu` for NumPy's, `cuda` for CuPy's, `reference` for any other array type."""
    if isinstance(array, numpy.ndarray | numpy.generic):
        return cpu
    if type(array).__module__.partition(".")[0] == "cupy":
        from minigrad.kernels import cuda  # imports CuPy, which is there: the array is one of its own

        return cuda
    return reference
