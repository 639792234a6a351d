"""Reading in pieces: the same text whatever the size of a piece, and bad files get one clear sentence."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nlp.errors import NlpError
from nlp.text import files
from nlp.text.files import JoinedFiles, TextFile

one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))
IN_LINE = [" ", "\t", "a", "é", "€", "𝄞", "word"]
lines = st.lists(st.sampled_from(["\n", "\r\n", "\r", *IN_LINE]), min_size=1).map("".join)
long_lines = st.lists(st.sampled_from(IN_LINE), min_size=9, max_size=30).map("".join)
thick = lines | st.tuples(long_lines, lines).map("".join)


@pytest.fixture(params=[8, 9, 10, 11, 64])
def small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(files, "PIECE", request.param)
    return int(request.param)


def read_text(path: Path) -> str:
    return "".join(TextFile(path).pieces())


def written(folder: Path, content: bytes, name: str = "text") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# ---- what is read -------------------------------------------------------------------------------------------------


@one_folder
@given(text=texts, line_end=st.sampled_from(["\n", "\r\n", "\r"]), mark=st.sampled_from(["", "\ufeff"]))
def test_any_unicode_text_is_read_as_it_is(
    tmp_path: Path, small_pieces: int, text: str, line_end: str, mark: str
) -> None:
    assume(text.strip() and not text.startswith("\ufeff"))
    path = written(tmp_path, (mark + text.replace("\n", line_end)).encode())
    assert read_text(path) == text


@one_folder
@given(content=thick)
def test_pieces_are_small_and_cut_where_they_may_be(tmp_path: Path, small_pieces: int, content: str) -> None:
    assume(content.strip())
    path = written(tmp_path, content.encode())
    expected = content.replace("\r\n", "\n").replace("\r", "\n")
    placed = list(TextFile(path).placed_pieces())
    pieces = [text for _, text in placed]
    assert "".join(pieces) == expected
    assert all(0 < len(piece.encode()) <= small_pieces for piece in pieces)
    for piece, following in pairwise(pieces):
        assert piece.endswith("\n") or following[0] in " \t" or not set(piece[1:]) & set(" \t\n")
    for place, (start, _) in enumerate(placed):  # and any piece can be the first
        assert list(TextFile(path).placed_pieces(start)) == placed[place:]


@one_folder
@given(contents=st.lists(thick, min_size=1, max_size=3), ends=st.booleans(), data=st.data())
def test_any_stretch_of_joined_files_can_be_read(
    tmp_path: Path, small_pieces: int, contents: list[str], ends: bool, data: st.DataObject
) -> None:
    assume(all(content.strip() for content in contents))
    paths = [written(tmp_path, content.encode(), str(n)) for n, content in enumerate(contents)]
    alone = [read_text(path) for path in paths]
    expected = "".join(text if text.endswith("\n") or not ends else text + "\n" for text in alone)
    joined = JoinedFiles(paths, line_ends=ends)
    assert joined.characters == len(expected)
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.none() | st.integers(start, len(expected)))
    assert "".join(joined.pieces(start, stop)) == expected[start:stop]


@pytest.mark.parametrize(("line_end", "read"), [("\r\n", "\n"), ("\r", "\n"), ("\n", "\n"), ("\r\r\n", "\n\n")])
def test_a_line_end_at_the_end_of_a_piece_is_one(tmp_path: Path, small_pieces: int, line_end: str, read: str) -> None:
    for length in range(small_pieces - 3, small_pieces + 3):
        before, after = "a" * length, "b" * 20
        assert read_text(written(tmp_path, (before + line_end + after).encode())) == before + read + after


def test_an_endless_line_is_read_in_pieces(tmp_path: Path) -> None:
    count = 5 * files.PIECE
    path = written(tmp_path, "é".encode() * count)  # ten pieces without a white space
    pieces = list(TextFile(path).pieces())
    assert len(pieces) >= 10
    assert "".join(pieces) == "é" * count


# ---- bad files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \r\n\t", "has no words, only white space: give"),
        (b" " * 100, "has no words, only white space: give"),
        (b"abc\0def", r"binary file \(byte 3 is NUL\)"),
        (b"a line\n" * 20 + b"abc\0def", r"binary file \(byte 143 is NUL\)"),
        (b"caf\xe9 au lait", r"not UTF-8: byte 3 is 0xE9 \(invalid continuation byte\)"),
        (b"\xef\xbb\xbfcaf\xe9", r"not UTF-8: byte 6 is 0xE9 \(unexpected end of data\)"),
        ("text".encode("utf-16"), "is UTF-16"),
        ("text".encode("utf-16-be"), r"byte 0 is NUL"),
    ],
)
def test_a_bad_file_gets_one_clear_sentence(tmp_path: Path, small_pieces: int, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(NlpError, match=message) as caught:
        read_text(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@one_folder
@given(
    before=st.integers(0, 40), bad=st.sampled_from([b"\xe9t", b"\xf0\x9d\x84x", b"\x80", b"\xff"]), line=st.booleans()
)
def test_the_place_of_a_bad_byte_is_its_place_in_the_file(
    tmp_path: Path, small_pieces: int, before: int, bad: bytes, line: bool
) -> None:
    content = (b"line \xc3\xa9\n" if line else b"x\xe2\x82\xac") * before + bad + b"and so on" * 9
    with pytest.raises(UnicodeDecodeError) as expected:
        content.decode()
    path = written(tmp_path, content)
    with pytest.raises(NlpError, match=f"byte {expected.value.start} is 0x"):
        read_text(path)


def test_what_is_no_file_gets_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(NlpError, match="is a directory"):
        TextFile(tmp_path)
    with pytest.raises(NlpError, match="does not exist"):
        TextFile(tmp_path / "absent")
    with pytest.raises(NlpError, match="cannot be read"):
        TextFile("nul\0in the path")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NlpError, match="is a pipe or a device"):
        TextFile(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_gets_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TextFile(written(tmp_path, b"text"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(NlpError, match="text cannot be read: Permission denied"):
        list(text.pieces())


@pytest.mark.parametrize("change", [b"", b"shorter", b"as long as it was, but other text"])
def test_a_file_that_changes_is_noticed(tmp_path: Path, change: bytes) -> None:
    path = written(tmp_path, b"as long as it was, but this text.")
    text = TextFile(path)
    before = os.stat(path)
    path.write_bytes(change)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(NlpError, match="changed while it was being read"):
        list(text.pieces())


def test_a_file_that_shrinks_under_the_reader_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIECE", 8)
    path = written(tmp_path, b"line\n" * 5000)
    pieces = TextFile(path).pieces()
    next(pieces)
    os.truncate(path, 9)
    with pytest.raises(NlpError, match="changed while it was being read"):
        list(pieces)
