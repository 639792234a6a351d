"""What the properties found in the package, kept as single calls."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad import primitive, tensor
from minigrad.backend import Array
from minigrad.testing import OpSpec, check_case


@pytest.mark.parametrize("number", np.linspace(0.25, 3, 45))
def test_backward_and_create_graph_raise_a_0d_result_to_a_power_alike(number: float) -> None:
    # On arrays a 0-d sum was a NumPy scalar, whose power differs from an array's in the last bit.
    settings = {"dim": None, "keepdim": False, "p": 2.5}
    check_case(OpSpec("norm_p"), "gradient_is_numeric", inputs=[np.array([number])], settings=settings)


def test_an_error_of_numpys_own_kind_keeps_its_message() -> None:
    # NumPy's casting errors take more than a message, and could not be made anew with the op's name in front.
    @primitive
    def rounded_into_whole_numbers(input: Array) -> Array:
        return np.add(input, 0.5, out=np.zeros(input.shape, np.int64))

    with pytest.raises(TypeError, match=r"^rounded_into_whole_numbers\(float32\[2\]\): Cannot cast ufunc 'add' output"):
        rounded_into_whole_numbers(tensor([1.0, 2.0]))
