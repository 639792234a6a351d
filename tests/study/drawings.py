"""What the tests of folding share: a long loop's steps, and a drawing's boxes and carried links as plain pairs."""

from __future__ import annotations

STEPS = 50


def boxes(drawing):
    return [(box.title, box.times) for box in drawing.boxes if box.kind in ("op", "module")]


def carried(drawing):
    return [(drawing.boxes[one.source].title, drawing.boxes[one.target].title) for one in drawing.links if one.carried]
