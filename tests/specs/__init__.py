"""What every op should compute: one OpSpec each.

`SPECS` are of the primitives, by file as in `minigrad/ops`. `PUBLIC` are of the public functions made of primitives,
by name: "cat" is `minigrad.cat`, "Tensor.view" a method without a function, "F.elu" of `minigrad.nn.functional`. A
function with overloads has a spec for each, told apart behind a slash: "max/dim".
"""

from minigrad.testing import OpSpec

from . import (
    arithmetic,
    comparison,
    conversion,
    elementwise,
    engine,
    functional,
    functional_activation,
    functional_loss,
    fused,
    indexing,
    linalg,
    nn,
    public_indexing,
    public_linalg,
    public_reduction,
    public_shape,
    reduction,
    shape,
    softmax,
)
from .calls import Call, unwrapped

SPECS: list[OpSpec] = [
    spec
    for module in (
        engine,
        arithmetic,
        elementwise,
        comparison,
        reduction,
        shape,
        indexing,
        conversion,
        linalg,
        softmax,
        fused,
        nn,
    )
    for spec in module.SPECS
]

PUBLIC: dict[str, OpSpec] = {
    **public_shape.PUBLIC,
    **public_indexing.PUBLIC,
    **public_reduction.PUBLIC,
    **public_linalg.PUBLIC,
    **functional_activation.ACTIVATIONS,
    **functional.FUNCTIONAL,
    **functional_loss.LOSSES,
}

__all__ = ["PUBLIC", "SPECS", "Call", "unwrapped"]
