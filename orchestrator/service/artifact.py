"""Rules of the catalogue: no HTTP, no SQL, no transaction opened."""

from collections.abc import Collection, Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.models.artifact import (
    CONTAINING,
    Artifact,
    Kind,
    Link,
    NewArtifact,
    NewPatch,
    NewVersion,
    Relation,
)
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.models.lineage import Direction, LineagePage, LineagePosition
from orchestrator.models.principal import Actor
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.artifact_search import ArtifactSearchRepository
from orchestrator.service.artifact_lineage import ID_MAX, LineageWalk, walk_page
from orchestrator.service.artifact_unique import ATTEMPTS, deleted_meanwhile, find_or_create
from orchestrator.service.artifact_version import dag_version, patch_set, tell_created
from orchestrator.telemetry.after_commit import tell


class ArtifactService:
    """Artifacts are created and found; nothing changes one."""

    def __init__(
        self,
        artifacts: ArtifactRepository,
        lineage: LineageRepository,
        search: ArtifactSearchRepository,
    ) -> None:
        self._artifacts = artifacts
        self._lineage = lineage
        self._search = search

    async def find_or_create_dag_version(
        self, conn: Connection, version: NewVersion
    ) -> tuple[Artifact, bool]:
        """The one dag_version of this content in the namespace, and whether it is new."""
        return (await self.find_or_create_dag_versions(conn, [version]))[0]

    async def find_or_create_dag_versions(
        self, conn: Connection, versions: Sequence[NewVersion]
    ) -> list[tuple[Artifact, bool]]:
        """Of each content the one dag_version in its namespace, and whether it is new.

        Nobody can delete them before this transaction ends.
        """
        outcomes = await find_or_create(
            conn,
            self._artifacts,
            [dag_version(version) for version in versions],
            self._artifacts.list_dag_versions_locked,
        )
        for (artifact, is_new), version in zip(outcomes, versions, strict=True):
            if is_new:
                tell_created(conn, artifact, by=version.by)
        return outcomes

    async def create_patch_sets(
        self, conn: Connection, patches: Sequence[NewPatch]
    ) -> list[Artifact]:
        """Each above a dag_version or another patch."""
        if not patches:
            return []
        new = [patch_set(patch) for patch in patches]
        inserted = await self._artifacts.insert(conn, new)
        created = [
            _found(artifact, str(each.artifact_id))
            for artifact, each in zip(inserted, new, strict=True)
        ]
        await self.link_all(
            conn,
            [
                Link(
                    child_id=artifact.artifact_id,
                    parent_id=patch.below.artifact_id,
                    relation=Relation.PATCH_OF,
                )
                for artifact, patch in zip(created, patches, strict=True)
            ],
        )
        for artifact, patch in zip(created, patches, strict=True):
            tell(
                conn,
                "created patch set artifact",
                by=patch.by,
                artifact_id=str(artifact.artifact_id),
                depth=artifact.depth,
                op_count=patch.op_count,
            )
        return created

    async def find_or_create_run_snapshot(
        self,
        conn: Connection,
        namespace: str,
        cas_id: CasId,
        *,
        plan_hash: CasId,
        version_hash: CasId,
        nodes_count: int,
        edges_count: int,
        by: Actor,
    ) -> tuple[Artifact, bool]:
        """The one snapshot of an equal plan, and whether it is new: equal plans share it."""
        new = NewArtifact(
            artifact_id=new_id(),
            namespace=namespace,
            kind=Kind.RUN_SNAPSHOT,
            cas_id=cas_id,
            version_hash=version_hash,
            plan_hash=plan_hash,
            nodes_count=nodes_count,
            edges_count=edges_count,
            created_by=by.name,
        )
        for _ in range(ATTEMPTS):
            (created,) = await self._artifacts.insert(conn, [new])
            if created is not None:
                tell(
                    conn,
                    "created run snapshot artifact",
                    by=by,
                    artifact_id=str(created.artifact_id),
                )
                return created, True
            found = await self._artifacts.get_run_snapshot(conn, namespace, plan_hash, locked=True)
            if found is not None:
                return found, False
        raise deleted_meanwhile()

    async def get_by_id(
        self, conn: Connection, namespace: str, artifact_id: UUID, *, locked: bool = False
    ) -> Artifact:
        """NotFound also for an artifact of another namespace.

        Lock what this transaction is going to refer to: nobody can delete it meanwhile.
        """
        found = await self._artifacts.get(conn, namespace, artifact_id, locked=locked)
        return _found(found, str(artifact_id))

    async def get_by_version_hash(
        self, conn: Connection, namespace: str, version_hash: CasId
    ) -> Artifact:
        """The dag_version with this content."""
        found = await self._artifacts.get_dag_version(conn, namespace, version_hash)
        return _found(found, str(version_hash))

    async def get_by_plan_hash(
        self, conn: Connection, namespace: str, plan_hash: CasId
    ) -> Artifact:
        """The run_snapshot of this plan."""
        found = await self._artifacts.get_run_snapshot(conn, namespace, plan_hash)
        return _found(found, str(plan_hash))

    async def get_patch_chain(
        self, conn: Connection, namespace: str, head_id: UUID
    ) -> Sequence[Artifact]:
        """The patches in the order of application, oldest first; empty for a dag_version."""
        return await self._artifacts.list_chain(conn, namespace, head_id)

    async def list_equal(
        self, conn: Connection, namespace: str, version_hash: CasId, *, limit: int
    ) -> list[Artifact]:
        """The newest artifacts that are this version."""
        wanted = ArtifactFilter(version_hash=version_hash)
        page = await self._search.list_newest(conn, namespace, wanted, ID_MAX, limit, limit)
        return page.items

    async def link(self, conn: Connection, child_id: UUID, parent_id: UUID, relation: str) -> None:
        """Record where an artifact comes from.

        Call it only for a child created in this transaction: then every edge leads to something
        older and lineage has no cycles by construction.
        """
        await self.link_all(conn, [Link(child_id=child_id, parent_id=parent_id, relation=relation)])

    async def link_all(self, conn: Connection, links: Sequence[Link]) -> None:
        """Record several edges as `link` does, in one statement."""
        if links:
            await self._lineage.insert(conn, links)

    async def get_lineage(
        self,
        conn: Connection,
        namespace: str,
        artifact_id: UUID,
        *,
        direction: Direction,
        depth_max: int,
        after: LineagePosition | None = None,
        limit: int,
    ) -> LineagePage:
        """A page of edges to what it came from, to what came of it, or to both; nearer ones first
        on either way.
        """

        def walk(way: Direction) -> LineageWalk:
            return LineageWalk(
                self._artifacts,
                self._lineage,
                conn,
                artifact_id,
                up=way is Direction.UP,
                depth_max=depth_max,
            )

        return await walk_page(walk, namespace, artifact_id, direction, after, limit)

    async def list_versions(
        self, conn: Connection, namespace: str, head_id: UUID, *, limit: int
    ) -> list[Artifact]:
        """From a version down its chain; the base is the last."""
        return await self._artifacts.list_versions(conn, namespace, head_id, limit)

    async def get_at_depth(
        self, conn: Connection, namespace: str, head_id: UUID, depth: int
    ) -> Artifact:
        """The version at a position of the chain below the head: 0 is the base."""
        found = await self._artifacts.get_at_depth(conn, namespace, head_id, depth)
        if found is None:
            raise NotFound("version", str(depth))
        return found

    async def get_parent_id(self, conn: Connection, artifact: Artifact) -> UUID | None:
        """The version that a whole version replaced; InvalidInput if it did so on several tags."""
        relations = (Relation.REVISION_OF,)
        parents = await self._lineage.list_parents(conn, artifact.artifact_id, relations)
        if len(parents) > 1:
            message = "Several tags replaced different versions by this one: name it by its tag."
            raise InvalidInput.at("/version", "ambiguous", message)
        return parents[0].artifact_id if parents else None

    async def list_common_ancestors(
        self, conn: Connection, one: Artifact, other: Artifact, *, limit: int
    ) -> list[Artifact]:
        """The nearest versions that both contain, the newest first; it may be one of them."""
        return await self._lineage.list_common_ancestors(
            conn, one.artifact_id, other.artifact_id, CONTAINING, limit
        )

    async def get_history(
        self,
        conn: Connection,
        versions: Sequence[Artifact],
        *,
        versions_max: int,
        branches_max: int,
    ) -> dict[UUID, list[UUID]] | None:
        """What several versions and those before them were made from, so far back that the nearest
        versions that any of them have in common are there. None if that is too far.
        """
        return await self._lineage.walk_to_one(
            conn,
            [each.artifact_id for each in versions],
            CONTAINING,
            waiting_max=branches_max,
            limit=versions_max,
        )

    async def list_by_id(
        self, conn: Connection, namespace: str, artifact_ids: Collection[UUID]
    ) -> dict[UUID, Artifact]:
        """Those of them that are in the namespace."""
        found = await self._artifacts.list_by_id(conn, namespace, artifact_ids)
        return {artifact.artifact_id: artifact for artifact in found}


def _found(artifact: Artifact | None, key: str) -> Artifact:
    if artifact is None:
        raise NotFound("artifact", key)
    return artifact
