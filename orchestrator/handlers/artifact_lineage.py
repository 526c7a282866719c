"""HTTP for lineage: where artifacts come from and what comes of them. Reads only."""

import struct
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET

from orchestrator.core.database import Database
from orchestrator.errors import InvalidInput
from orchestrator.handlers.artifact_body import LineageBody, lineage_item
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed
from orchestrator.handlers.http.paging import CURSOR_RULE, Cursor, Limit, after, encoded
from orchestrator.handlers.http.reading import ArtifactPath, artifact_in_path
from orchestrator.models.artifact_manifest import RELATION_PATTERN
from orchestrator.models.idempotency import Answer
from orchestrator.models.lineage import Direction, LineagePosition
from orchestrator.models.tag_search import NamedTag
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_lineage import WAITING_MAX
from orchestrator.service.tag_search import TagSearchService
from orchestrator.service.version import VersionService

DEPTH_MAX = 10_000
Depth = Annotated[int, QueryParameter(ge=1, le=DEPTH_MAX, description="How many steps to walk.")]
DirectionQuery = Annotated[
    Literal["up", "down", "both"],
    QueryParameter(
        description="up: what it came from; down: what came of it; both: first up, then down."
    ),
]
Include = Annotated[
    Literal["tags"] | None,
    QueryParameter(description="tags: beside each artifact the tags that name it now."),
]
#: An artifact that a walk waits at, packed: its id and its distance.
WAITING = struct.Struct(">16sH")
#: The last edge of the page before, what waits, and whether the walk goes up.
After = tuple[
    UUID, UUID, Annotated[str, msgspec.Meta(pattern=f"^{RELATION_PATTERN}$")], bytes | None, bool
]


class LineageHandler:
    """Walks along lineage, page by page."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactService,
        versions: VersionService,
        tags: TagSearchService[NamedTag],
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._versions = versions
        self._tags = tags

    async def lineage(
        self,
        call: Call,
        artifact: ArtifactPath,
        direction: DirectionQuery = "up",
        depth: Depth = 100,
        include: Include = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """Typed edges to what it came from (up), newest first, and to what came of it (down),
        oldest first: each artifact's edges before those behind it.
        """
        named, way = artifact_in_path(artifact), Direction(direction)
        start = _position_of(cursor, way)
        async with self._database.connection() as conn:
            of = await self._versions.find(conn, call.namespace, named)
            page = await self._artifacts.get_lineage(
                conn,
                call.namespace,
                of.artifact_id,
                direction=way,
                depth_max=depth,
                after=start,
                limit=limit,
            )
            names: dict[UUID, list[str]] = {}
            if include == "tags":
                ids = {edge.artifact.artifact_id for edge in page.edges}
                names = await self._tags.list_names(conn, call.namespace, ids)
        items = [
            lineage_item(edge, names.get(edge.artifact.artifact_id, UNSET)) for edge in page.edges
        ]
        return listed(
            call,
            LineageBody(items=items, next=_cursor_of(page.position), truncated=page.truncated),
        )


def _position_of(cursor: str | None, direction: Direction) -> LineagePosition | None:
    given = after(cursor, After, None)
    if given is None:
        return None
    near_id, far_id, relation, packed, up = given
    try:
        unpacked = None if packed is None else tuple(WAITING.iter_unpack(packed))
    except struct.error:
        unpacked = ()
    is_other_way = direction is (Direction.DOWN if up else Direction.UP)
    if is_other_way or (unpacked is not None and not 1 <= len(unpacked) <= WAITING_MAX):
        raise InvalidInput.at("/cursor", "cursor", CURSOR_RULE)
    waiting = unpacked and tuple((UUID(bytes=each), distance) for each, distance in unpacked)
    return LineagePosition(
        up=up, near_id=near_id, far_id=far_id, relation=relation, waiting=waiting
    )


def _cursor_of(position: LineagePosition | None) -> str | None:
    if position is None:
        return None
    packed = None
    if position.waiting is not None:
        packed = b"".join(WAITING.pack(each.bytes, distance) for each, distance in position.waiting)
    return encoded((position.near_id, position.far_id, position.relation, packed, position.up))
