"""Counting with little memory gives the counts."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text import counting
from nlp.text.counting import count_tokens
from nlp.text.tokens import CharTokenizer, Tokenizer, WordTokenizer

one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.text(st.sampled_from("ab.\n é\ud800"), max_size=12) | st.text(max_size=5)


@one_folder
@given(pieces=st.lists(words, max_size=8), most=st.sampled_from([(1, 10**6), (3, 10**6), (10**6, 4), (10**6, 10**6)]))
@pytest.mark.parametrize("tokenizer", [WordTokenizer(), WordTokenizer(pretokenized=True), CharTokenizer()])
def test_counts_are_those_of_all_tokens(
    tmp_path: Path, tokenizer: Tokenizer, pieces: list[str], most: tuple[int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "DISTINCT", most[0])
        patch.setattr(counting, "CHARACTERS", most[1])
        with count_tokens(pieces, tokenizer, tmp_path) as counts:
            listed = list(counts)
    assert len({token for token, _ in listed}) == len(listed)
    assert dict(listed) == Counter(token for piece in pieces for token in tokenizer.encode(piece))
    assert list(tmp_path.iterdir()) == []


def test_few_are_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "DISTINCT", 100)
    put_aside: list[int] = []
    original = counting._put_aside
    monkeypatch.setattr(counting, "_put_aside", lambda c, *rest: put_aside.append(len(c)) or original(c, *rest))
    pieces = [" ".join(f"w{n}" for n in range(start, start + 60)) for start in range(0, 3000, 30)]
    with count_tokens(pieces, WordTokenizer(), tmp_path) as counts:
        assert sum(count for _, count in counts) == 60 * 100
    assert len(put_aside) > 10
    assert max(put_aside) <= 100 + 60


def test_a_full_disk_gets_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(counting, "DISTINCT", 1)
    monkeypatch.setattr(counting, "_put_aside", fail)
    with (
        pytest.raises(NlpError, match=r"cannot be written .No space left on device.: see that there is space"),
        count_tokens(["a b c"], WordTokenizer(), tmp_path) as counts,
    ):
        list(counts)
    assert list(tmp_path.iterdir()) == []
