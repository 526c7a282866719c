"""The grammars of namespaces and tag names, checked once at the edge; no lookup."""

import re
from typing import Annotated

import msgspec

from orchestrator.errors import InvalidInput

TAG_LENGTH_MAX = 200
NAMESPACE_LENGTH_MAX = 255
# A namespace is an OCI repository name (distribution-spec, "Pulling manifests").
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
NAMESPACE_PATTERN = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*"

_NAMESPACE_GRAMMAR = (
    "lower-case letters and digits, separated by '.', '_', '__' or '-', in segments joined by '/'"
)
_TAG_GRAMMAR = (
    "letters, digits, '.', '_' and '-', in segments joined by '/' that start with a letter, a "
    "digit or '_'"
)

_NAMESPACE = re.compile(NAMESPACE_PATTERN)
_TAG = re.compile(TAG_PATTERN)
# Such names would be read as an artifact id or a bare digest.
_HEX = "[0-9A-Fa-f]"
_MISLEADING_PATTERN = rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}|{_HEX}{{32}}|{_HEX}{{64}}"
_MISLEADING = re.compile(_MISLEADING_PATTERN)
_RESERVED = "_global_"

#: As they are described. Parsing checks them, and says which rule is broken.
NamespaceText = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={"pattern": f"^{NAMESPACE_PATTERN}$", "maxLength": NAMESPACE_LENGTH_MAX}
    ),
]
IdText = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
#: What may follow a tag's name in a reference is its version.
TAG_TEXT_PATTERN = rf"(?!{_RESERVED}|(?:{_MISLEADING_PATTERN})(?:@|$)){TAG_PATTERN}"
TagText = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={"pattern": f"^{TAG_TEXT_PATTERN}$", "maxLength": TAG_LENGTH_MAX}
    ),
]


def parse_namespace(text: str, pointer: str = "/namespace") -> str:
    """Return the text, or raise InvalidInput that says which rule it breaks."""
    _check_length(text, NAMESPACE_LENGTH_MAX, pointer)
    if not _NAMESPACE.fullmatch(text):
        raise _invalid(pointer, "namespace-grammar", _NAMESPACE_GRAMMAR)
    return text


def parse_tag(text: str, pointer: str = "/tag") -> str:
    """Return the text, or raise InvalidInput that says which rule it breaks."""
    _check_length(text, TAG_LENGTH_MAX, pointer)
    if not _TAG.fullmatch(text):
        raise _invalid(pointer, "tag-grammar", _TAG_GRAMMAR)
    if _MISLEADING.fullmatch(text):
        raise _invalid(pointer, "tag-misleading", "something that cannot be read as an id or hash")
    if text.startswith(_RESERVED):
        raise _invalid(pointer, "tag-reserved", f"a name that does not start with {_RESERVED!r}")
    return text


def is_tag(text: str) -> bool:
    """Whether a tag may be called so."""
    try:
        parse_tag(text)
    except InvalidInput:
        return False
    return True


def _check_length(text: str, length_max: int, pointer: str) -> None:
    if len(text) > length_max:
        raise _invalid(pointer, "length", f"at most {length_max} characters")


def _invalid(pointer: str, rule: str, expected: str) -> InvalidInput:
    field = pointer.rpartition("/")[2]
    return InvalidInput.at(pointer, rule, f"The {field} must be {expected}.")
