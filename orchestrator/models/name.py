"""The grammars of namespaces and tag names, checked once at the edge; no lookup."""

import re

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
_MISLEADING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{64}",
    re.IGNORECASE,
)


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
    if text.startswith("_global_"):
        raise _invalid(pointer, "tag-reserved", "a name that does not start with '_global_'")
    return text


def _check_length(text: str, length_max: int, pointer: str) -> None:
    if len(text) > length_max:
        raise _invalid(pointer, "length", f"at most {length_max} characters")


def _invalid(pointer: str, rule: str, expected: str) -> InvalidInput:
    field = pointer.rpartition("/")[2]
    return InvalidInput.at(pointer, rule, f"The {field} must be {expected}.")
