"""Where the boxes go: rows from the leaves down to the results, after Sugiyama, Tagawa and Toda (1981).

1. Each box gets a row: one below the lowest it depends on (longest paths). Leaves go to just above their first use.
2. A wire that crosses rows gets a lane in each, an invisible box, so that no wire runs through a box. A label stands
   in a lane of its own, so that none covers anything.
3. Each row is put in order: by turns downwards and upwards, every box goes to the mean place of its neighbours in the
   row before; the order with the fewest crossings is kept.
4. In that order each row is moved towards its neighbours, as close as its boxes may come to each other: least squares
   under a constraint of order, solved exactly by pooling neighbours that would collide (isotonic regression). Leaves
   make way: what is computed stands below what it is computed from, and its leaves beside that.

All sizes are in pixels.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP = 26.0  # between neighbours in a row
ROWS = 30.0  # between rows, at least
LANE = 8.0  # the width of a wire's lane
LABEL_HEIGHT = 16.0
MARGIN = 14.0
SWEEPS = 10
LIGHT = 1e-4  # how much a leaf holds on to its place: a hundred leaves move a box by less than a pixel

Point = tuple[float, float]


@dataclass
class Spot:
    """A box or a lane in its row; x is the middle, y the upper edge."""

    width: float
    height: float
    row: int = 0
    x: float = 0.0
    y: float = 0.0
    light: bool = False  # a leaf, or the lane of a wire from one
    above: list[int] = field(default_factory=list)  # neighbours in the row before, and in the row after
    below: list[int] = field(default_factory=list)


@dataclass
class Path:
    """A wire as the points it goes through; downwards, also if it is `upwards`, when its arrow is at the beginning."""

    points: list[Point]
    upwards: bool
    label: Point | None  # the middle of the label


@dataclass
class Layout:
    """Places for everything: `spots` of the boxes, `paths` of the wires, None for a wire from a box to itself."""

    spots: list[Spot]
    paths: list[Path | None]
    width: float
    height: float


@dataclass(frozen=True)
class Arc:
    """A wire as the layout sees it: two boxes, and the width of its label, 0 without one."""

    source: int
    target: int
    label: float


def lay_out(sizes: Sequence[tuple[float, float]], arcs: Sequence[Arc], free: Sequence[bool]) -> Layout:
    """Places for boxes of these (width, height), numbered so that arcs lead to later ones except where they go back.

    `free` says which boxes, the leaves, stand just above their first use, not as high as they can, and beside the
    others.
    """
    spots = [Spot(width, height, light=light) for (width, height), light in zip(sizes, free)]
    _assign_rows(spots, arcs, free)
    chains = [None if arc.source == arc.target else _add_lanes(spots, arc) for arc in arcs]
    rows: list[list[int]] = [[] for _ in range(1 + max(spot.row for spot in spots))]
    for number, spot in enumerate(spots):
        rows[spot.row].append(number)
    _order_rows(spots, rows)
    _place_across(spots, rows)
    height = _place_down(spots, rows)
    left = min(spot.x - spot.width / 2 for spot in spots) - MARGIN
    for spot in spots:
        spot.x -= left
    width = max(spot.x + spot.width / 2 for spot in spots) + MARGIN
    return Layout(spots[: len(sizes)], _paths(spots, arcs, chains), width, height)


# ---- 1 and 2: rows and lanes ----------------------------------------------------------------------------------------


def _assign_rows(spots: list[Spot], arcs: Sequence[Arc], free: Sequence[bool]) -> None:
    down: list[list[tuple[int, int]]] = [[] for _ in spots]
    for arc in arcs:
        if arc.source != arc.target:
            # A label needs a row of its own to stand in, and a wire that goes back one to keep away from the others.
            length = 2 if arc.label or arc.source > arc.target else 1
            down[min(arc.source, arc.target)].append((max(arc.source, arc.target), length))
    for number, spot in enumerate(spots):
        for lower, length in down[number]:
            spots[lower].row = max(spots[lower].row, spot.row + length)
    for number in reversed(range(len(spots))):
        if free[number] and down[number]:
            spots[number].row = min(spots[lower].row - length for lower, length in down[number])


def _add_lanes(spots: list[Spot], arc: Arc) -> list[int]:
    """The boxes and lanes that a wire goes through, from its upper end to its lower."""
    upper, lower = min(arc.source, arc.target), max(arc.source, arc.target)
    chain = [upper]
    rows = range(spots[upper].row + 1, spots[lower].row)
    labelled = rows[0 if arc.source < arc.target else -1] if arc.label else None  # near to where the data comes from
    for row in rows:
        chain.append(len(spots))
        spots.append(Spot(LANE + arc.label, LABEL_HEIGHT, row) if row == labelled else Spot(LANE, 0.0, row))
        spots[-1].light = spots[arc.source].light
    chain.append(lower)
    for first, second in pairwise(chain):
        spots[first].below.append(second)
        spots[second].above.append(first)
    return chain


# ---- 3: the order in a row ------------------------------------------------------------------------------------------


def _order_rows(spots: list[Spot], rows: list[list[int]]) -> None:
    index = [0.0] * len(spots)  # where a box stands in its row, between 0 and 1
    _note_order(rows, index)
    best, fewest = [list(row) for row in rows], _crossings(spots, rows, index)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            means = {number: _mean(_towards(spots[number], downwards), index, index[number]) for number in row}
            row.sort(key=means.__getitem__)
            _note_order([row], index)
        count = _crossings(spots, rows, index)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    rows[:] = best


def _note_order(rows: Sequence[Sequence[int]], index: list[float]) -> None:
    for row in rows:
        for place, number in enumerate(row):
            index[number] = (place + 0.5) / len(row)


def _towards(spot: Spot, downwards: bool) -> list[int]:
    """The neighbours on the side that the sweep comes from; of the other side where there are none."""
    return (spot.above or spot.below) if downwards else (spot.below or spot.above)


def _mean(neighbours: Sequence[int], where: Sequence[float], otherwise: float) -> float:
    return sum(where[one] for one in neighbours) / len(neighbours) if neighbours else otherwise


def _crossings(spots: Sequence[Spot], rows: Sequence[Sequence[int]], index: Sequence[float]) -> int:
    """How many pairs of wires cross: inversions, counted while the wires' lower ends are inserted in order."""
    count = 0
    for row in rows:
        ends: list[float] = []
        for number in row:
            below = sorted(index[other] for other in spots[number].below)
            count += sum(len(ends) - bisect_right(ends, end) for end in below)
            for end in below:
                insort(ends, end)
    return count


