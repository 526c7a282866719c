"""What references name, many at once: no HTTP, no SQL, no transaction opened."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.errors import DomainError, NotFound
from orchestrator.models.reference import Reference
from orchestrator.repository.reference import ReferenceRepository


class ReferenceService:
    """Finds artifacts by a tag, a version of a tag, an id or a hash."""

    def __init__(self, references: ReferenceRepository) -> None:
        self._references = references

    async def find(
        self, conn: Connection, namespace: str, references: Sequence[Reference]
    ) -> list[UUID | DomainError]:
        """The artifact that each names, which is not locked, or that there is none."""
        if not references:
            return []
        found = await self._references.resolve(conn, namespace, references)
        return [
            _not_found(reference) if artifact_id is None else artifact_id
            for reference, artifact_id in zip(references, found, strict=True)
        ]


def _not_found(reference: Reference) -> NotFound:
    if reference.artifact_id is not None:
        return NotFound("artifact", reference.text)
    return NotFound("tag" if reference.tag else "version", reference.tag or reference.text)
