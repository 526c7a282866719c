"""The focused services, in order: no rule of its own, no SQL, no transaction, no HTTP."""

from collections.abc import Sequence
from datetime import datetime

from orchestrator.core.database import Connection
from orchestrator.errors import DomainError
from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.tag import ALWAYS, Condition, TagChange
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    PatchComponent,
    ResolvedWorkflow,
    WorkflowComponents,
    WorkflowEntry,
)
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.resolution import ResolutionService
from orchestrator.service.tag import TagService


class WorkflowService:
    """Workflows by tag: blob → artifact → tag, and back."""

    def __init__(
        self,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        resolutions: ResolutionService,
    ) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._resolutions = resolutions

    async def create(
        self, conn: Connection, new: NewWorkflow, *, condition: Condition = ALWAYS
    ) -> CreatedWorkflow:
        """Store the version and let the tag name it."""
        await self._cas.store_content(conn, new.content, WORKFLOW, cas_id=new.cas_id, by=new.by)
        artifact, is_new = await self._artifacts.find_or_create_dag_version(
            conn,
            new.namespace,
            new.cas_id,
            name=new.name,
            by=new.by,
            nodes_count=new.nodes_count,
            edges_count=new.edges_count,
        )
        change = await self._tags.put(
            conn,
            new.namespace,
            new.tag,
            artifact.artifact_id,
            by=new.by,
            message=new.message,
            condition=condition,
        )
        if is_new:
            await self.link_revision(conn, artifact, change)
        return CreatedWorkflow(artifact=artifact, change=change)

    async def link_revision(self, conn: Connection, artifact: Artifact, change: TagChange) -> None:
        """A new version put where a tag named another one comes from that one."""
        if change.action is not None and change.tag.from_id is not None:
            await self._artifacts.link(
                conn, artifact.artifact_id, change.tag.from_id, Relation.REVISION_OF
            )

    async def get_by_tag(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> ResolvedWorkflow:
        """The workflow after all patches: one query at any depth."""
        return await self._resolutions.resolve(conn, namespace, tag, version=version, at=at)

    async def get_by_tags(
        self, conn: Connection, wanted: Sequence[tuple[str, str]]
    ) -> list[ResolvedWorkflow | DomainError]:
        """The workflows that these (namespace, tag) name now, or why there is none: one query."""
        return await self._resolutions.resolve_many(conn, wanted)

    async def list_by_tag(
        self, conn: Connection, namespace: str, *, after: str = "", limit: int
    ) -> list[WorkflowEntry]:
        """A page of workflows by tag name, without their documents."""
        return await self._resolutions.list_by_tag(conn, namespace, after=after, limit=limit)

    async def get_components(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> WorkflowComponents:
        """Base and patches as they are stored: four queries at any depth."""
        resolved = await self._resolutions.resolve(conn, namespace, tag, version=version, at=at)
        head_id = resolved.entry.artifact_id
        chain = await self._artifacts.get_patch_chain(conn, namespace, head_id)
        base_id = chain[0].base_id if chain else head_id
        base = await self._artifacts.get_by_id(conn, namespace, base_id or head_id)
        names = [base.cas_id, *(patch.cas_id for patch in chain)]
        contents = await self._cas.get_content_bulk(conn, names)
        return WorkflowComponents(
            entry=resolved.entry,
            base=base,
            base_content=contents[base.cas_id],
            patches=tuple(
                PatchComponent(seq=seq, artifact=patch, operations=contents[patch.cas_id])
                for seq, patch in enumerate(chain, start=1)
            ),
        )
