"""Preconditions in headers (RFC 9110 §13.1): what a request demands before it is served.

The entity tag of a tag is its version, that of a workflow is its version hash.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.errors import (
    AlreadyExists,
    Current,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    VersionConflict,
)
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.reply import VARY, etag, not_modified
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import Condition

#: The versions that a bigint can hold, and no other digits that Python reads as a number.
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_ETAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)')
#: A compressed answer has an entity tag of its own, which ends so (RFC 9110 §8.8.3.3).
_CODED = re.compile(";(?:gzip|zstd)$")


class Precondition(msgspec.Struct, frozen=True):
    """A condition on a tag, and the header that demanded it, if a header did."""

    condition: Condition
    header: str | None = None

    @property
    def versions(self) -> frozenset[int] | None:
        """The versions at which an existing tag may be: None accepts any, an absent one none."""
        return frozenset() if self.condition.absent else self.condition.versions

    @property
    def on_existing(self) -> Condition:
        """For a write that is possible only on a tag that exists."""
        return Condition(exists=True, versions=self.versions)


#: Without a condition.
ANYWHERE = Precondition(Condition())


def tag_precondition(
    call: Call, expected_version: int | None = None, *, if_match: bool = True
) -> Precondition:
    """`If-Match`, `If-None-Match: *` (RFC 9110 §13.1) or `expected_version` in the body.

    Where entity tags are not versions of a tag, `If-Match` is read elsewhere.
    """
    match = call.headers.get("if-match")
    none_match = call.headers.get("if-none-match")
    expected = None if expected_version is None else frozenset({expected_version})
    if none_match is not None:
        if none_match.strip() != "*" or match is not None or expected is not None:
            message = "A write takes either If-None-Match: * or an expected version, not both."
            raise InvalidInput.at("/If-None-Match", "precondition", message)
        return Precondition(Condition(absent=True), "If-None-Match: *")
    if not if_match:
        match = None
    if match is None:
        return Precondition(Condition(exists=expected is not None, versions=expected))
    if match.strip() != "*":
        listed = frozenset(int(tag) for tag in _etags(match, "If-Match") if _VERSION.fullmatch(tag))
        expected = listed if expected is None else listed & expected
    return Precondition(Condition(exists=True, versions=expected), f"If-Match: {match}")


class HashPrecondition(msgspec.Struct, frozen=True):
    """What `If-Match` demands of the workflow that a tag names: the entity tag is its hash. And
    what the request itself expects: a version of the tag.
    """

    header: str | None = None
    #: None accepts any version, an empty set none.
    hashes: frozenset[str] | None = None
    absent: bool = False
    expected_version: int | None = None

    @property
    def names_version(self) -> bool:
        """Whether only certain versions will do."""
        return self.hashes is not None or self.expected_version is not None

    def check(self, tag: str, tag_version: int, version_hash: object) -> None:
        """Raise PreconditionFailed unless the current version is one of those demanded, and
        VersionConflict if it is not the expected one.
        """
        if not self.names_version:
            return
        current = Current(tag_version, version_hash=str(version_hash))
        if self.hashes is not None and str(version_hash) not in self.hashes:
            raise self.failed(tag, current)
        if self.expected_version not in (None, tag_version):
            raise VersionConflict("workflow", tag, self.expected_version, current)

    def failed(self, tag: str, current: Current | None) -> PreconditionFailed:
        """The refusal that names what is there instead."""
        return PreconditionFailed("workflow", tag, self.header or "", current)


def workflow_precondition(call: Call, expected_version: int | None = None) -> HashPrecondition:
    """`If-Match` on a workflow, with its version hashes or `*`, and the expected version."""
    match = call.headers.get("if-match")
    if (call.headers.get("if-none-match") or "").strip() == "*" and match is None:
        return HashPrecondition("If-None-Match: *", frozenset(), absent=True)
    if match is None:
        return HashPrecondition(expected_version=expected_version)
    header, hashes = f"If-Match: {match}", None
    if match.strip() != "*":
        hashes = frozenset(_etags(match, "If-Match"))
    return HashPrecondition(header, hashes, expected_version=expected_version)


def only_hash(call: Call) -> CasId | None:
    """The one version hash that `If-Match` names, for an operation that must know it; else None."""
    match = call.headers.get("if-match")
    if match is None:
        return None
    found = [] if match.strip() == "*" else _etags(match, "If-Match")
    if len(found) != 1:
        message = "To merge, If-Match names one version hash."
        raise InvalidInput.at("/If-Match", "precondition", message)
    return CasId.parse(found[0], "/If-Match")


@contextmanager
def hash_guard(precondition: HashPrecondition, tag: str) -> Iterator[None]:
    """A lost race is 412 when a header demanded the version, 409 otherwise."""
    try:
        yield
    except VersionConflict as error:
        if precondition.header is None:
            raise
        raise precondition.failed(tag, error.current) from error
    except NotFound as error:
        if precondition.header is None or precondition.absent or error.kind != "workflow":
            raise
        raise precondition.failed(tag, Current(None)) from error


def check_if_match(
    call: Call, tag: str, kind: str, key: str, current: Current | None = None, *, coded: bool = True
) -> None:
    """A read of something else than `If-Match` lists is not performed (RFC 9110 §13.1.1).

    Unless it matters which, the tag of any encoding of the answer is the tag of the answer.
    """
    given = call.headers.get("if-match")
    if given is None or given.strip() == "*":
        return
    listed = _etags(given, "If-Match") if coded else _exact_etags(given, "If-Match")
    if tag not in listed:
        raise PreconditionFailed(kind, key, f"If-Match: {given}", current)


def had(call: Call, *tags: str) -> str | None:
    """Which of these, the best first, `If-None-Match` lists: then the answer is 304."""
    given = call.headers.get("if-none-match")
    if given is None:
        return None
    if given.strip() == "*":
        return tags[0]
    listed = _exact_etags(given, "If-None-Match", weak=True)
    return next((tag for tag in tags if tag in listed), None)


def unchanged(call: Call, tag: str, headers: Mapping[str, str] | None = None) -> Answer | None:
    """304 with the entity tag that the caller has, whatever its encoding; None if it has none."""
    if "if-none-match" not in call.headers:
        return None
    known = had(call, tag, f"{tag};zstd", f"{tag};gzip")
    if known is None:
        return None
    return not_modified({**(headers or {}), **VARY, "ETag": etag(known)})


def _etags(given: str, header: str) -> list[str]:
    """The strong ones of a list, each as that of the answer before it was compressed."""
    return [_CODED.sub("", tag) for tag in _exact_etags(given, header)]


def _exact_etags(given: str, header: str, *, weak: bool = False) -> list[str]:
    """The opaque parts of a list of entity tags; weak ones only where the comparison is weak."""
    found: list[str] = []
    position = 0
    while True:
        match = _ETAG.match(given, position)
        if match is None:
            message = f'{header} is "*" or a list of quoted entity tags.'
            raise InvalidInput.at(f"/{header}", "entity-tag", message)
        if weak or not match[1]:
            found.append(match[2])
        position = match.end()
        if position == len(given):
            return found


@contextmanager
def precondition_guard(precondition: Precondition) -> Iterator[None]:
    """A conflict over what a header demanded is 412, over what the body expected 409."""
    try:
        yield
    except (VersionConflict, AlreadyExists, NotFound) as error:
        condition_held = isinstance(error, NotFound) and precondition.condition.absent
        if precondition.header is None or error.kind != "tag" or condition_held:
            raise
        current = None if isinstance(error, NotFound) else error.current
        absent = Current(None, artifact_id=None)
        raise PreconditionFailed(
            "tag", error.key, precondition.header, current or absent
        ) from error
