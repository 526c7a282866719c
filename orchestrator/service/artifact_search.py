"""Pages of the catalogue, whatever is asked for: reads only, no HTTP, no SQL."""

from typing import TypeVar
from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.models.found import Found
from orchestrator.repository.artifact_search import ArtifactSearchRepository

K = TypeVar("K")


class ArtifactSearchService:
    """A page looks at a limited number of rows; then it ends, and says where."""

    def __init__(self, artifacts: ArtifactSearchRepository, *, rows_max: int) -> None:
        self._artifacts = artifacts
        self._rows_max = rows_max

    async def list_newest(
        self,
        conn: Connection,
        namespace: str,
        wanted: ArtifactFilter,
        *,
        before: UUID,
        limit: int,
        total: bool = False,
    ) -> Found[Artifact, UUID]:
        """A page of what a filter lets through, newest first."""
        page = await self._artifacts.list_newest(
            conn, namespace, wanted, before, self._rows_max, limit
        )
        return await self._counted(conn, namespace, wanted, page) if total else page

    async def list_by_prefix(
        self,
        conn: Connection,
        namespace: str,
        wanted: ArtifactFilter,
        *,
        after: tuple[str, UUID],
        limit: int,
        total: bool = False,
    ) -> Found[Artifact, tuple[str, UUID]]:
        """A page of those whose name begins as the filter says, in the order of names."""
        page = await self._artifacts.list_by_prefix(
            conn, namespace, wanted, after, self._rows_max, limit
        )
        return await self._counted(conn, namespace, wanted, page) if total else page

    async def _counted(
        self, conn: Connection, namespace: str, wanted: ArtifactFilter, page: Found[Artifact, K]
    ) -> Found[Artifact, K]:
        total = await self._artifacts.count(conn, namespace, wanted, self._rows_max)
        return replace(page, total=total)
