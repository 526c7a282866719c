"""JSON pointers: each is written in one way and read back as the place that it was made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.pointer import (
    SHOWN_CHARACTERS_MAX,
    is_pointer,
    pointer_to,
    pointer_to_field,
    shown_pointer,
    tokens_of,
)
from orchestrator.documents.wording import shortened

TOKENS = st.text(max_size=9) | st.text("~/01", max_size=9)


@given(st.lists(TOKENS))
def test_a_pointer_is_read_back_as_the_tokens_it_was_made_of(tokens: list[str]) -> None:
    pointer = pointer_to(tokens)
    assert is_pointer(pointer)
    assert tokens_of(pointer) == tuple(tokens)
    assert shown_pointer(tokens) == pointer


def test_a_pointer_escapes_and_is_as_long_as_its_place() -> None:
    assert pointer_to(()) == ""
    assert pointer_to(("a/b", "c~d", 3, "")) == "/a~1b/c~0d/3/"
    assert pointer_to(("a", "b" * 5_000)) == "/a/" + "b" * 5_000


def test_a_pointer_that_is_shown_escapes_and_stays_short() -> None:
    assert shown_pointer(()) == ""
    assert shown_pointer(("a/b", "c~d", 3, "")) == "/a~1b/c~0d/3/"
    assert shown_pointer(("a", "b" * SHOWN_CHARACTERS_MAX, "c")) == "/a"
    assert shown_pointer(("a", "\ud800")) == "/a/?"


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("", ""),
        (".tag", "/tag"),
        (".operations[0].tag", "/operations/0/tag"),
        ("[3]", "/3"),
        (".meta[...][1]", "/meta/1"),
        (".a/b", "/a~1b"),
    ],
)
def test_a_field_is_named_by_its_pointer(path: str, pointer: str) -> None:
    assert pointer_to_field(path) == pointer


def test_text_in_a_message_is_quoted_escaped_and_short() -> None:
    assert shortened("a é") == '"a é"'
    assert shortened("\ud800\n") == '"\\ud800\\n"'
    assert shortened("a" * 100, characters_max=3) == '"aaa…"'
