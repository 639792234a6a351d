"""The picture as SVG: boxes, wires and text, nothing that needs a style sheet, a script or a font of its own.

The colours stand on white and on black: boxes bring their own ground, wires and labels are of a middle tone. Text is in
a fixed-width font, whose width is known without measuring.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from minigrad.study.graph import TIMES, Box, Kind, Link
from minigrad.study.layout import Arc, Path, Point, lay_out

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
TITLE, TEXT = 13.0, 11.0  # font sizes, in pixels
_WIDTH = 0.602  # of a character in a fixed-width font, in its size
_LONGEST = 44  # characters; the rest is in the tooltip
_LOOP = 26.0  # how far a wire from a box to itself reaches out
_LOOP_HEIGHT = 20.0  # of each of several
_ASIDE = 8.0  # between a wire and its label
_STACK = 4.0  # how far the cards of a repeated box look out
_INK, _WIRE, _CARRIED = "#1b2330", "#7d8896", "#b8762a"

# Ground and border of each kind of box.
COLOURS: dict[Kind, tuple[str, str]] = {
    "leaf": ("#dcf0e2", "#3f8f5f"),
    "leaves": ("#dcf0e2", "#3f8f5f"),
    "data": ("#edf0f3", "#8b95a3"),
    "op": ("#e4ebfa", "#5a78bd"),
    "module": ("#eae3f8", "#7e5fb5"),
    "result": ("#fbe9c9", "#bd8a2b"),
}


@dataclass(frozen=True)
class Frame:
    """A box's rectangle, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def to_svg(boxes: Sequence[Box], links: Sequence[Link]) -> str:
    """The whole picture."""
    loops: dict[int, list[Link]] = {number: [] for number in range(len(boxes))}
    for link in links:
        if link.source == link.target:
            loops[link.source].append(link)
    sizes = [_size(box, loops[number]) for number, box in enumerate(boxes)]
    arcs = [Arc(link.source, link.target, _wide(link.label, TEXT) + _ASIDE if link.label else 0) for link in links]
    free = [box.kind in ("leaf", "leaves", "data") for box in boxes]
    layout = lay_out(sizes, arcs, free)
    cards: list[str] = []
    parts: list[str] = []
    for number, (box, spot) in enumerate(zip(boxes, layout.spots)):
        reach = _reach(loops[number])
        frame = Frame(spot.x - spot.width / 2 + reach, spot.y, spot.width - 2 * reach, spot.height)
        if box.times > 1:
            cards += [_rectangle(box, frame, 2 * _STACK, 0.45), _rectangle(box, frame, _STACK, 0.7)]
        parts.append(_box(box, frame))
        parts += _loops(frame, loops[number])
    # Wires run over the cards behind a box, and end at the box.
    wires = [_wire(path, link) for path, link in zip(layout.paths, links) if path is not None]
    width, height = f"{layout.width:.0f}", f"{layout.height:.0f}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" aria-label="computation graph" font-family="{FONT}">',
            *cards,
            *wires,
            *parts,
            "</svg>\n",
        ]
    )


# ---- text -----------------------------------------------------------------------------------------------------------


def _columns(text: str) -> int:
    """How many characters wide a text is; those of Chinese, Japanese and Korean count twice."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _wide(text: str, size: float) -> float:
    return _columns(text) * size * _WIDTH


def _short(text: str) -> str:
    text = _one_line(text)
    if _columns(text) <= _LONGEST:
        return text
    while _columns(text) >= _LONGEST:
        text = text[:-1]
    return text + "…"


def _one_line(text: str) -> str:
    return " ".join(_clean(text).split()) if "\n" in text or "\t" in text else _clean(text)


def _clean(text: str) -> str:
    """Without the control characters that XML has no way to write."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "�", text)


def _text(x: float, y: float, text: str, size: float, colour: str = _INK, more: str = "") -> str:
    """Centred at x. The width is said as well, so that no font makes a text wider than its box."""
    spaces_kept = escape(text).replace(" ", "\u00a0")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="middle" '
        f'textLength="{_wide(text, size):.1f}" lengthAdjust="spacingAndGlyphs"{more}>{spaces_kept}</text>'
    )


# ---- boxes ----------------------------------------------------------------------------------------------------------


def _badge(box: Box) -> str:
    return f"{TIMES} {box.times}" if box.times > 1 else ""


def _size(box: Box, loops: Sequence[Link]) -> tuple[float, float]:
    title = _wide(_short(box.title), TITLE) + (_wide(_badge(box), TEXT) + 10 if box.times > 1 else 0)
    widest = max([title, *(_wide(_short(line), TEXT) for line in box.lines)])
    width = max(widest + 22, 52) + 2 * _reach(loops)
    return width, max(25 + 15 * len(box.lines) + (3 if box.lines else 0), _LOOP_HEIGHT * len(loops))


