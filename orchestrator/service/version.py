"""Versions and chains, read through the focused services: no SQL, no HTTP, no transaction.

How a version is made from others is in `version_change`.
"""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import NotFound, WrongKind, accepted
from orchestrator.models.artifact import WORKFLOW_KINDS, Artifact
from orchestrator.models.reference import Reference
from orchestrator.models.version import Head, WorkflowVersion
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_manifest import has_manifest
from orchestrator.service.cas import CASService
from orchestrator.service.reference import ReferenceService
from orchestrator.service.tag import TagService


class VersionService:
    """Finds the version that a tag or a reference names, and what is around it in its chain."""

    def __init__(
        self,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        references: ReferenceService,
        *,
        equal_versions_max: int,
    ) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._references = references
        #: Of versions with one hash so many are looked at, the newest first.
        self._equal_versions_max = equal_versions_max

    async def get_head(self, conn: Connection, namespace: str, tag: str) -> Head:
        """What the tag names now; NotFound when it names no workflow."""
        try:
            current = await self._tags.get(conn, namespace, tag)
        except NotFound:
            raise NotFound("workflow", tag) from None
        if current.target_id is None:
            raise NotFound("workflow", tag)
        artifact = await self._artifacts.get_by_id(conn, namespace, current.target_id)
        return Head(
            tag=tag,
            tag_version=current.version,
            version=await self.with_content(conn, artifact),
        )

    async def get(self, conn: Connection, namespace: str, reference: Reference) -> WorkflowVersion:
        """The version that a reference names."""
        return await self.with_content(conn, await self.find(conn, namespace, reference))

    async def get_comparable(
        self, conn: Connection, namespace: str, references: Sequence[Reference]
    ) -> list[WorkflowVersion]:
        """The documents that references name: versions of workflows, or else manifests. WrongKind
        if they are of both sorts, or have no document.
        """
        found = [await self.find(conn, namespace, each) for each in references]
        if not all(has_manifest(each.kind) for each in found):
            return [await self.with_content(conn, each) for each in found]
        hashes = [each.cas_id for each in found]
        contents = await self._cas.get_content_bulk(conn, hashes)
        return [WorkflowVersion(artifact=each, content=contents[each.cas_id]) for each in found]

    async def find(
        self, conn: Connection, namespace: str, reference: Reference, *, locked: bool = False
    ) -> Artifact:
        """The artifact that a reference names; lock it if this transaction will refer to it."""
        (found,) = await self._references.find(conn, namespace, [reference])
        return await self._artifacts.get_by_id(conn, namespace, accepted(found), locked=locked)

    async def find_known(
        self, conn: Connection, head: Head, named: int | CasId
    ) -> WorkflowVersion | None:
        """The version that the tag had at a version of its own; or one of this hash that it ever
        named or that its head comes from. None if there is none.
        """
        namespace = head.version.artifact.namespace
        if isinstance(named, int):
            try:
                move = await self._tags.at_version(conn, namespace, head.tag, named)
                assert move.to_id is not None  # Else it were no version.
                artifact = await self._artifacts.get_by_id(conn, namespace, move.to_id)
                return await self.with_content(conn, artifact)
            except (NotFound, WrongKind):
                return None
        equal = await self._artifacts.list_equal(
            conn, namespace, named, limit=self._equal_versions_max
        )
        ids = [each.artifact_id for each in equal]
        if await self._tags.has_named(conn, namespace, head.tag, ids):
            return await self.with_content(conn, equal[0])
        for each in equal:
            found = await self._artifacts.list_common_ancestors(
                conn, each, head.version.artifact, limit=1
            )
            if found == [each]:
                return await self.with_content(conn, each)
        return None

    async def with_content(self, conn: Connection, artifact: Artifact) -> WorkflowVersion:
        """The artifact with its workflow; WrongKind when it is no version of one."""
        if artifact.version_hash is None or artifact.kind not in WORKFLOW_KINDS:
            key = str(artifact.artifact_id)
            raise WrongKind("workflow", key, artifact_id=key, kind=artifact.kind)
        contents = await self._cas.get_content_bulk(conn, [artifact.version_hash])
        return WorkflowVersion(artifact=artifact, content=contents[artifact.version_hash])

    async def list_versions(
        self, conn: Connection, namespace: str, from_: Artifact, *, limit: int
    ) -> list[Artifact]:
        """A page of the chain, from this version down to its base."""
        return await self._artifacts.list_versions(conn, namespace, from_.artifact_id, limit=limit)

    async def get_at_seq(
        self, conn: Connection, namespace: str, head: Artifact, seq: int
    ) -> WorkflowVersion:
        """The version at a position of the chain: 0 is the base, n the n-th patch on it."""
        at = await self._artifacts.get_at_depth(conn, namespace, head.artifact_id, seq)
        return await self.with_content(conn, at)

    async def get_before(
        self,
        conn: Connection,
        namespace: str,
        version: WorkflowVersion,
        reference: Reference | None,
    ) -> WorkflowVersion:
        """The version that this one was made from.

        A patch knows it. A whole version is shared by all tags that ever named its content: what
        it was before is a matter of the tag that the reference names, else of its one parent.
        """
        artifact = version.artifact
        below = artifact.previous_id or artifact.base_id
        if below is None and reference is not None and reference.tag is not None:
            below = await self._replaced(conn, namespace, reference, artifact)
        elif below is None:
            below = await self._artifacts.get_parent_id(conn, artifact)
        if below is None:
            raise NotFound("parent", str(artifact.artifact_id))
        parent = await self._artifacts.get_by_id(conn, namespace, below)
        return await self.with_content(conn, parent)

    async def _replaced(
        self, conn: Connection, namespace: str, reference: Reference, artifact: Artifact
    ) -> UUID | None:
        """What the tag named before the move that the reference is about."""
        name = reference.tag or ""
        if reference.tag_version is None:
            try:
                return (await self._tags.get(conn, namespace, name)).from_id
            except NotFound:
                if reference.hashes is None:
                    raise
                # There is no such tag: they are digits of a hash.
                return await self._artifacts.get_parent_id(conn, artifact)
        move = await self._tags.at_version(conn, namespace, name, reference.tag_version)
        return move.from_id
