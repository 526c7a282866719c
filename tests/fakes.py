"""In-memory repositories that keep the same contract as the real ones (tests/repository)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.models.artifact import Artifact, Kind, NewArtifact, Relation
from orchestrator.models.cas import PATCH_OPERATIONS, WORKFLOW, Blob, BlobContent, Received
from orchestrator.models.lineage import LineageStep
from orchestrator.models.tag import Action, Landing, Tag, TagMove, TagReference
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.tag import TagRepository


def now() -> datetime:
    return datetime.now(UTC)


class MemoryCASRepository(CASRepository):
    def __init__(self, artifacts: "MemoryArtifactRepository | None" = None) -> None:
        self.blobs: dict[CasId, BlobContent] = {}
        self.leases: dict[tuple[CasId, str], datetime] = {}
        self.said: dict[tuple[CasId, str], tuple[str, datetime]] = {}
        self.artifacts = artifacts or MemoryArtifactRepository()

    async def insert(self, conn: Connection, received: Received) -> Blob | None:
        if received.cas_id in self.blobs:
            return None
        blob = Blob(
            cas_id=received.cas_id,
            size_bytes=received.size_bytes,
            media_type=received.media_type,
            created_at=now(),
            inline=received.placement is None,
            sha256=received.sha256,
        )
        self._place(blob, received)
        return blob

    async def insert_leased(
        self, conn: Connection, contents: Sequence[tuple[str, Received]], seconds: float
    ) -> dict[CasId, datetime]:
        new = {each.cas_id for _, each in contents if await self.insert(conn, each) is not None}
        for namespace, each in contents:
            if each.cas_id in new:
                await self.put_lease(conn, namespace, each.cas_id, each.media_type, seconds)
        return {
            each.cas_id: self.said[each.cas_id, namespace][1]
            for namespace, each in contents
            if each.cas_id in new
        }

    async def get_locked(self, conn: Connection, received: Received) -> Blob | None:
        found = self.blobs.get(received.cas_id)
        if found is None:
            return None
        differs = None not in {found.content, received.content} and (
            found.content != received.content
        )
        return msgspec.structs.replace(found.blob, quarantined=found.blob.quarantined or differs)

    async def replace(self, conn: Connection, received: Received) -> bool:
        blob = self.blobs[received.cas_id].blob
        if received.placement is not None and not blob.quarantined:
            return False
        inline = received.placement is None
        self._place(msgspec.structs.replace(blob, inline=inline, quarantined=False), received)
        return True

    async def quarantine(
        self, conn: Connection, cas_id: CasId, storage_key: str | None, reason: str
    ) -> bool:
        return self._mark(cas_id, storage_key, quarantined=True)

    async def release(self, conn: Connection, cas_id: CasId, storage_key: str | None) -> bool:
        return self._mark(cas_id, storage_key, quarantined=False)

    async def set_sha256(self, conn: Connection, cas_id: CasId, sha256: Sha256) -> None:
        found = self.blobs[cas_id]
        blob = msgspec.structs.replace(found.blob, sha256=found.blob.sha256 or sha256)
        self.blobs[cas_id] = msgspec.structs.replace(found, blob=blob)

    async def get_named(self, conn: Connection, sha256: Sha256) -> CasId | None:
        found = (each.blob for each in self.blobs.values() if each.blob.sha256 == sha256)
        return next((blob.cas_id for blob in found), None)

    async def get_held(self, conn: Connection, namespace: str, cas_id: CasId) -> Blob | None:
        found = await self.get_held_content(conn, namespace, cas_id)
        return found.blob if found else None

    async def get_held_content(
        self, conn: Connection, namespace: str, cas_id: CasId
    ) -> BlobContent | None:
        found = self.blobs.get(cas_id)
        if found is None or not self._is_held(namespace, cas_id):
            return None
        said = self.said.get((cas_id, namespace))
        held = sorted(
            (each.created_at, self._type_of(each, cas_id))
            for each in self.artifacts.artifacts.values()
            if each.namespace == namespace and cas_id in {each.cas_id, each.version_hash}
        )
        media_type = held[0][1] if held else said[0] if said else found.blob.media_type
        times = [each[0] for each in held[:1]] + ([said[1]] if said else [])
        created_at = min(times, default=found.blob.created_at)
        blob = msgspec.structs.replace(found.blob, media_type=media_type, created_at=created_at)
        return msgspec.structs.replace(found, blob=blob)

    async def list_content(self, conn: Connection, cas_ids: Sequence[CasId]) -> list[BlobContent]:
        return [self.blobs[cas_id] for cas_id in set(cas_ids) if cas_id in self.blobs]

    async def list_held(
        self, conn: Connection, namespace: str, names: Sequence[BlobName]
    ) -> set[BlobName]:
        found: set[BlobName] = set()
        for cas_id, each in self.blobs.items():
            known: set[BlobName] = {cas_id, *filter(None, [each.blob.sha256])}
            if known & set(names) and not each.blob.quarantined:
                found |= known if self._is_held(namespace, cas_id) else set()
        return found

    def _place(self, blob: Blob, received: Received) -> None:
        self.blobs[blob.cas_id] = BlobContent(
            blob=blob, content=received.content, placement=received.placement
        )

    def _mark(self, cas_id: CasId, storage_key: str | None, *, quarantined: bool) -> bool:
        found = self.blobs[cas_id]
        key = found.placement.storage_key if found.placement else None
        if key != storage_key or found.blob.quarantined == quarantined:
            return False
        blob = msgspec.structs.replace(found.blob, quarantined=quarantined)
        self.blobs[cas_id] = msgspec.structs.replace(found, blob=blob)
        return True

    async def put_lease(
        self, conn: Connection, namespace: str, cas_id: CasId, media_type: str, seconds: float
    ) -> bool:
        if cas_id not in self.blobs:
            return False
        until = now() + timedelta(seconds=seconds)
        key = (cas_id, namespace)
        self.said.setdefault(key, (media_type, now()))
        self.leases[key] = max(until, self.leases.get(key, until))
        return True

    @staticmethod
    def _type_of(artifact: Artifact, cas_id: CasId) -> str:
        return WORKFLOW if artifact.version_hash == cas_id else PATCH_OPERATIONS

    def _is_held(self, namespace: str, cas_id: CasId) -> bool:
        lease = self.leases.get((cas_id, namespace))
        return (lease is not None and lease > now()) or any(
            each.namespace == namespace and cas_id in {each.cas_id, each.version_hash}
            for each in self.artifacts.artifacts.values()
        )


@dataclass
class MemoryArtifactRepository(ArtifactRepository):
    artifacts: dict[UUID, Artifact] = field(default_factory=dict)
    edges: set[tuple[UUID, UUID, Relation]] = field(default_factory=set)

    async def insert(self, conn: Connection, new: NewArtifact) -> Artifact | None:
        for each in self.artifacts.values():
            if each.namespace != new.namespace or each.kind != new.kind:
                continue
            if new.kind is Kind.DAG_VERSION and each.version_hash == new.version_hash:
                return None
            if new.kind is Kind.RUN_SNAPSHOT and each.plan_hash == new.plan_hash:
                return None
        artifact = Artifact(**msgspec.structs.asdict(new), created_at=now())
        self.artifacts[new.artifact_id] = artifact
        return artifact

    async def get(
        self, conn: Connection, namespace: str, artifact_id: UUID, *, locked: bool = False
    ) -> Artifact | None:
        found = self.artifacts.get(artifact_id)
        return found if found and found.namespace == namespace else None

    async def get_dag_version(
        self, conn: Connection, namespace: str, version_hash: CasId, *, locked: bool = False
    ) -> Artifact | None:
        found = self._newest(namespace, Kind.DAG_VERSION)
        return next((each for each in found if each.version_hash == version_hash), None)

    async def get_run_snapshot(
        self, conn: Connection, namespace: str, plan_hash: CasId, *, locked: bool = False
    ) -> Artifact | None:
        found = self._newest(namespace, Kind.RUN_SNAPSHOT)
        return next((each for each in found if each.plan_hash == plan_hash), None)

    async def list_by_version_hash(
        self,
        conn: Connection,
        namespace: str,
        version_hash: CasId,
        kind: Kind | None,
        before: UUID,
        limit: int,
    ) -> list[Artifact]:
        found = [each for each in self._newest(namespace, kind) if each.artifact_id < before]
        return [each for each in found if each.version_hash == version_hash][:limit]

    async def list_by_kind(
        self, conn: Connection, namespace: str, kind: Kind, before: UUID, limit: int
    ) -> list[Artifact]:
        found = self._newest(namespace, kind)
        return [each for each in found if each.artifact_id < before][:limit]

    async def list_all(
        self, conn: Connection, namespace: str, before: UUID, limit: int
    ) -> list[Artifact]:
        return [each for each in self._newest(namespace) if each.artifact_id < before][:limit]

    async def list_chain(
        self, conn: Connection, namespace: str, head_id: UUID
    ) -> Sequence[Artifact]:
        chain: list[Artifact] = []
        at = await self.get(conn, namespace, head_id)
        while at is not None and at.kind is Kind.PATCH_SET:
            chain.insert(0, at)
            at = self.artifacts.get(at.previous_id) if at.previous_id else None
        return chain

    async def insert_lineage(
        self, conn: Connection, child_id: UUID, parent_id: UUID, relation: Relation
    ) -> None:
        self.edges.add((child_id, parent_id, relation))

    async def walk_lineage(
        self,
        conn: Connection,
        from_ids: Sequence[UUID],
        after: Sequence[UUID],
        *,
        up: bool,
        limit: int,
    ) -> list[LineageStep]:
        edges = [(child, parent) if up else (parent, child) for child, parent, _ in self.edges]
        bounds = dict(zip(from_ids, after, strict=True))
        walk = list(bounds)
        steps: list[LineageStep] = []
        for near in walk:  # It grows meanwhile.
            bound = bounds.get(near)
            for far in sorted({far for start, far in edges if start == near}, reverse=up):
                if bound is not None and (far > bound if up else far < bound):
                    continue
                if far not in walk:
                    walk.append(far)
                leads_on = any(start == far for start, _ in edges)
                child, parent = (near, far) if up else (far, near)
                steps += [
                    LineageStep(
                        child_id=child, parent_id=parent, relation=relation, leads_on=leads_on
                    )
                    for *ends, relation in sorted(self.edges)
                    if ends == [child, parent]
                ]
        return steps[:limit]

    async def list_by_id(
        self, conn: Connection, namespace: str, artifact_ids: Collection[UUID]
    ) -> list[Artifact]:
        found = [self.artifacts[each] for each in artifact_ids if each in self.artifacts]
        return [each for each in found if each.namespace == namespace]

    async def list_versions(
        self, conn: Connection, namespace: str, head_id: UUID, limit: int
    ) -> list[Artifact]:
        found: list[Artifact] = []
        at = await self.get(conn, namespace, head_id)
        while at is not None:
            found.append(at)
            below = at.previous_id or at.base_id
            at = self.artifacts[below] if at.kind is Kind.PATCH_SET and below else None
        return found[:limit]

    async def get_at_depth(
        self, conn: Connection, namespace: str, head_id: UUID, depth: int
    ) -> Artifact | None:
        versions = await self.list_versions(conn, namespace, head_id, len(self.artifacts))
        return next((each for each in versions if each.depth == depth), None)

    async def list_parents(
        self, conn: Connection, child_id: UUID, relations: Sequence[Relation]
    ) -> list[Artifact]:
        met = [edge for edge in self.edges if edge[0] == child_id and edge[2] in relations]
        return [self.artifacts[edge[1]] for edge in sorted(met, key=lambda e: (e[2], e[1]))]

    async def get_common_ancestor(
        self, conn: Connection, one_id: UUID, other_id: UUID, relations: Sequence[Relation]
    ) -> Artifact | None:
        edges = {(c, p) for c, p, relation in self.edges if relation in relations}

        def ancestors(of: UUID) -> set[UUID]:
            found, level = {of}, {of}
            while level := {p for c, p in edges if c in level} - found:
                found |= level
            return found

        common = ancestors(one_id) & ancestors(other_id)
        best = [each for each in common if not any(p == each and c in common for c, p in edges)]
        return self.artifacts[max(best)] if best else None

    def _newest(self, namespace: str, kind: Kind | None = None) -> list[Artifact]:
        found = [
            each
            for each in self.artifacts.values()
            if each.namespace == namespace and kind in {None, each.kind}
        ]
        return sorted(found, key=lambda each: each.artifact_id, reverse=True)


@dataclass
class MemoryTagRepository(TagRepository):
    tags: dict[tuple[str, str], Tag] = field(default_factory=dict)
    moves: dict[tuple[str, str], list[TagMove]] = field(default_factory=dict)

    async def put(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        moved_by: str,
        message: str | None,
        only_create: bool = False,
    ) -> Tag | None:
        old = self.tags.get((namespace, name))
        exists = old is not None and old.target_id is not None
        if old is not None and exists and (only_create or old.target_id == target_id):
            return None
        action = Action.MOVE if exists else Action.CREATE
        return self._record(namespace, name, action, target_id, None, moved_by, message)

    async def compare_and_swap(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        moved_by: str,
        message: str | None,
        expected: Collection[int] | None,
    ) -> Tag | None:
        old = await self.get(conn, namespace, name)
        if old is None or old.target_id == target_id or not _is_at(old, expected):
            return None
        return self._record(namespace, name, Action.MOVE, target_id, None, moved_by, message)

    async def step(
        self,
        conn: Connection,
        tag: Tag,
        landing: Landing,
        action: Action,
        *,
        moved_by: str,
        message: str | None,
    ) -> Tag | None:
        old = self.tags[tag.namespace, tag.name]
        if old.version != tag.version:
            return None
        return self._record(
            tag.namespace, tag.name, action, landing.target_id, landing.seq, moved_by, message
        )

    async def delete(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        *,
        moved_by: str,
        message: str | None,
        expected: Collection[int] | None,
    ) -> Tag | None:
        old = await self.get(conn, namespace, name)
        if old is None or not _is_at(old, expected):
            return None
        return self._record(namespace, name, Action.DELETE, None, None, moved_by, message)

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag | None:
        found = self.tags.get((namespace, name))
        return found if found and found.target_id is not None else None

    async def get_for_update(self, conn: Connection, namespace: str, name: str) -> Tag | None:
        return await self.get(conn, namespace, name)

    async def list_by_namespace(
        self, conn: Connection, namespace: str, after: str, limit: int
    ) -> list[Tag]:
        found = [tag for tag in self.tags.values() if tag.namespace == namespace]
        live = [tag for tag in found if tag.target_id is not None and tag.name > after]
        return sorted(live, key=lambda tag: tag.name)[:limit]

    async def get_undo(
        self, conn: Connection, namespace: str, name: str, cursor: int
    ) -> Landing | None:
        here = await self.get_move(conn, namespace, name, cursor)
        if here is None or here.parent_seq is None:
            return None
        return _landing(await self.get_move(conn, namespace, name, here.parent_seq))

    async def get_redo(
        self, conn: Connection, namespace: str, name: str, cursor: int
    ) -> Landing | None:
        moves = self.moves.get((namespace, name), [])
        made = [m for m in moves if m.parent_seq == cursor and m.action is Action.MOVE]
        return _landing(made[-1]) if made else None

    async def list_moves(
        self, conn: Connection, namespace: str, name: str, before: int, limit: int
    ) -> list[TagMove]:
        moves = self.moves.get((namespace, name), [])
        return [move for move in reversed(moves) if move.seq < before][:limit]

    async def get_move(
        self, conn: Connection, namespace: str, name: str, seq: int
    ) -> TagMove | None:
        moves = self.moves.get((namespace, name), [])
        return next((move for move in moves if move.seq == seq), None)

    async def get_move_at(
        self, conn: Connection, namespace: str, name: str, at: datetime
    ) -> TagMove | None:
        moves = self.moves.get((namespace, name), [])
        return next((move for move in reversed(moves) if move.moved_at <= at), None)

    async def list_by_target(
        self, conn: Connection, namespace: str, target_id: UUID, after: str, limit: int
    ) -> list[TagReference]:
        found: list[TagReference] = []
        for (space, name), moves in sorted(self.moves.items()):
            named = [move for move in moves if move.to_id == target_id]
            if space == namespace and name > after and named:
                found.append(
                    TagReference(
                        name=name,
                        current=self.tags[space, name].target_id == target_id,
                        first_version=named[0].seq,
                        last_version=named[-1].seq,
                        last_moved_at=named[-1].moved_at,
                    )
                )
        return found[:limit]

    def _record(
        self,
        namespace: str,
        name: str,
        action: Action,
        target_id: UUID | None,
        cursor: int | None,
        moved_by: str,
        message: str | None,
    ) -> Tag:
        old = self.tags.get((namespace, name))
        version = old.version + 1 if old else 1
        tag = Tag(
            namespace=namespace,
            name=name,
            target_id=target_id,
            version=version,
            cursor=(cursor or version) if target_id else None,
            protected=False,
            action=action,
            from_id=old.target_id if old else None,
            parent_seq=old.cursor if old else None,
            message=message,
            moved_by=moved_by,
            moved_at=now(),
        )
        self.tags[namespace, name] = tag
        move = TagMove(
            seq=version,
            action=action,
            from_id=tag.from_id,
            to_id=target_id,
            parent_seq=tag.parent_seq,
            message=message,
            moved_by=moved_by,
            moved_at=tag.moved_at,
        )
        self.moves.setdefault((namespace, name), []).append(move)
        return tag


def _is_at(tag: Tag, expected: Collection[int] | None) -> bool:
    return expected is None or tag.version in expected


def _landing(move: TagMove | None) -> Landing | None:
    if move is None or move.to_id is None:
        return None
    return Landing(seq=move.seq, target_id=move.to_id)
