"""The layout: nothing on top of anything else, and no wire through a box."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.study.layout import LABEL_HEIGHT, Arc, _apart, lay_out


@st.composite
def pictures(draw):
    count = draw(st.integers(1, 14))
    size = st.tuples(st.floats(20, 200), st.floats(20, 90))
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    place = st.integers(0, count - 1)
    arcs = draw(st.lists(st.builds(Arc, place, place, st.sampled_from([0.0, 0.0, 70.0])), max_size=25))
    return sizes, arcs, draw(st.lists(st.booleans(), min_size=count, max_size=count))


@settings(max_examples=150, deadline=None)
@given(pictures())
def test_nothing_covers_anything(picture):
    sizes, arcs, free = picture
    layout = lay_out(sizes, arcs, free)
    rectangles = [(spot.x - spot.width / 2, spot.y, spot.width, spot.height) for spot in layout.spots]
    for arc, path in zip(arcs, layout.paths, strict=True):
        if path is not None and path.label is not None:
            x, y = path.label
            rectangles.append((x - arc.label / 2, y - LABEL_HEIGHT / 2, arc.label, LABEL_HEIGHT))
    for one, (x, y, width, height) in enumerate(rectangles):
        assert 0 <= x <= x + width <= layout.width
        assert 0 <= y <= y + height <= layout.height
        for other_x, other_y, other_width, other_height in rectangles[:one]:
            apart = x >= other_x + other_width or other_x >= x + width
            assert apart or y >= other_y + other_height or other_y >= y + height


@settings(max_examples=150, deadline=None)
@given(pictures())
def test_wires_lead_from_box_to_box_and_through_none(picture):
    sizes, arcs, free = picture
    layout = lay_out(sizes, arcs, free)
    for arc, path in zip(arcs, layout.paths, strict=True):
        if arc.source == arc.target:
            assert path is None
            continue
        assert (path.label is not None) == bool(arc.label)
        upper, lower = (layout.spots[one] for one in sorted((arc.source, arc.target)))
        (first_x, first_y), (last_x, last_y) = path.points[0], path.points[-1]
        assert abs(first_x - upper.x) <= upper.width / 2
        assert abs(last_x - lower.x) <= lower.width / 2
        assert first_y == upper.y + upper.height
        assert last_y == lower.y
        for (x, y), (next_x, next_y) in zip(path.points, path.points[1:], strict=False):
            assert next_y >= y
            for spot in layout.spots:
                if y < spot.y + spot.height and spot.y < next_y:  # beside a box the wire goes straight down
                    assert x == next_x
                    assert abs(x - spot.x) > spot.width / 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(20, 200), max_size=4), min_size=1, max_size=20), st.data())
def test_layers_stand_below_each_other_and_their_leaves_beside_them(layers, data):
    sizes, arcs, free = [], [], []
    chain = []
    for leaves in layers:
        layer = len(sizes) + len(leaves)
        arcs += [Arc(leaf, layer, 0.0) for leaf in range(len(sizes), layer)]
        arcs += [Arc(chain[-1], layer, 0.0)] if chain else []
        sizes += [(width, 30.0) for width in [*leaves, data.draw(st.floats(20, 200))]]
        free += [True] * len(leaves) + [False]
        chain.append(layer)
    layout = lay_out(sizes, arcs, free)
    places = [layout.spots[layer].x for layer in chain]
    assert max(places) - min(places) < 2.0


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(0.5, 4), st.floats(1, 50)), min_size=1, max_size=8), st.data()
)
def test_places_are_the_nearest_allowed_ones(boxes, data):
    wanted, weights, gaps = (np.array(column) for column in zip(*boxes, strict=True))
    offsets = np.cumsum(gaps) - gaps[0]
    places = np.array(_apart(wanted, weights, offsets))
    assert (np.diff(places - offsets) >= -1e-9).all()
    # No other allowed choice is nearer: along the way to any of them the distance grows from the first step on.
    other = np.sort(data.draw(st.lists(st.floats(-300, 300), min_size=len(boxes), max_size=len(boxes)))) + offsets
    slope = (weights * (places - wanted) * (other - places)).sum()
    assert slope >= -1e-6 * (1 + np.abs(other - places).max() * np.abs(places - wanted).max())
