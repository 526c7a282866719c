"""HTTP for the catalogue: reads only, each on one connection."""

import struct
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar.params import PathParameter, QueryParameter

from orchestrator.core.database import Database
from orchestrator.core.digest import CasId, CasIdText
from orchestrator.core.moment import Moment
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import IdText
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed, tagged
from orchestrator.handlers.http.paging import (
    Cursor,
    Limit,
    Page,
    after,
    encoded,
    page_of,
    tag_after,
)
from orchestrator.handlers.http.precondition import check_if_match, unchanged
from orchestrator.handlers.http.reading import id_in_path
from orchestrator.handlers.http.reply import IMMUTABLE, etag, json_answer
from orchestrator.models.artifact import Artifact, Kind, LineageEdge, Relation
from orchestrator.models.idempotency import Answer
from orchestrator.models.lineage import LineagePosition
from orchestrator.models.name import NamespaceText
from orchestrator.models.tag import TagReference
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_lineage import ID_MAX, WAITING_MAX
from orchestrator.service.tag import TagService

DEPTH_MAX = 10_000
Depth = Annotated[int, QueryParameter(ge=1, le=DEPTH_MAX, description="How many steps to walk.")]
ArtifactPath = Annotated[IdText, PathParameter(description="The id of an artifact.")]
KindQuery = Annotated[Kind | None, QueryParameter(description="Only artifacts of this kind.")]
HashQuery = Annotated[
    CasIdText | None,
    QueryParameter(description="Only artifacts that are this version: `blake3:…`."),
]
Direction = Annotated[
    Literal["up", "down"],
    QueryParameter(description="up: what it came from; down: what came of it."),
]
#: An artifact that a walk waits at, packed: its id and its distance.
WAITING = struct.Struct(">16sH")
#: The last edge of the page before, and what waits.
After = tuple[UUID, UUID, Relation, bytes | None]


