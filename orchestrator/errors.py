"""The refusals of the domain, each with the names and numbers of what failed; no HTTP here.

Attributes become public members of the problem document, so an error stores names, versions and
limits, never content.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

#: What one refusal lists; the last one says that there are more.
VIOLATIONS_MAX = 100
VIOLATIONS_BYTES_MAX = 64 * 1024


class Violation(msgspec.Struct, frozen=True):
    """One broken rule: where (an RFC 6901 pointer), which rule, and a sentence for a person."""

    pointer: str
    rule: str
    message: str


def first_listed(items: Iterable[T]) -> list[T]:
    """As many of them as one answer may list."""
    listed: list[T] = []
    room_bytes = VIOLATIONS_BYTES_MAX
    for item in islice(items, VIOLATIONS_MAX):
        room_bytes -= len(msgspec.json.encode(item))
        if room_bytes < 0:
            break
        listed.append(item)
    return listed


def listed_violations(violations: Sequence[Violation]) -> list[Violation]:
    """As many of them as a refusal may list, one at least."""
    return _listed(violations, "more-violations", "The list ends here: more rules are broken.")


def listed_warnings(warnings: Sequence[Violation]) -> list[Violation]:
    """As many of them as an answer may list."""
    return _listed(warnings, "more-warnings", "The list ends here: there are more warnings.")


def _listed(violations: Sequence[Violation], more: str, message: str) -> list[Violation]:
    listed = first_listed(violations) or list(violations[:1])
    if len(listed) < len(violations):
        listed.append(Violation("", more, message))
    return listed


class Current(msgspec.Struct, frozen=True):
    """How the thing is instead of how the request expected it; a version of None: it is absent."""

    version: int | None
    artifact_id: str | msgspec.UnsetType | None = msgspec.UNSET
    version_hash: str | msgspec.UnsetType = msgspec.UNSET


class DomainError(Exception):
    """Anything the domain refuses. `str(error)` is a sentence that may be shown to the caller."""

    #: Which one of several operations that were requested together was refused.
    operation: int | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy the state, not the call that made the error: so another process can be sent it."""
        return _same, (type(self), str(self)), vars(self)

    @property
    def short(self) -> str | None:
        """What it is in a few words, if its kind alone does not say it."""
        return None


def _same(kind: type[DomainError], detail: str) -> DomainError:
    error = kind.__new__(kind, detail)
    DomainError.__init__(error, detail)
    return error


def accepted(outcome: T | DomainError) -> T:
    """The outcome of one of several requests; raises the refusal if it is one."""
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


class InvalidInput(DomainError):
    """The input is malformed: it cannot be read as what it claims to be."""

    def __init__(self, detail: str, errors: Sequence[Violation] = ()) -> None:
        super().__init__(detail)
        if errors:
            self.errors = listed_violations(errors)

    @classmethod
    def at(cls, pointer: str, rule: str, message: str) -> "InvalidInput":
        """One violation is also the sentence."""
        return cls(message, [Violation(pointer, rule, message)])


class RuleBroken(DomainError):
    """The input is well-formed and breaks rules: the first of them are listed."""

    def __init__(self, detail: str, errors: Sequence[Violation]) -> None:
        super().__init__(detail)
        self.errors = listed_violations(errors)


