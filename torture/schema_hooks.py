"""What schemathesis must know of the API besides its description; it imports this by name."""

import re
from collections.abc import Mapping
from typing import Any

import schemathesis

#: Rules that are said in words, because no schema can say them: a cursor comes from a page, an
#: operation takes one of two members, what is named must exist, one parameter excludes another.
SAID_IN_WORDS = frozenset(
    {
        *("cursor", "one-moment", "one-of", "precondition", "upload-length", "media-type"),
        *("upload-metadata", "digest", "absent", "text", "depth", "integer-range", "nul", "time"),
        *("merge-patch",),
    }
)
SAID_TYPES = frozenset({"urn:orchestrator:problem:digest-mismatch"})


@schemathesis.serializer("application/offset+octet-stream", "*/*")
def raw(_: Any, value: Any) -> bytes | None:
    """The bytes of blobs go as they are."""
    if isinstance(value, bytes):
        return value
    found = getattr(value, "data", None)
    return found if isinstance(found, bytes) else str(value).encode()


@schemathesis.check
def valid_requests_are_read(_: Any, response: Any, case: Any) -> None:
    """What is as the document says is refused as malformed only by a rule that it says in words."""
    if response.status_code != 400 or not _is_valid(case):
        return
    problem = response.json() if response.content else {}
    rules = {each["rule"] for each in problem.get("errors", [])}
    if rules <= SAID_IN_WORDS and (rules or problem.get("type") in SAID_TYPES):
        return
    raise AssertionError(f"A valid request was refused: {problem.get('detail')}")


def _is_valid(case: Any) -> bool:
    """Whether it was meant to be, and is: some headers that are made do not fit their patterns."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return False
    given: Mapping[str, Any] = case.headers or {}
    for parameter in case.operation.headers:
        pattern = parameter.definition.get("schema", {}).get("pattern")
        value = given.get(parameter.name)
        if pattern and value is not None and not re.fullmatch(pattern, str(value)):
            return False
    return True
