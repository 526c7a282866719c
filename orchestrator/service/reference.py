"""What references name, many at once: no HTTP, no SQL, no transaction opened."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.errors import AmbiguousHash, DomainError, NotFound
from orchestrator.models.reference import Reference, Resolved
from orchestrator.repository.reference import ReferenceRepository


class ReferenceService:
    """Finds artifacts by a tag, a version of a tag, an id or a hash."""

    def __init__(self, references: ReferenceRepository) -> None:
        self._references = references

    async def find(
        self, conn: Connection, namespace: str, references: Sequence[Reference]
    ) -> list[UUID | DomainError]:
        """The artifact that each names, which is not locked, or that there is none.

        An id names itself: whether its artifact exists is seen by whoever uses it.
        """
        unknown = [each for each in references if each.artifact_id is None]
        found = iter(await self._references.resolve(conn, namespace, unknown) if unknown else ())
        return [each.artifact_id or _found(each, next(found)) for each in references]


def _found(reference: Reference, resolved: Resolved) -> UUID | DomainError:
    if resolved.is_ambiguous:
        return AmbiguousHash(reference.text)
    if resolved.artifact_id is None:
        if reference.tag is None:
            return NotFound("version", reference.text)
        if reference.tag_version is None:
            return NotFound("tag", reference.tag)
        return NotFound("version", f"{reference.tag}@{reference.tag_version}")
    return resolved.artifact_id