def _rectangle(box: Box, frame: Frame, shift: float = 0, opacity: float = 1) -> str:
    ground, border = COLOURS[box.kind]
    corner = 6 if box.kind in ("op", "module") else 14
    dash = ' stroke-dasharray="4 3"' if box.kind == "data" else ""
    return (
        f'<rect x="{frame.x + shift:.1f}" y="{frame.y - shift:.1f}" width="{frame.width:.1f}" '
        f'height="{frame.height:.1f}" rx="{corner}" fill="{ground}" stroke="{border}" stroke-width="1.3" '
        f'opacity="{opacity:g}"{dash}/>'
    )


def _box(box: Box, frame: Frame) -> str:
    middle = frame.x + frame.width / 2
    title, badge = _short(box.title), _badge(box)
    parts = ["<g>", f"<title>{escape(_clean(box.tip or box.title))}</title>", _rectangle(box, frame)]
    room = _wide(badge, TEXT) + 10 if badge else 0.0
    parts.append(_text(middle - room / 2, frame.y + 17, title, TITLE, more=' font-weight="600"'))
    if badge:
        x = middle + (_wide(title, TITLE) + 10) / 2
        parts.append(_text(x, frame.y + 17, badge, TEXT, _CARRIED))
    lines = [_short(line) for line in box.lines]
    longest = max((_wide(line, TEXT) for line in lines), default=0.0)
    for place, line in enumerate(lines):
        listed = (longest - _wide(line, TEXT)) / 2 if box.kind == "leaves" else 0.0  # flush left: they are columns
        parts.append(_text(middle - listed, frame.y + 33 + 15 * place, line, TEXT))
    return "\n".join([*parts, "</g>"])


# ---- wires ----------------------------------------------------------------------------------------------------------


def _wire(path: Path, link: Link) -> str:
    colour = _CARRIED if link.carried else _WIRE
    dash = ' stroke-dasharray="6 4"' if link.carried else ""
    points = path.points
    # The line ends where its arrow begins, so that the tip stays sharp.
    if path.upwards:
        tip, points = points[0], [(points[0][0], points[0][1] + 6), *points[1:]]
    else:
        tip, points = points[-1], [*points[:-1], (points[-1][0], points[-1][1] - 6)]
    parts = [f'<path d="{_curve(points)}" fill="none" stroke="{colour}" stroke-width="1.4"{dash}/>']
    parts.append(_arrow(tip, 6 if path.upwards else -6, colour))
    if path.label is not None:
        parts.append(_text(path.label[0] + _ASIDE / 2, path.label[1] + 4, link.label, TEXT, colour))
    return "\n".join(parts)


def _curve(points: Sequence[Point]) -> str:
    """Straight down within a row, and curved from row to row."""
    x, y = points[0]
    steps = [f"M{x:.1f},{y:.1f}"]
    for next_x, next_y in points[1:]:
        middle = (y + next_y) / 2
        straight = abs(next_x - x) < 0.5
        curve = f"C{x:.1f},{middle:.1f} {next_x:.1f},{middle:.1f} {next_x:.1f},{next_y:.1f}"
        steps.append(f"L{next_x:.1f},{next_y:.1f}" if straight else curve)
        x, y = next_x, next_y
    return " ".join(steps)


def _arrow(tip: Point, back: float, colour: str) -> str:
    x, y = tip
    return f'<path d="M{x:.1f},{y:.1f} l-3.6,{back:g} l7.2,0 z" fill="{colour}"/>'


def _reach(loops: Sequence[Link]) -> float:
    """The room a box with wires to itself needs on its right, and for the sake of its middle on its left."""
    return max((_LOOP + (_wide(link.label, TEXT) + 4 if link.label else 0) for link in loops), default=0)


def _loops(frame: Frame, links: Sequence[Link]) -> list[str]:
    """The wires from a box to itself, one below the other."""
    height = frame.height / max(len(links), 1)
    return [
        _loop(Frame(frame.x, frame.y + place * height, frame.width, height), link) for place, link in enumerate(links)
    ]


def _loop(frame: Frame, link: Link) -> str:
    """A wire from a box to itself, from the lower right corner of its part of the box around to the upper right one."""
    right = frame.x + frame.width
    upper, lower = frame.y + frame.height * 0.25, frame.y + frame.height * 0.75
    out = right + _LOOP * 1.1
    parts = [
        f'<path d="M{right:.1f},{lower:.1f} C{out:.1f},{lower + 5:.1f} {out:.1f},{upper - 5:.1f} {right + 6:.1f},'
        f'{upper:.1f}" fill="none" stroke="{_CARRIED}" stroke-width="1.4" stroke-dasharray="6 4"/>',
        f'<path d="M{right:.1f},{upper:.1f} l6,-3.6 l0,7.2 z" fill="{_CARRIED}"/>',
    ]
    if link.label:
        x = right + _LOOP + _wide(link.label, TEXT) / 2
        parts.append(_text(x, (upper + lower) / 2 + 4, link.label, TEXT, _CARRIED))
    return "\n".join(parts)
