"""YAML in and out: the same value in every reader, or a refusal."""

import io
import json
from itertools import pairwise
from typing import Any

import pytest
import ruamel.yaml
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cli.failure import InvalidContent
from orchestrator.cli.yaml_text import dump_yaml, parse_yaml

TRAPS = ["no", "On", "YES", "off", "null", "~", "true", "1e3", "1E+3", "0x1f", "0o17", "017"]
TRAPS += ["1_000", "12:30", "2026-01-31", "2026-01-31T12:00:00Z", ".5", "5.", "+5", ".inf", ".nan"]
TRAPS += ["<<", "=", "", " ", "- a", "a: b", "#", "!x", "&x", "*x", "\n", "a\n", "a\n b", "\x9b31m"]
TEXT = st.sampled_from(TRAPS) | st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Any:
    parsed = parse_yaml(text.encode(), "f.yaml")
    parsed.check("f.yaml")
    return parsed.value


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_as_the_same_by_readers_of_both_versions(value: Any) -> None:
    text = dump_yaml(value)
    assert read(text) == value
    assert json.dumps(yaml.safe_load(text), default=str) == json.dumps(value)
    newer = ruamel.yaml.YAML(typ="safe", pure=True)
    assert newer.load(io.StringIO(text)) == value
    assert "\x9b" not in text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31", "2026-01-31"),
        (
            "[1, -2, 0.5, 1.0e+3, true, False, ~, null]",
            [1, -2, 0.5, 1000.0, True, False, None, None],
        ),
        ("{a: '1e3', b: \"no\", c: !!str on}", {"a": "1e3", "b": "no", "c": "on"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("|\n  a\n   b\n", "a\n b\n"),
    ],
)
def test_what_both_versions_read_alike_is_read(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    "scalar", ["no", "On", "YES", "off", "1e3", "0x1f", "0o17", "017", "1_000", "12:30", ".5", "+5"]
)
def test_what_they_read_differently_is_refused_with_its_place(scalar: str) -> None:
    with pytest.raises(InvalidContent) as refused:
        read(f"a: 1\nb: [{scalar}]")
    (line,) = refused.value.lines
    assert line.startswith(f"line 2, column 5: {scalar} is text or ")
    assert f'"{scalar}"' in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2, column 1: The member 'a' is here twice."),
        ("1: a", "line 1, column 1: The name of a member is text: quote it."),
        ("? [a]\n: b", "The name of a member is text"),
        ("a: &x [*x]", "line 1, column 8: Nothing whole is called &x before this."),
        ("a: !!python/object:os.system x", "has no meaning here"),
        ("a: !!int x", "'x' is not what its tag says."),
        ("--- 1\n--- 2", "line 2, column 1: Here begins a second document: give one."),
        ("<<: {a: 1}", "Merge keys are not read"),
        ("", "f.yaml: This is empty."),
        ("a: [", "f.yaml: This is not YAML: line 2, column 1: "),
        ("a: \x00", "f.yaml: This is not YAML: "),
        ("[" * 100, "nested deeper than 64 levels"),
    ],
)
def test_what_is_no_document_of_ours_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidContent) as refused:
        read(text)
    assert message in refused.value.detail


def test_a_small_file_cannot_become_a_huge_document() -> None:
    lines = ["a: &a [1,1,1,1,1,1,1,1,1,1]"]
    for last, name in pairwise("abcdefgh"):
        lines.append(f"{name}: &{name} [{','.join([f'*{last}'] * 10)}]")
    with pytest.raises(InvalidContent, match="more than 1,000,000 values"):
        read("\n".join(lines))
