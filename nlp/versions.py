"""What a run was computed with."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy

import minigrad

__all__ = ["circumstances", "versions"]


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


def circumstances() -> dict[str, Any]:
    """All that tells how something came about: the versions, the machine, and the date and time in UTC."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"versions": versions(), "machine": _machine(), "date": now}


def _machine() -> dict[str, Any]:
    """The processor by its maker's name, and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": _processor(), "cores": cores, "system": platform.system()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # of Linux, where `platform` knows no name
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
