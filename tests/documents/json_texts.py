"""JSON for tests of its canonical form: any values, and what is said of what is refused."""

import math
import struct

import pytest
from hypothesis import strategies as st

from orchestrator.documents.canonical import (
    JSONValue,
    parse,
)
from orchestrator.documents.canonical_rules import INTEGER_MAX
from orchestrator.errors import InvalidInput, Violation

BYTES_MAX = 100_000_000

# Any 64 bits, so that magnitudes are as likely as digits.
FLOATS = st.integers(0, 2**64 - 1).map(
    lambda bits: float(struct.unpack("<d", struct.pack("<Q", bits))[0])
)
STORABLE_FLOATS = (FLOATS | st.floats()).filter(
    lambda number: abs(number) <= INTEGER_MAX or 1e21 <= abs(number) < math.inf
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | STORABLE_FLOATS
    | TEXTS
    | st.text('\ue000\U0001f600\\u0:" \n\x1f', max_size=9),
    lambda children: (
        st.lists(children, max_size=5)
        | st.dictionaries(
            TEXTS | st.text('\ue000\uffff\U0001f600a:"', max_size=3), children, max_size=5
        )
    ),
    max_leaves=20,
)


def read(body: str | bytes) -> JSONValue:
    return parse(body if isinstance(body, bytes) else body.encode(), bytes_max=BYTES_MAX)


def refusals(body: str | bytes) -> list[Violation]:
    with pytest.raises(InvalidInput) as refused:
        read(body)
    assert all(violation.message for violation in refused.value.errors)
    return refused.value.errors


def places(violations: list[Violation]) -> list[tuple[str, str]]:
    return [(violation.pointer, violation.rule) for violation in violations]
