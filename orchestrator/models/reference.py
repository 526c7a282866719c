"""The ways to name a version: a tag, a version of a tag, an artifact, a version hash; no lookup."""

import re
from typing import Annotated
from uuid import UUID

import msgspec

from orchestrator.core.digest import CAS_ID_PATTERN, CasId
from orchestrator.errors import InvalidInput
from orchestrator.models.name import TAG_LENGTH_MAX, TAG_TEXT_PATTERN, parse_tag

_UUID_PATTERN = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(_UUID_PATTERN)
_VERSION_MAX = 2**63 - 1
_VERSION_PATTERN = "[1-9][0-9]{0,17}"  # Below the limit whatever the digits.
_NAME_PATTERN = rf"(?![0-9]+$)(?=[^@]{{1,{TAG_LENGTH_MAX}}}(?:@|$)){TAG_TEXT_PATTERN}"
#: As it is described.
ReferenceText = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={
            "pattern": f"^(?:{CAS_ID_PATTERN}|{_UUID_PATTERN}|@?{_VERSION_PATTERN}"
            f"|{_NAME_PATTERN}(?:@{_VERSION_PATTERN})?)$"
        }
    ),
]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of a tag (perhaps at a version), an artifact id and a version hash."""

    text: str
    tag: str | None = None
    tag_version: int | None = None
    artifact_id: UUID | None = None
    version_hash: CasId | None = None


def parse_reference(text: str, *, tag: str | None, pointer: str) -> Reference:
    """Read `name`, `name@3`, `3` or `@3` (of `tag`, if given), an artifact id, or `blake3:…`."""
    if text.startswith("blake3:"):
        return Reference(text=text, version_hash=CasId.parse(text, pointer))
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
    return Reference(text=text, tag=parse_tag(text, pointer))


def parse_id(text: str, pointer: str, kind: str = "An artifact") -> UUID:
    """An id in its canonical text form."""
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text.lower():
        raise InvalidInput.at(pointer, "uuid", f"{kind} id is a UUID.")
    return found
