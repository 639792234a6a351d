"""Bytes: any text comes back, names are readable and leave no doubt."""

from hypothesis import example, given
from hypothesis import strategies as st

from nlp.text.byte_tokens import BYTE_NAMES, ByteTokenizer, bytes_of, name_of

# Bytes thick with what names are made of.
escapes = st.lists(st.sampled_from([b"<", b"0", b"x", b"0x", b"<0x", b"C3", b">", b"\xc3", b"\xa9", b"\n", b"\xff"]))
data = st.binary() | escapes.map(b"".join)


@given(data)
@example(b"<0x0A>")
@example(b"<\xff")
@example("\ud800".encode(errors="surrogatepass"))
def test_a_name_stands_for_its_bytes_alone(data: bytes) -> None:
    assert bytes_of(name_of(data)) == data
    name_of(data).encode()  # a name can be written into any file


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).filter(lambda text: "<0x" not in text))
def test_text_is_its_own_name(text: str) -> None:
    assert name_of(text.encode()) == text


def test_the_names_of_bytes_can_be_read() -> None:
    assert len(set(BYTE_NAMES)) == 256
    assert [BYTE_NAMES[byte] for byte in b"a \n\x7f\xc3"] == ["a", " ", "<0x0A>", "<0x7F>", "<0xC3>"]


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_exactly(text: str) -> None:
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert len(tokens) == len(text.encode())


def test_what_is_no_text_is_still_tokens() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffd\ufffd\ufffdb"
    assert tokenizer.decode(["<0xC3>", "a"]) == "\ufffda"
    assert ByteTokenizer(lowercase=True).encode("Ab") == ["a", "b"]
