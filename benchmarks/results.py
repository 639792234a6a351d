"""What was measured: as a table for a terminal, as JSON, and as the picture that the README shows."""

from __future__ import annotations

import datetime
import json
import math
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.growth import HEADER as GROWTH_HEADER
from benchmarks.growth import Growth
from benchmarks.table import GROUPS
from benchmarks.timing import Comparison


@dataclass
class Measured:
    """One row: beside PyTorch, and beside its own matrix products where these are most of it."""

    group: str
    beside_torch: Comparison
    flops: int = 0
    beside_floor: Comparison | None = None

    def line(self) -> str:
        """One line of the table."""
        one = self.beside_torch
        times = f"{one.name:48s}{one.ours * 1e3:10.3f}{one.theirs * 1e3:10.3f}"
        text = f"{times}{one.ratio:8.2f}   {one.low:.2f}-{one.high:.2f}"
        if self.beside_floor is not None:
            floor = self.beside_floor
            rates = [self.flops / seconds / 1e9 for seconds in (one.ours, one.theirs, floor.theirs)]
            text += f"   {floor.ratio:5.2f} x floor; GFLOP/s {rates[0]:.0f}, {rates[1]:.0f}, floor {rates[2]:.0f}"
        return text


HEADER = f"{'work':48s}{'ours ms':>10s}{'torch ms':>10s}{'ratio':>8s}   quartiles"


@dataclass
class Results:
    """All of a run."""

    threads: int
    rows: list[Measured] = field(default_factory=list)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)  # peak bytes, ours and PyTorch's
    separate: dict[str, float] = field(default_factory=dict)  # ratios from separate processes
    growth: list[Growth] = field(default_factory=list)
    peers: list[Comparison] = field(default_factory=list)

    def of_group(self, name: str) -> list[Measured]:
        """The rows of one group."""
        return [one for one in self.rows if one.group == name]

    def summary(self) -> list[str]:
        """A line for each target: what it came to."""
        lines = []
        for name, group in GROUPS.items():
            rows = self.of_group(name)
            if not rows:
                continue
            ratios = [one.beside_torch.ratio for one in rows]
            value = max(ratios) if group.each else _mean(ratios)
            lines.append(_verdict(group.name, value, group.target))
            alone = {row.name: row.alone for row in group.rows if row.alone is not None}
            for one in [one.beside_torch for one in rows if one.beside_torch.name in alone]:
                lines.append(_verdict(f"{group.name}: {one.name}", one.ratio, alone[one.name]))
            if group.floor_target is not None:
                over = [one.beside_floor.ratio for one in rows if one.beside_floor is not None]
                lines.append(_verdict(f"{group.name}, over its floor", _mean(over), group.floor_target))
        if self.memory:
            lines.append(_verdict("peak memory", _mean([ours / theirs for ours, theirs in self.memory.values()]), 0.80))
        return lines

    def text(self) -> str:
        """The parts that are not printed row by row while they are measured."""
        parts = []
        if self.memory:
            parts += ["", f"{'peak memory over that after import':48s}{'ours MiB':>10s}{'torch MiB':>10s}{'ratio':>8s}"]
            parts += [
                f"{name:48s}{ours / 2**20:10.1f}{theirs / 2**20:10.1f}{ours / theirs:8.2f}"
                for name, (ours, theirs) in self.memory.items()
            ]
        if self.separate:
            parts += ["", f"{'in separate processes':48s}{'ratio':>8s}"]
            parts += [f"{name:48s}{ratio:8.2f}" for name, ratio in self.separate.items()]
        if self.growth:
            parts += ["", GROWTH_HEADER, *[one.row() for one in self.growth]]
        if self.peers:
            parts += ["", "minigrad over other engines"]
            parts += [
                f"{one.name:48s}{one.ours * 1e3:10.3f}{one.theirs * 1e3:10.3f}{one.ratio:8.2f}" for one in self.peers
            ]
        return "\n".join([*parts, "", "geometric means, and targets", *self.summary()])

    def save(self, path: Path) -> None:
        """As JSON, with machine, versions and date."""
        path.write_text(json.dumps(self._plain(), indent=1) + "\n")

    def _plain(self) -> dict[str, Any]:
        rows = []
        for one in self.rows:
            row = {"group": one.group, **asdict(one.beside_torch)}
            if one.beside_floor is not None:
                row |= {"floor": one.beside_floor.theirs, "over_floor": one.beside_floor.ratio, "flops": one.flops}
            rows.append(row)
        return {
            **setting(self.threads),
            "rows": rows,
            "memory": {name: {"ours": ours, "torch": theirs} for name, (ours, theirs) in self.memory.items()},
            "separate": self.separate,
            "growth": [{**asdict(one), "exponent": one.exponent, "demanded": one.demanded} for one in self.growth],
            "peers": [asdict(one) for one in self.peers],
        }

    def draw(self, path: Path) -> None:
        """A bar for each row, from 1, where PyTorch is, to its ratio; a thin line between the quartiles."""
        from matplotlib.figure import Figure

        rows = self.rows[::-1]
        figure = Figure(figsize=(9, 0.27 * len(rows) + 1.2), layout="constrained")
        axes = figure.add_subplot()
        for place, one in enumerate(rows):
            ratio, target = one.beside_torch.ratio, GROUPS[one.group].target
            axes.barh(place, ratio - 1, left=1, color="#3b76af" if ratio <= 1 else "#c0603e", height=0.7)
            if target is not None:
                axes.plot([target, target], [place - 0.42, place + 0.42], color="black", linewidth=1.2)
            axes.plot([one.beside_torch.low, one.beside_torch.high], [place, place], color="#444444", linewidth=1)
        axes.axvline(1, color="gray", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [one.beside_torch.name.strip() for one in rows], fontsize=8)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xscale("log", base=2)  # half the time and twice the time are equally far from 1
        axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
        axes.set_xlabel("time of minigrad over that of PyTorch (grey line); black: our targets", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)


def setting(threads: int) -> dict[str, Any]:
    """Where and with what it was measured."""
    import numpy
    import torch

    import minigrad

    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "threads": threads,
        "python": platform.python_version(),
        "minigrad": minigrad.__version__,
        "numpy": numpy.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "torch": torch.__version__,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _verdict(name: str, value: float, target: float | None) -> str:
    if target is None:
        return f"  {name:52s} {value:5.2f}"
    return f"  {name:52s} {value:5.2f}   target {target:.2f}   {'reached' if value <= target else 'missed'}"