# ---- 4: places ------------------------------------------------------------------------------------------------------


def _place_across(spots: list[Spot], rows: Sequence[Sequence[int]]) -> None:
    places = [0.0] * len(spots)
    for row in rows:
        offsets = _offsets(spots, row)
        for number, offset in zip(row, offsets):
            places[number] = offset - offsets[-1] / 2
    pulls = [[_heavy(spots, _towards(spot, downwards)) for spot in spots] for downwards in (False, True)]
    for sweep in range(2 * SWEEPS + 1):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wanted = [_mean(pulls[downwards][number], places, places[number]) for number in row]
            weights = [_weight(spots[number]) for number in row]
            for number, x in zip(row, _apart(wanted, weights, _offsets(spots, row))):
                places[number] = x
    for spot, x in zip(spots, places):
        spot.x = x


def _heavy(spots: Sequence[Spot], neighbours: list[int]) -> list[int]:
    """The neighbours that a box goes to: its leaves follow it, not it them."""
    return [one for one in neighbours if not spots[one].light] or neighbours


def _weight(spot: Spot) -> float:
    """A lane holds on to its place more than a box does: long wires are straight."""
    return (4.0 if spot.width == LANE else 1.0) * (LIGHT if spot.light else 1.0)


def _offsets(spots: Sequence[Spot], row: Sequence[int]) -> list[float]:
    """How far to the right of the row's first box each must stand at least."""
    result = [0.0]
    for left, right in pairwise(row):
        lanes = (spots[left].width == LANE) + (spots[right].width == LANE)
        result.append(result[-1] + (spots[left].width + spots[right].width) / 2 + GAP / (1 + lanes))
    return result