class NotFound(DomainError):
    """What was named does not exist, or the caller may not know of it."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"The {kind} {key!r} does not exist.")
        self.kind, self.key = kind, key

    @property
    def short(self) -> str:
        """What was not found."""
        return f"{self.kind} not found"


class AmbiguousHash(DomainError):
    """Several hashes begin with the digits that were given."""

    def __init__(self, key: str) -> None:
        super().__init__(f"More than one version hash begins with {key!r}: give more digits of it.")
        self.key = key


class AlreadyExists(DomainError):
    """A create found the name taken; nothing was changed."""

    def __init__(self, kind: str, key: str, current: Current | None = None) -> None:
        super().__init__(f"The {kind} {key!r} already exists.")
        self.kind, self.key, self.current = kind, key, current

    @property
    def short(self) -> str:
        """What already exists."""
        return f"{self.kind} already exists"


class WrongKind(DomainError):
    """What was named is an artifact of another kind than this operation is for."""

    def __init__(self, wanted: str, key: str, *, artifact_id: str, kind: str) -> None:
        super().__init__(f"{key!r} names an artifact of kind '{kind}', not a {wanted}.")
        self.wanted, self.key, self.artifact_id, self.kind = wanted, key, artifact_id, kind

    @property
    def short(self) -> str:
        """What it is not."""
        return f"not a {self.wanted}"


class VersionConflict(DomainError):
    """The thing is no longer at the version that the request expected; nothing was changed."""

    def __init__(self, kind: str, key: str, expected: int, current: Current | None = None) -> None:
        super().__init__(f"The {kind} {key!r} is not at the expected version {expected}.")
        self.kind, self.key, self.expected_version, self.current = kind, key, expected, current


class PreconditionFailed(DomainError):
    """A precondition header (RFC 9110 §13) does not hold; nothing was changed."""

    def __init__(self, kind: str, key: str, condition: str, current: Current | None = None) -> None:
        super().__init__(f"The precondition {condition} does not hold for the {kind} {key!r}.")
        self.kind, self.key, self.condition, self.current = kind, key, condition, current


class TooLarge(DomainError):
    """A body or document is over its limit."""

    def __init__(self, kind: str, limit_bytes: int, size_bytes: int | None = None) -> None:
        size = "more" if size_bytes is None else f"{size_bytes} bytes"
        super().__init__(f"A {kind} may have at most {limit_bytes} bytes; this one has {size}.")
        self.kind, self.limit_bytes = kind, limit_bytes


class TooComplex(DomainError):
    """To compute it takes more time, or more memory, than one request may use; nothing was stored.

    The same request would be refused again.
    """

    def __init__(
        self, *, limit_seconds: float | None = None, limit_bytes: int | None = None
    ) -> None:
        if limit_seconds is None:
            most, self.limit_bytes = f"{limit_bytes} bytes of memory", limit_bytes
        else:
            most, self.limit_seconds = f"{limit_seconds:g} seconds of computation", limit_seconds
        super().__init__(f"This is too complex: one request may take {most}.")


class Overloaded(DomainError):
    """Too much waits to be computed; nothing was done, and a later request may succeed."""

    def __init__(self) -> None:
        super().__init__("Too much waits to be computed here now; try again.")


class CallerLeft(DomainError):
    """The caller closed the connection, so what it wanted was not done. Nobody reads this."""

    def __init__(self) -> None:
        super().__init__("The caller closed the connection before there was an answer.")


class DigestMismatch(DomainError):
    """The content sent is not the content that the name promises; nothing was stored."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"The content is {actual}, not {expected}.")
        self.expected, self.actual = expected, actual


class CorruptBlob(DomainError):
    """Stored bytes do not match their name: they are never served as good."""

    def __init__(self, cas_id: str) -> None:
        super().__init__(f"The stored bytes of {cas_id} do not match their name.")
        self.cas_id = cas_id


class MaintenanceHeld(DomainError):
    """Nothing may be deleted now, because a copy of everything is being made."""

    def __init__(self) -> None:
        super().__init__(
            "A backup is running: nothing is deleted until it is done. Try again then."
        )


class StorageUnavailable(DomainError):
    """The database or blob storage cannot answer now; nothing was acknowledged."""

    def __init__(self, detail: str = "The database cannot answer now.") -> None:
        super().__init__(detail)


class Contended(StorageUnavailable):
    """Another request was in the way at this moment; nothing was changed."""

    def __init__(
        self, detail: str = "Another request is changing the same thing; nothing was changed."
    ) -> None:
        super().__init__(detail)


class Locked(Contended):
    """Another request had locked what this one needs, and did not end in time."""


class OutcomeUnknown(StorageUnavailable):
    """The database was lost before it confirmed a write, which may have taken place."""

    def __init__(
        self,
        detail: str = "The database was lost before it confirmed the write; look what is there.",
    ) -> None:
        super().__init__(detail)


class OutcomeUnknownToKey(OutcomeUnknown):
    """The outcome is unknown, and the write has an Idempotency-Key, so it can be sent again."""

    def __init__(self) -> None:
        super().__init__(
            "The database was lost before it confirmed the write; send it again with the same "
            "Idempotency-Key: it is made once."
        )


class StorageFull(DomainError):
    """There is no room for a write; reads go on."""

    def __init__(self, detail: str = "The storage has no room for this write.") -> None:
        super().__init__(detail)
