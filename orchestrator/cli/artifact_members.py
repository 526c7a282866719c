"""What is said of an artifact on the command line: its meta and its parents; nothing is sent."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.cli.documents import read_document
from orchestrator.cli.failure import InvalidContent, WrongUsage
from orchestrator.cli.reference import parent_reference
from orchestrator.errors import InvalidInput


def meta_in(pairs: Iterable[str], file: Path | None = None) -> dict[str, Any]:
    """The members of a file and of KEY=VALUE pairs together; none may be there twice."""
    meta: dict[str, Any] = {}
    if file is not None:
        found = read_document(file).value
        if not isinstance(found, dict):
            raise InvalidContent(f"{file}: meta is an object.")
        meta = found
    for key, text in members_in(pairs).items():
        if key in meta:
            raise WrongUsage(f"The member {key!r} is in {file}, too.")
        meta[key] = _value(text)
    return meta


def members_in(pairs: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE, each key once; there may be a = in the value, too."""
    members: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise WrongUsage(f"{pair!r} says nothing: write KEY=VALUE.")
        if key in members:
            raise WrongUsage(f"The member {key!r} is given twice.")
        members[key] = text
    return members


def _value(text: str) -> str | float | None:
    """A number, true, false or null if JSON writes it just so. Else it is text: 1.10 and 1e5 are
    versions or hashes more often than numbers, and as numbers they would not come back like this.
    """
    from orchestrator.documents.canonical import canonicalise, parse

    try:
        value = parse(text.encode(), bytes_max=len(text.encode()))
    except InvalidInput:
        return text
    is_exact = isinstance(value, int | float | None) and canonicalise(value) == text.encode()
    # The types of `value` that are left are these, which mypy does not see.
    return value if is_exact else text  # type: ignore[return-value]


def parent_in(text: str) -> dict[str, str]:
    """REF or RELATION=REF: no reference has a = in it."""
    relation, equals, name = text.partition("=")
    return {**parent_reference(name), "relation": relation} if equals else parent_reference(text)
