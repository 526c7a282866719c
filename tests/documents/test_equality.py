"""Equality of JSON values: it is decided by the canonical form, and by nothing else."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from orchestrator.documents.canonical import canonicalise, parse
from orchestrator.documents.equality import equal, fingerprint
from tests.documents.json_texts import VALUES

# Few and alike, so that two of them are often equal, or differ in no more than their types.
ALIKE = st.recursive(
    st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, None, "", "1", 1e21, 0.5]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), children, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("a", "b", "is_equal"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (1, True, False),
        (1.0, True, False),
        (0, False, False),
        ([0], [False], False),
        ([1, 1.0], [1.0, 1], True),
        ([1, 1.0], [1.0, True], False),
        ({"a": 1}, {"a": True}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1.0}]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, False),
        (1e21, 10**21, True),
        (None, False, False),
        ("1", 1, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        ([1, 2], [1], False),
        ([], {}, False),
        ({}, None, False),
        (UNSET, UNSET, True),
        (UNSET, None, False),
        (UNSET, {}, False),
    ],
)
def test_equality_is_that_of_json(a: Any, b: Any, *, is_equal: bool) -> None:
    assert equal(a, b) is is_equal
    assert equal(b, a) is is_equal


@given(ALIKE, ALIKE)
def test_values_are_equal_if_their_canonical_forms_are(a: Any, b: Any) -> None:
    assert equal(a, b) == (canonicalise(a) == canonicalise(b))


@given(ALIKE, ALIKE)
def test_fingerprints_of_parsed_values_are_equal_if_the_values_are(a: Any, b: Any) -> None:
    a, b = (parse(canonicalise(value), bytes_max=1_000) for value in (a, b))
    assert (fingerprint(a) == fingerprint(b)) == equal(a, b)


@given(VALUES)
def test_a_copy_is_equal_and_has_the_same_fingerprint(value: Any) -> None:
    twin = copy.deepcopy(value)
    assert equal(value, twin)
    assert fingerprint(value) == fingerprint(twin)
