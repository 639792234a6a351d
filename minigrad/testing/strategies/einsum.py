"""Einstein summation: equations with operands that fit them."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from minigrad.testing.strategies.arrays import Host, arrays


class Einsum(NamedTuple):
    """An equation such as "ij,jk->ik", and its operands."""

    equation: str
    operands: tuple[Host, ...]


@st.composite
def einsums(
    draw: st.DrawFn, *, max_operands: int = 3, min_side: int = 1, max_side: int = 3, ellipsis: bool = True
) -> Einsum:
    """Equations of one to three operands, as `numpy.einsum` and `torch.einsum` read them.

    With the result written out or left to the rule (the letters that occur once, sorted); with a letter twice in one
    operand, which takes its diagonal; with `...` for leading dimensions that broadcast. Letters that no result names
    are summed over.
    """
    count = draw(st.integers(1, max_operands))
    letters = "ijkL"[: draw(st.integers(1, 4))]
    sizes = {letter: draw(st.integers(min_side, max_side)) for letter in letters}
    # Dimensions at the very end of `...`, each of its size or 1 in an operand, as in every broadcast.
    around = tuple(draw(st.lists(st.integers(1, max_side), max_size=2))) if ellipsis and draw(st.booleans()) else None
    terms, operands = [], []
    for _ in range(count):
        term = "".join(draw(st.lists(st.sampled_from(letters), min_size=1, max_size=3)))
        outer: tuple[int, ...] = ()
        if around is not None and draw(st.booleans()):
            outer = tuple(draw(st.sampled_from([side, 1])) for side in around[draw(st.integers(0, len(around))) :])
            terms.append(f"...{term}")
        else:
            terms.append(term)
        operands.append(draw(arrays((*outer, *(sizes[letter] for letter in term)))))
    left = ",".join(terms)
    if draw(st.booleans()):
        return Einsum(left, tuple(operands))
    used = sorted({letter for letter in left if letter.isalpha()})
    kept = draw(st.lists(st.sampled_from(used), unique=True, max_size=len(used)))
    return Einsum(f"{left}->{'...' if '...' in left else ''}{''.join(kept)}", tuple(operands))