class ArtifactBody(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    artifact_id: UUID
    namespace: NamespaceText
    kind: Kind
    cas_id: CasIdText
    name: str | None
    version_hash: CasIdText | None
    plan_hash: CasIdText | None
    base_id: UUID | None
    previous_id: UUID | None
    depth: int
    op_count: int
    nodes_count: int | None
    edges_count: int | None
    meta: dict[str, Any]
    created_by: str
    created_at: Moment


class ChainBody(msgspec.Struct, frozen=True, kw_only=True):
    """The version at the bottom and the patches on it, oldest first."""

    base: ArtifactBody
    patches: list[ArtifactBody]


class LineageItem(msgspec.Struct, frozen=True, kw_only=True):
    """A typed edge, and the artifact at its farther end."""

    child_id: UUID
    parent_id: UUID
    relation: Relation
    distance: int
    artifact: ArtifactBody


class ArtifactHandler:
    """The catalogue over HTTP."""

    def __init__(self, database: Database, artifacts: ArtifactService, tags: TagService) -> None:
        self._database = database
        self._artifacts = artifacts
        self._tags = tags

    async def get(self, call: Call, artifact_id: ArtifactPath) -> Answer:
        """An artifact; it never changes."""
        parsed = id_in_path(artifact_id)
        async with self._database.connection() as conn:
            artifact = await self._artifacts.get_by_id(conn, call.namespace, parsed)
        check_if_match(call, str(parsed), "artifact", str(parsed))
        if (same := unchanged(call, str(parsed), IMMUTABLE)) is not None:
            return same
        return json_answer(artifact_body(artifact), headers={"ETag": etag(parsed), **IMMUTABLE})

    async def list_artifacts(
        self,
        call: Call,
        kind: KindQuery = None,
        version_hash: HashQuery = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """Artifacts of a namespace, newest first; of one kind, or all that are one version."""
        wanted = CasId.parse(version_hash, "/version_hash") if version_hash is not None else None
        before = after(cursor, UUID, ID_MAX)
        async with self._database.connection() as conn:
            found = await self._artifacts.list_newest(
                conn, call.namespace, kind=kind, version_hash=wanted, before=before, limit=limit + 1
            )
        shown, following = page_of(found, limit, lambda artifact: artifact.artifact_id)
        items = [artifact_body(artifact) for artifact in shown]
        return listed(call, Page[ArtifactBody](items, following))

    async def chain(self, call: Call, artifact_id: ArtifactPath) -> Answer:
        """The patches up to this artifact in the order of application, and their base."""
        parsed = id_in_path(artifact_id)
        async with self._database.connection() as conn:
            artifact = await self._artifacts.get_by_id(conn, call.namespace, parsed)
            base = artifact
            if artifact.base_id is not None:
                base = await self._artifacts.get_by_id(conn, call.namespace, artifact.base_id)
            patches = await self._artifacts.get_patch_chain(conn, call.namespace, parsed)
        body = ChainBody(
            base=artifact_body(base), patches=[artifact_body(patch) for patch in patches]
        )
        return tagged(call, body, headers=IMMUTABLE)

    async def lineage(
        self,
        call: Call,
        artifact_id: ArtifactPath,
        direction: Direction = "up",
        depth: Depth = 100,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """Typed edges to what it came from (up), newest first, or what came of it (down), oldest
        first: each artifact's edges before those behind it.
        """
        parsed = id_in_path(artifact_id)
        start = _position_of(cursor)
        async with self._database.connection() as conn:
            await self._artifacts.get_by_id(conn, call.namespace, parsed)
            page = await self._artifacts.get_lineage(
                conn,
                call.namespace,
                parsed,
                up=direction == "up",
                depth_max=depth,
                after=start,
                limit=limit,
            )
        items = [lineage_item(edge) for edge in page.edges]
        return listed(call, Page[LineageItem](items, _cursor_of(page.position)))

    async def tags(
        self,
        call: Call,
        artifact_id: ArtifactPath,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """The tags that name this artifact or ever did, by name."""
        parsed = id_in_path(artifact_id)
        start = tag_after(cursor)
        async with self._database.connection() as conn:
            await self._artifacts.get_by_id(conn, call.namespace, parsed)
            found = await self._tags.list_by_target(
                conn, call.namespace, parsed, after=start, limit=limit + 1
            )
        shown, following = page_of(found, limit, lambda reference: reference.name)
        return listed(call, Page[TagReference](shown, following))


def _position_of(cursor: str | None) -> LineagePosition | None:
    given = after(cursor, After, None)
    if given is None:
        return None
    near_id, far_id, relation, packed = given
    try:
        unpacked = None if packed is None else tuple(WAITING.iter_unpack(packed))
    except struct.error:
        unpacked = ()
    if unpacked is not None and not 1 <= len(unpacked) <= WAITING_MAX:
        raise InvalidInput.at("/cursor", "cursor", "A cursor is what `next` said.")
    waiting = unpacked and tuple((UUID(bytes=each), distance) for each, distance in unpacked)
    return LineagePosition(near_id=near_id, far_id=far_id, relation=relation, waiting=waiting)


def _cursor_of(position: LineagePosition | None) -> str | None:
    if position is None:
        return None
    packed = None
    if position.waiting is not None:
        packed = b"".join(WAITING.pack(each.bytes, distance) for each, distance in position.waiting)
    return encoded((position.near_id, position.far_id, position.relation, packed))


def lineage_item(edge: LineageEdge) -> LineageItem:
    """The edge with its artifact as it is shown."""
    return LineageItem(
        child_id=edge.child_id,
        parent_id=edge.parent_id,
        relation=edge.relation,
        distance=edge.distance,
        artifact=artifact_body(edge.artifact),
    )


def artifact_body(artifact: Artifact) -> ArtifactBody:
    """The artifact with its hashes as text."""
    fields = msgspec.structs.asdict(artifact)
    for name in ("cas_id", "version_hash", "plan_hash"):
        fields[name] = str(fields[name]) if fields[name] is not None else None
    return ArtifactBody(**fields)
