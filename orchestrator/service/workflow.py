"""The focused services, in order: no rule of its own, no SQL, no transaction, no HTTP."""

from collections.abc import Sequence
from datetime import datetime

from orchestrator.core.database import Connection
from orchestrator.errors import DomainError
from orchestrator.models.artifact import WORKFLOW_KINDS, Artifact, Link, Relation
from orchestrator.models.artifact_manifest import NamedBlobs
from orchestrator.models.tag import TagChange
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    PatchComponent,
    ResolvedWorkflow,
    WorkflowComponents,
)
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.workflow_join import WorkflowJoinService


class WorkflowService:
    """Workflows by tag: blob → artifact → tag, and back."""

    def __init__(
        self,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        joins: WorkflowJoinService,
        references: BlobReferenceService,
    ) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._joins = joins
        self._references = references

    async def create(
        self, conn: Connection, new: Sequence[NewWorkflow]
    ) -> list[CreatedWorkflow | DomainError]:
        """Store versions and let tags name them, each tag at most once.

        What is refused leaves its version behind: then the caller rolls back.
        """
        await self._cas.store_documents(conn, [each.document() for each in new])
        versions = await self._artifacts.find_or_create_dag_versions(
            conn, [each.version() for each in new]
        )
        orders = [
            each.order(artifact.artifact_id)
            for each, (artifact, _) in zip(new, versions, strict=True)
        ]
        outcomes = await self._tags.put(conn, orders)
        await self.link_revisions(conn, versions, outcomes)
        missing = await self._references.refer(
            conn,
            [
                NamedBlobs(artifact=artifact, names=each.references, is_new=is_new, by=each.by)
                for each, (artifact, is_new) in zip(new, versions, strict=True)
            ],
        )
        return [
            outcome
            if isinstance(outcome, DomainError)
            else CreatedWorkflow(artifact=artifact, change=outcome, missing_blobs=absent)
            for (artifact, _), outcome, absent in zip(versions, outcomes, missing, strict=True)
        ]

    async def link_revisions(
        self,
        conn: Connection,
        versions: Sequence[tuple[Artifact, bool]],
        outcomes: Sequence[TagChange | DomainError],
    ) -> None:
        """A new version that was put where a tag named another one comes from that one."""
        links = [
            Link(
                child_id=artifact.artifact_id,
                parent_id=outcome.replaced_id,
                relation=Relation.REVISION_OF,
            )
            for (artifact, is_new), outcome in zip(versions, outcomes, strict=True)
            if is_new and isinstance(outcome, TagChange) and outcome.replaced_id is not None
        ]
        await self._artifacts.link_all(conn, links)

    async def list_before(
        self, conn: Connection, namespace: str, changes: Sequence[TagChange]
    ) -> list[bytes | None]:
        """The workflow that each tag named before a change; None if it named none."""
        before_ids = [change.before_id for change in changes]
        wanted = {each for each in before_ids if each is not None}
        artifacts = await self._artifacts.list_by_id(conn, namespace, wanted)
        hashes = {
            artifact_id: artifact.version_hash
            for artifact_id, artifact in artifacts.items()
            if artifact.kind in WORKFLOW_KINDS and artifact.version_hash is not None
        }
        contents = await self._cas.get_content_bulk(conn, list({*hashes.values()}))
        return [contents[hashes[each]] if each in hashes else None for each in before_ids]

    async def create_new(
        self, conn: Connection, new: Sequence[NewWorkflow]
    ) -> list[CreatedWorkflow | None]:
        """`create` in one statement, where the content is new and nothing is demanded of the tag;
        None where the content is there already.
        """
        return await self._joins.create_new(conn, new)

    async def get_by_tag(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        moment: int | datetime | None = None,
    ) -> ResolvedWorkflow:
        """The workflow after all patches: one query at any depth."""
        return await self._joins.resolve(conn, namespace, tag, moment)

    async def get_by_tags(
        self, conn: Connection, wanted: Sequence[tuple[str, str]]
    ) -> list[ResolvedWorkflow | DomainError]:
        """The workflows that these (namespace, tag) name now, or why there is none: one query."""
        return await self._joins.resolve_many(conn, wanted)

    async def get_components(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        moment: int | datetime | None = None,
    ) -> WorkflowComponents:
        """Base and patches as they are stored: four queries at any depth."""
        resolved = await self._joins.resolve(conn, namespace, tag, moment)
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
