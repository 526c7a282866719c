"""The ways to name a version: a tag, a version of a tag, an artifact, a version hash or the first
digits of one; no lookup.
"""

import re
from typing import Annotated
from uuid import UUID

import msgspec

from orchestrator.core.digest import BLAKE3
from orchestrator.errors import InvalidInput
from orchestrator.models.name import TAG_LENGTH_MAX, TAG_TEXT_PATTERN, is_tag, parse_tag

_UUID_PATTERN = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(_UUID_PATTERN)
#: So many digits of a hash are enough, unless another hash begins with them, too.
HASH_DIGITS_MIN, HASH_DIGITS = 8, 64
_HASH_PREFIX = "blake3:"
_DIGITS_PATTERN = f"[0-9a-f]{{{HASH_DIGITS_MIN},{HASH_DIGITS}}}"
_DIGITS = re.compile(_DIGITS_PATTERN)
_VERSION_MAX = 2**63 - 1
_VERSION_PATTERN = "[1-9][0-9]{0,17}"  # Below the limit whatever the digits.
_NAME_PATTERN = rf"(?![0-9]+$)(?=[^@]{{1,{TAG_LENGTH_MAX}}}(?:@|$)){TAG_TEXT_PATTERN}"
_NAMED_PATTERN = (
    f"{_HASH_PREFIX}{_DIGITS_PATTERN}|{_UUID_PATTERN}"
    f"|{_NAME_PATTERN}(?:@{_VERSION_PATTERN})?|(?![0-9]+$){_DIGITS_PATTERN}"
)
#: As they are described: of no tag in particular, and where a version of a tag needs no name.
NamedText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^(?:{_NAMED_PATTERN})$"})]
ReferenceText = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"pattern": f"^(?:{_NAMED_PATTERN}|@?{_VERSION_PATTERN})$"}),
]


class HashRange(msgspec.Struct, frozen=True):
    """The version hashes that begin with some digits; one if all digits are there."""

    low: bytes
    high: bytes

    @classmethod
    def of(cls, digits: str) -> "HashRange":
        """From eight digits on."""
        algorithm = bytes([BLAKE3])
        return cls(
            algorithm + bytes.fromhex(digits.ljust(HASH_DIGITS, "0")),
            algorithm + bytes.fromhex(digits.ljust(HASH_DIGITS, "f")),
        )


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of a tag (perhaps at a version), an artifact id and a version hash; or a text
    that is a hash unless there is such a tag.
    """

    text: str
    tag: str | None = None
    tag_version: int | None = None
    artifact_id: UUID | None = None
    hashes: HashRange | None = None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What a reference names: None if there is none. Some digits may begin several hashes."""

    artifact_id: UUID | None
    is_ambiguous: bool


def parse_reference(text: str, *, tag: str | None, pointer: str) -> Reference:
    """Read `name`, `name@3`, `3` or `@3` (of `tag`, if given), an artifact id, `blake3:…`, or the
    first digits of that.
    """
    if text.startswith(_HASH_PREFIX):
        digits = text.removeprefix(_HASH_PREFIX)
        if not _DIGITS.fullmatch(digits):
            raise InvalidInput.at(
                pointer,
                "version-hash",
                f"A version hash is 'blake3:' and {HASH_DIGITS} lower-case hex digits, of which "
                f"the first {HASH_DIGITS_MIN} are enough.",
            )
        return Reference(text=text, hashes=HashRange.of(digits))
    if _UUID.fullmatch(text):
        return Reference(text=text, artifact_id=UUID(text))
    name, at, version = text.rpartition("@") if "@" in text else ("", "", text)
    if version.isascii() and version.isdecimal() and (at or not name):
        number = int(version[:20])
        if not 1 <= number <= _VERSION_MAX:
            raise InvalidInput.at(pointer, "range", "The versions of a tag begin at 1.")
        if not name and tag is None:
            raise InvalidInput.at(pointer, "tag", f"Of which tag? Write a name before {text!r}.")
        return Reference(
            text=text, tag=parse_tag(name, pointer) if name else tag, tag_version=number
        )
    if not _DIGITS.fullmatch(text):
        return Reference(text=text, tag=parse_tag(text, pointer))
    tag = text if is_tag(text) else None
    return Reference(text=text, tag=tag, hashes=HashRange.of(text))


def parse_id(text: str, pointer: str, kind: str = "An artifact") -> UUID:
    """An id in its canonical text form."""
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text.lower():
        raise InvalidInput.at(pointer, "uuid", f"{kind} id is a UUID.")
    return found
