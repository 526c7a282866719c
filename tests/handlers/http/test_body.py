"""Bodies are read as strictly as documents, and what is wrong is said in few words."""

import msgspec
import pytest

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import decode


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""
    inner: "Body | None" = None


def test_a_body_becomes_its_type() -> None:
    assert decode(b'{"inner": {"name": "a"}}', Body) == Body(inner=Body(name="a"))


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (b'{"name": 1}', "/name", "Expected `str`, got `int`"),
        (b'{"inner": {"other": 1}}', "/inner", "Object contains unknown field `other`"),
    ],
)
def test_what_does_not_fit_is_named(body: bytes, pointer: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        decode(body, Body)
    (violation,) = refusal.value.errors
    assert (violation.pointer, violation.message) == (pointer, said)


def test_a_refusal_is_short_however_long_a_name_is() -> None:
    with pytest.raises(InvalidInput) as refusal:
        decode(b'{"%b": 1}' % (b"x" * 1_000_000), Body)
    (violation,) = refusal.value.errors
    assert len(str(refusal.value)) == len(violation.message) < 300
    assert violation.message.endswith("xxx…`")
