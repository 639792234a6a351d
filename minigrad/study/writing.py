"""The picture as text: a Mermaid flowchart, which GitHub and many notebooks draw, and a listing for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from minigrad.study.graph import TIMES, Box, Link
from minigrad.study.svg import COLOURS

_SHAPES = {"op": ("[", "]"), "module": ("[[", "]]")}


def to_mermaid(boxes: Sequence[Box], links: Sequence[Link]) -> str:
    """A flowchart from the leaves down to the results."""
    lines = ["flowchart TD"]
    for number, box in enumerate(boxes):
        first, last = _SHAPES.get(box.kind, ("([", "])"))
        title = _escaped(_titled(box))
        text = "<br/>".join([f"<b>{title}</b>", *map(_escaped, box.lines)])
        lines.append(f'    n{number}{first}"{text}"{last}:::{box.kind}')
    for link in links:
        arrow = "-.->" if link.carried else "-->"
        label = f'|"{_escaped(link.label)}"|' if link.label else ""
        lines.append(f"    n{link.source} {arrow}{label} n{link.target}")
    for kind in dict.fromkeys(box.kind for box in boxes):
        ground, border = COLOURS[kind]
        dashed = ",stroke-dasharray:4 3" if kind == "data" else ""
        lines.append(f"    classDef {kind} fill:{ground},stroke:{border},color:#1b2330{dashed}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Everything that could mean something to Mermaid, or to the HTML it makes, as `#code;`."""
    return re.sub(rf"[^\w .,:={TIMES}…()+-]", lambda found: f"#{ord(found[0])};", text)


def _titled(box: Box) -> str:
    return f"{box.title}  {TIMES} {box.times}" if box.times > 1 else box.title


def to_text(boxes: Sequence[Box], links: Sequence[Link]) -> str:
    """One line for each box, in an order of computation: its number or kind, what it is, and what goes into it."""
    computed = [number for number, box in enumerate(boxes) if box.kind in ("op", "module")]
    numbers = {number: f"[{place}]" for place, number in enumerate(computed, 1)}
    into: dict[int, list[str]] = {number: [] for number in range(len(boxes))}
    for link in links:
        said = numbers.get(link.source) or boxes[link.source].title
        said += f" {link.label}" if link.label else ""
        into[link.target].append(f"{said} of the step before" if link.carried else said)
    rows: list[tuple[str, str, str, str]] = []
    for number, box in enumerate(boxes):
        lines = box.lines if box.kind == "leaves" else [", ".join(box.lines)]
        name = numbers.get(number, box.kind)
        rows.append((name, _titled(box), lines[0], ", ".join(into[number])))
        rows += [("", "", line, "") for line in lines[1:]]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths)), f"<- {row[3]}" if row[3] else ""]).rstrip()
        for row in rows
    )
