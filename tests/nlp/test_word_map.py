"""The map of words: a projection that keeps what it can, labels that keep off each other, a picture of the words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.evaluation.word_map import DOT, draw_word_map, frequent_words, pca, place_labels, project
from nlp.keyed_vectors import KeyedVectors


def some_vectors(words: str = "the of $and$ , king _x^ queen 3 東京 man apple pear") -> KeyedVectors:
    names = tuple(words.split())
    return KeyedVectors(names, np.random.default_rng(0).standard_normal((len(names), 6)).astype(np.float32))


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 6), st.integers(1, 4))
def test_pca_keeps_as_much_of_the_distances_as_the_largest_eigenvalues(
    seed: int, count: int, size: int, kept: int
) -> None:
    vectors = np.random.default_rng(seed).standard_normal((count, size))
    coordinates, share = pca(vectors, kept)
    assert coordinates.shape == (count, kept)
    centred = vectors - vectors.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    largest = np.zeros(kept)
    largest[: min(kept, size)] = values[:kept]
    np.testing.assert_allclose(coordinates.T @ coordinates, np.diag(largest), atol=1e-9)  # and uncorrelated
    np.testing.assert_allclose(share, largest / values.sum() if count > 1 else 0, atol=1e-9)
    for column in coordinates.T:
        assert column.max() >= -column.min() - 1e-9

    def squared(points: np.ndarray) -> np.ndarray:
        return ((points[:, None] - points) ** 2).sum(axis=2)

    assert (squared(coordinates) <= squared(vectors) + 1e-9).all()
    np.testing.assert_allclose(squared(pca(vectors, size)[0]), squared(vectors), atol=1e-9)
    # The sum over all pairs of points is count times that about their mean: the eigenvalues.
    assert squared(coordinates).sum() == pytest.approx(2 * count * largest.sum(), abs=1e-9)


WIDE = np.array([-1e3, -1e3, 1e3, 1e3])  # a frame in which there is room for all


def area_in_common(boxes: list[tuple[float, float, float, float]], box: tuple[float, float, float, float]) -> float:
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in boxes
    )


@given(st.integers(0, 1000), st.integers(1, 25))
def test_labels_cover_less_than_they_would_all_at_the_right(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    anchors = draw.uniform(0, 150, (count, 2))
    sizes = np.stack([draw.uniform(5, 40, count), np.full(count, 8.0)], axis=1)
    centres = place_labels(anchors, sizes, WIDE)
    dots = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in anchors]

    def boxes(middles: np.ndarray) -> list[tuple[float, float, float, float]]:
        return [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(middles, sizes, strict=True)]

    placed = boxes(centres)
    right = boxes(anchors + np.array([4.0, 0]) + sizes * [0.5, 0])
    for number in range(count):
        before = placed[:number] + dots
        assert area_in_common(before, placed[number]) <= area_in_common(before, right[number]) + 1e-5
        gap = np.maximum(np.abs(centres[number] - anchors[number]) - sizes[number] / 2, 0)
        assert gap.max() <= 20 + 1e-9  # none is far from its point


def test_labels_with_room_stand_at_the_right_and_others_give_way() -> None:
    sizes = np.full((3, 2), [20.0, 8.0])
    alone = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    np.testing.assert_allclose(place_labels(alone, sizes, WIDE), alone + [14.0, 0.0])
    near = place_labels(np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), sizes, WIDE)
    np.testing.assert_allclose(near, [[14, 0], [-14, 0], [0, 8]])
    edge = np.array([[99.0, 50.0], [50.0, 1.0], [50.0, 99.0]])  # a label at the right is outside, or half of it is
    framed = place_labels(edge, sizes, np.array([0.0, 0.0, 100.0, 100.0]))
    np.testing.assert_allclose(framed, edge + [[-14, 0], [0, 8], [0, -8]])


def test_a_map_stands_on_directions_alone() -> None:
    vectors = some_vectors()
    lengths = 2.0 ** np.arange(12, dtype=np.float32)  # which leave the directions as they are to the bit
    longer = KeyedVectors(vectors.words, vectors.vectors * lengths[:, None])
    words = ["king", "queen", "man", "apple", "pear"]
    for method in ("pca", "tsne"):
        coordinates, share = project(vectors, words, method)
        np.testing.assert_array_equal(project(longer, words, method)[0], coordinates)
        assert (share > 0).all() == (method == "pca")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_picture_has_each_word_as_it_is(method: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib

    vectors = some_vectors()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw_word_map(vectors, vectors.words, tmp_path / "map.svg", method, "a title")
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", (tmp_path / "map.svg").read_text(encoding="utf-8"))
    assert sorted(text for text in texts if text in vectors.words) == sorted(vectors.words)
    assert "a title" in texts
    assert any("component" in text for text in texts) == (method == "pca")
    draw_word_map(vectors, vectors.words, tmp_path / "map.png", method)
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_progress_is_told_to_the_end(method: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    told: list[tuple[str, float]] = []
    vectors = some_vectors()
    draw_word_map(
        vectors, vectors.words, tmp_path / "map.png", method, progress=lambda what, share: told.append((what, share))
    )
    parts = ["labels"] if method == "pca" else ["t-SNE", "labels"]
    assert list(dict.fromkeys(what for what, _ in told)) == parts
    for part in parts:
        shares = [share for what, share in told if what == part]
        assert shares == sorted(shares)
        assert 0 < shares[0] < shares[-1] == 1


def test_too_many_words_for_t_sne_are_refused_before_anything_is_done() -> None:
    words = [f"w{number}" for number in range(2_001)]
    vectors = KeyedVectors(words, np.random.default_rng(0).standard_normal((2_001, 3)).astype(np.float32))
    message = r"t-SNE takes 2,000 words at most, not 2,001, .*: name fewer, or take --method pca"
    with pytest.raises(NlpError, match=message):
        project(vectors, words, "tsne")
    assert project(vectors, words, "pca")[0].shape == (2_001, 2)


def test_frequent_words_are_of_letters() -> None:
    assert frequent_words(some_vectors(), 4) == ["the", "of", "king", "queen"]
    assert len(frequent_words(some_vectors(), 99)) == 8


MISTAKES = {
    "no method": (lambda path: draw_word_map(some_vectors(), ["king", "of", "the"], path, "umap"), "pca, tsne, not"),
    "two words": (lambda path: draw_word_map(some_vectors(), ["king", "of"], path), "at least 3 words, not 2"),
    "a word twice": (lambda path: draw_word_map(some_vectors(), ["of", "king", "of"], path), "'of' is given twice"),
    "an unknown word": (lambda path: draw_word_map(some_vectors(), ["of", "king", "kin"], path), "'kin' (the nearest"),
    "none of many": (lambda path: frequent_words(some_vectors(), -1), "--words must be at least 3, not -1"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(NlpError) as told:
        mistake(tmp_path / "map.png")
    assert message in str(told.value)
    assert not list(tmp_path.iterdir())
