"""What every primitive should compute: one OpSpec each, by file as in `minigrad/ops`."""

from minigrad.testing import OpSpec

from . import (
    arithmetic,
    comparison,
    conversion,
    elementwise,
    engine,
    fused,
    indexing,
    linalg,
    nn,
    reduction,
    shape,
    softmax,
)

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
