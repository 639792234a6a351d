"""A map of words: their vectors in two dimensions, as a picture.

Shapes: N words, D the size of a vector.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlp.errors import NlpError
from nlp.evaluation.tsne import tsne
from nlp.keyed_vectors import KeyedVectors
from nlp.pictures import COLOURS, GREY, INK, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["METHODS", "draw_word_map", "frequent_words", "pca", "place_labels", "project"]

Values = NDArray[np.float64]
Progress = Callable[[float], None]
TOLD = 25  # labels between two words on progress

METHODS = ("pca", "tsne")
LEAST = 3  # words: two are always a line
SIZE = 11, 9  # of the picture, inches
MARGIN = 0.06  # of the axes, around the outermost points: room for their labels
FONT = 8  # of the labels, points
RINGS = 4.0, 11.0, 20.0  # how far a label may be from its point, points
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
DOT = 1.5  # radius of a point, points


def pca(vectors: NDArray[np.floating], count: int = 2) -> tuple[Values, Values]:
    """Principal components: coordinates (N, count) of vectors (N, D) along the directions in which they vary most.

    Beside them the share of the variance that each direction has (count,). By the singular value decomposition of the
    centred vectors, X = U S V^T: the coordinates are U S (Hotelling, "Analysis of a complex of statistical variables
    into principal components", 1933). Of the two signs of a direction that is taken which makes the coordinate largest
    in size positive. Directions beyond the D or N there are have coordinates of 0.
    """
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(count, len(strength))
    coordinates, share = np.zeros((len(vectors), count)), np.zeros(count)
    coordinates[:, :kept] = left[:, :kept] * strength[:kept]
    coordinates *= np.where(coordinates.max(axis=0) < -coordinates.min(axis=0), -1, 1)
    total = float((strength**2).sum())
    share[:kept] = strength[:kept] ** 2 / total if total else 0
    return coordinates, share


def project(
    vectors: KeyedVectors, words: Sequence[str], method: str = "pca", progress: Progress | None = None
) -> tuple[Values, Values]:
    """Where each word stands on a map (N, 2), and the share of the variance along its two directions.

    Of vectors at length 1, so that only directions count, as everywhere with word vectors. `method` is "pca", a shadow
    in which distances are at most what they are, or "tsne", which keeps neighbours beside each other and has no shares
    to tell (zeros). `progress` is told the share of t-SNE that is done, 0 to 1.

    Raises NlpError for another method, for an unknown word, for one given twice, for fewer than 3 and for more than
    2,000 with t-SNE.
    """
    if method not in METHODS:
        raise NlpError(f"--method is one of {', '.join(METHODS)}, not {method!r}")
    if len(words) < LEAST:
        raise NlpError(f"a map has at least {LEAST} words, not {len(words)}: name more")
    rows = [vectors.index(word) for word in words]
    if len(set(rows)) < len(rows):
        twice = next(word for place, word in enumerate(words) if word in words[:place])
        raise NlpError(f"the word {twice!r} is given twice: name it once")
    points = vectors.unit[rows].astype(np.float64)
    coordinates, share = pca(points)
    return (coordinates, share) if method == "pca" else (tsne(points, coordinates, progress=progress), np.zeros(2))


def frequent_words(vectors: KeyedVectors, count: int) -> list[str]:
    """The `count` most frequent words of letters alone: those that say something on a map.

    Raises NlpError for fewer than 3.
    """
    if count < LEAST:
        raise NlpError(f"--words must be at least {LEAST}, not {count}")
    return list(islice((word for word in vectors.words if word.isalpha()), count))


def draw_word_map(
    vectors: KeyedVectors,
    words: Sequence[str],
    path: Path,
    method: str = "pca",
    title: str = "map of words",
    progress: Callable[[str, float], None] | None = None,
) -> None:
    """Draw the words as points of a map with their names (see `project`), the first words' names placed first.

    `progress` is told what is being done, and its share that is done, 0 to 1: "t-SNE", and then "labels".

    Raises NlpError as `project` does, and where the picture cannot be written.
    """
    coordinates, share = project(vectors, words, method, _part(progress, "t-SNE"))
    figure = new_figure(*SIZE, title)
    axes = figure.subplots()
    plain(axes, "")
    axes.plot(*coordinates.T, "o", ms=2 * DOT, mew=0, color=COLOURS[0])
    axes.margins(MARGIN)
    axes.set_aspect("equal", adjustable="datalim")
    if method == "pca":
        axes.set_xlabel(f"first principal component ({share[0]:.1%} of the variance)")
        axes.set_ylabel(f"second principal component ({share[1]:.1%})", color=GREY)
    else:
        axes.tick_params(labelbottom=False, labelleft=False)  # t-SNE's distances have no unit
        axes.grid(False)
        axes.set_xlabel("t-SNE: neighbours stay neighbours, larger distances tell little")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a letter that the font lacks is drawn as a box
        _label(axes, coordinates, words, _part(progress, "labels"))
        save(figure, path)


def _part(progress: Callable[[str, float], None] | None, what: str) -> Progress | None:
    return None if progress is None else partial(progress, what)


# ---- labels ---------------------------------------------------------------------------------------------------------


def _label(axes: Axes, coordinates: Values, words: Sequence[str], progress: Progress | None) -> None:
    """Write the words beside their points, with a line to the point where one stands further off."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    look: dict[str, Any] = {"fontsize": FONT, "color": INK, "parse_math": False}  # a word of $ is no formula
    figure: Any = axes.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # decides where the axes are, so that lengths can be measured
    points_per_pixel = 72 / figure.dpi
    texts = [axes.annotate(word, place, **look) for word, place in zip(words, coordinates, strict=True)]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    sizes = np.array([(box.width, box.height) for box in boxes]) * points_per_pixel
    anchors = axes.transData.transform(coordinates) * points_per_pixel
    for text in texts:
        text.remove()
    frame = np.array(axes.bbox.extents) * points_per_pixel
    centres = place_labels(anchors, sizes, frame, progress)
    for word, place, anchor, centre, size in zip(words, coordinates, anchors, centres, sizes, strict=True):
        gap = np.maximum(np.abs(centre - anchor) - size / 2, 0).max()
        line: dict[str, Any] = {
            "arrowprops": {"arrowstyle": "-", "color": GREY, "lw": 0.4, "shrinkA": 0, "shrinkB": DOT}
        }
        axes.annotate(
            word,
            place,
            xytext=tuple(centre - anchor),
            textcoords="offset points",
            ha="center",
            va="center",
            **look,
            **(line if gap > RINGS[0] + 1 else {}),
        )


def place_labels(anchors: Values, sizes: Values, frame: Values, progress: Progress | None = None) -> Values:
    """The centre (N, 2) of each label, given the points (N, 2) and the labels' widths and heights (N, 2), all alike.

    One after the other, each in that place around its point where it covers least of the points, of the labels before
    it and of what is outside the frame (left, bottom, right, top): beside it, above or below, across the corners, and
    the same further off. Of places as good, the first. `progress` is told the share that is done, 0 to 1.
    """
    dots = np.concatenate([anchors - DOT, anchors + DOT], axis=1)  # N, 4: left, bottom, right, top
    taken = np.empty_like(dots)
    centres = np.empty_like(anchors)
    directions = np.array([(x, y) for _ in RINGS for x, y in DIRECTIONS], dtype=np.float64)  # candidates, 2
    distances = np.repeat(RINGS, len(DIRECTIONS))[:, None]
    for number, (anchor, size) in enumerate(zip(anchors, sizes, strict=True)):
        candidates = anchor + directions * (distances + size / 2)
        boxes = np.concatenate([candidates - size / 2, candidates + size / 2], axis=1)
        covered = _overlap(boxes, np.concatenate([taken[:number], dots])).sum(axis=1)
        outside = size.prod() - _overlap(boxes, frame[None])[:, 0]
        best = int(np.round(covered + outside, 6).argmin())  # rounded, so that nothing is nothing everywhere
        centres[number], taken[number] = candidates[best], boxes[best]
        if progress is not None and (number + 1 == len(anchors) or number % TOLD == 0):
            progress((number + 1) / len(anchors))
    return centres


def _overlap(boxes: Values, others: Values) -> Values:
    """The area that each of C boxes (C, 4) has in common with each of M others: (C, M)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=2)
