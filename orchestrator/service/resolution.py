"""Rules of resolving a tag to a workflow: reads only, no HTTP, no SQL."""

from datetime import datetime

import structlog

from orchestrator.database import Connection
from orchestrator.digest import CasId
from orchestrator.errors import CorruptBlob, NotFound
from orchestrator.models.workflow import ResolvedWorkflow, WorkflowEntry
from orchestrator.repository.resolution import ResolutionRepository

log = structlog.get_logger()


class ResolutionService:
    """What a tag names now, named at a version, or named at a time: one query each."""

    def __init__(self, resolutions: ResolutionRepository) -> None:
        self._resolutions = resolutions

    async def resolve(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> ResolvedWorkflow:
        """NotFound when the tag did not exist then or names no workflow."""
        if version is not None:
            found = await self._resolutions.resolve_version(conn, namespace, tag, version)
        elif at is not None:
            found = await self._resolutions.resolve_at(conn, namespace, tag, at)
        else:
            found = await self._resolutions.resolve(conn, namespace, tag)
        if found is None:
            raise NotFound("workflow", tag)
        if CasId.of(found.content) != found.entry.version_hash:
            log.error("corrupt blob", cas_id=str(found.entry.version_hash))
            raise CorruptBlob(str(found.entry.version_hash))
        return found

    async def list_by_tag(
        self, conn: Connection, namespace: str, *, after: str = "", limit: int
    ) -> list[WorkflowEntry]:
        """A page of the tags that name workflows, by name."""
        return await self._resolutions.list_by_namespace(conn, namespace, after, limit)