def _apart(wanted: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones at which neighbours are as far apart as `offsets` say.

    Less the offsets the places must only not decrease: whenever one would, it is pooled with those before it, which
    all stand at their weighted mean.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for place, weight, offset in zip(wanted, weights, offsets):
        mean, count = place - offset, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, count + many
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets)]


def _place_down(spots: list[Spot], rows: Sequence[Sequence[int]]) -> float:
    """Set every y; the height of it all comes back. Rows whose wires lead far to the side stand further apart."""
    y = MARGIN
    for row in rows:
        height = max(spots[number].height for number in row)
        for number in row:
            spots[number].y = y + (height - spots[number].height) / 2
        across = max((abs(spots[one].x - spots[number].x) for number in row for one in spots[number].below), default=0)
        y += height + (min(ROWS + 0.08 * across, 3 * ROWS) if row is not rows[-1] else MARGIN)
    return y


# ---- the wires ------------------------------------------------------------------------------------------------------


def _paths(spots: Sequence[Spot], arcs: Sequence[Arc], chains: Sequence[list[int] | None]) -> list[Path | None]:
    """The points of every wire; a box's wires begin and end side by side, in the order of where they lead."""
    leaving: dict[int, list[tuple[float, int]]] = {}
    arriving: dict[int, list[tuple[float, int]]] = {}
    for number, chain in enumerate(chains):
        if chain is not None:
            leaving.setdefault(chain[0], []).append((spots[chain[1]].x, number))
            arriving.setdefault(chain[-1], []).append((spots[chain[-2]].x, number))
    begins = _ports(spots, leaving)
    ends = _ports(spots, arriving)
    bottoms = {spot.row: 0.0 for spot in spots}
    tops = dict.fromkeys(bottoms, float("inf"))
    for spot in spots:
        bottoms[spot.row] = max(bottoms[spot.row], spot.y + spot.height)
        tops[spot.row] = min(tops[spot.row], spot.y)
    paths: list[Path | None] = []
    for number, (arc, chain) in enumerate(zip(arcs, chains)):
        if chain is None:
            paths.append(None)
            continue
        upper, lower = spots[chain[0]], spots[chain[-1]]
        points = [(begins[number], upper.y + upper.height)]
        if bottoms[upper.row] > points[0][1]:
            points.append((begins[number], bottoms[upper.row]))
        label = None
        for lane in (spots[one] for one in chain[1:-1]):
            x = lane.x
            if lane.height:  # a label, to the right of its wire
                x -= (lane.width - LANE) / 2
                label = (lane.x + LANE / 2, lane.y + lane.height / 2)
            points += [(x, tops[lane.row]), (x, bottoms[lane.row])]
        if tops[lower.row] < lower.y:
            points.append((ends[number], tops[lower.row]))
        points.append((ends[number], lower.y))
        paths.append(Path(points, arc.source > arc.target, label))
    return paths


def _ports(spots: Sequence[Spot], wires: dict[int, list[tuple[float, int]]]) -> dict[int, float]:
    """Where along the edge of its box each wire is attached."""
    result: dict[int, float] = {}
    for box, attached in wires.items():
        spot, count = spots[box], len(attached)
        step = min(spot.width / (count + 1), 22.0)
        for place, (_, number) in enumerate(sorted(attached)):
            result[number] = spot.x + (place - (count - 1) / 2) * step
    return result
