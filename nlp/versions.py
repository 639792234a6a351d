"""What a run was computed with."""

from __future__ import annotations

import platform

import numpy

import minigrad

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """What computes: where all of it is the same, a run gives the same bytes."""
    from threadpoolctl import threadpool_info

    blas = [
        f"{one['internal_api']} {one.get('version')} {one.get('architecture', '')}"
        for one in threadpool_info()
        if one["user_api"] == "blas"
    ]
    return {
        "minigrad": minigrad.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "blas": ", ".join(sorted({one.strip() for one in blas})),
        "threads": str(minigrad.get_num_threads()),
    }
