"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from minigrad.core.tensor import Tensor
from minigrad.ops.joining import cat


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements one after the other, (n): a result in the graph, so that gradients flow back to the parameters."""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make the parameters views of consecutive parts of `vec` (n).

    Raises RuntimeError where the vector has not exactly as many elements as the parameters.
    """
    parameters = list(parameters)
    wanted = sum(parameter.numel() for parameter in parameters)
    if tuple(vec.shape) != (wanted,):
        raise RuntimeError(f"the parameters have {wanted} elements, and the vector's shape is {tuple(vec.shape)}")
    start, values = 0, vec.detach()
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = values[start:stop].reshape(parameter.shape)
        start = stop
