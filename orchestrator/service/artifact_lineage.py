"""A walk along lineage that can stop after any edge and go on there; no SQL, no HTTP.

Ids are ordered by time, and an edge leads from an artifact to one made before it. A walk up looks
next at the newest of the artifacts that wait, a walk down at the oldest. So all ways to an artifact
were seen before the walk looks at it: its distance is final, and it is never met again. The
artifacts that wait are all that must be known of the walk so far, and a page costs the same at any
distance.

Where the clock of one server was ahead, an edge may lead to a newer id. It is followed at once; at
worst, the edges behind it are listed on two pages.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Callable
from uuid import UUID

import msgspec
from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.models.artifact import LineageEdge
from orchestrator.models.lineage import Direction, LineagePage, LineagePosition, LineageStep
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository

#: Before the first and after the last id, for pages.
ID_MIN, ID_MAX = UUID(int=0), UUID(int=2**128 - 1)
#: How many waiting artifacts a position lists at most: it has to fit into a URL.
WAITING_MAX = 100


class WalkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the work for one page."""

    waiting_max: int = WAITING_MAX
    #: A page is shorter than its limit rather than take more statements.
    fetches_max: int = 20
    #: A statement starts from so many artifacts.
    starts_max: int = 200
    #: It brings so many edges more than the page needs.
    spare: int = 32
    #: It brings so many edges when they are only walked again.
    again: int = 5_000


LIMITS = WalkLimits()


class LineageWalk:
    """One page of a walk; it is used once."""

    def __init__(
        self,
        artifacts: ArtifactRepository,
        lineage: LineageRepository,
        conn: Connection,
        start_id: UUID,
        *,
        up: bool,
        depth_max: int,
        limits: WalkLimits = LIMITS,
    ) -> None:
        self._artifacts = artifacts
        self._lineage = lineage
        self._conn = conn
        self._start_id = start_id
        self._up = up
        self._depth_max = depth_max
        self._limits = limits
        self._distances: dict[UUID, int] = {}
        self._waiting: list[tuple[int, UUID]] = []  # A heap.
        self._near: UUID | None = None  # Its edges are listed now.
        self._last: tuple[UUID, UUID, str] | None = None
        self._edges: dict[UUID, deque[LineageStep]] = {}
        self._cut: UUID | None = None  # It may have more edges than those.
        self._is_whole = False  # Nothing can be reached that is not in `_edges`.
        self._wanted = 0
        self._fetches = 0

    async def page(self, namespace: str, after: LineagePosition | None, limit: int) -> LineagePage:
        """The next edges after the position, and the position after them if there may be more."""
        again = after if after is not None and after.waiting is None else None
        self._begin(after)
        self._wanted = self._limits.again if again else limit + self._limits.spare
        steps: list[tuple[LineageStep, int]] = []
        while len(steps) < limit and (met := await self._next()) is not None:
            if again is not None:
                self._fetches = 0  # Bounded by what was walked before.
                if not self._is_beyond(met[0], again):
                    continue
                again, self._wanted = None, limit + self._limits.spare
            steps.append(met)
        return LineagePage(
            edges=await self._read(namespace, steps),
            position=self._position() if steps else None,
            truncated=any(
                step.leads_on
                and distance >= self._depth_max
                and self._far_of(step) not in self._distances
                for step, distance in steps
            ),
        )

    def _begin(self, after: LineagePosition | None) -> None:
        if after is None or after.waiting is None:
            self._wait(self._start_id, 0)
            return
        for artifact_id, distance in after.waiting:
            self._wait(artifact_id, distance)
        self._last = (after.near_id, after.far_id, after.relation)

    def _wait(self, artifact_id: UUID, distance: int) -> None:
        if artifact_id in self._distances:
            self._distances[artifact_id] = min(distance, self._distances[artifact_id])
        elif distance < self._depth_max:
            self._distances[artifact_id] = distance
            heapq.heappush(self._waiting, (self._order(artifact_id), artifact_id))

    async def _next(self) -> tuple[LineageStep, int] | None:
        """The next edge and its distance; None at the end, or when it took too many statements."""
        while True:
            if self._near is None:
                if not self._waiting:
                    return None
                _, self._near = heapq.heappop(self._waiting)
            if self._is_unknown(self._near):
                if self._fetches == self._limits.fetches_max:
                    return None
                await self._fetch(self._near)
            if edges := self._edges.get(self._near):
                return self._pass(self._near, edges.popleft())
            self._near = None

    def _pass(self, near: UUID, step: LineageStep) -> tuple[LineageStep, int]:
        far, distance = self._far_of(step), self._distances[near] + 1
        self._last = (near, far, step.relation)
        if step.leads_on:
            self._wait(far, distance)
        return step, distance

    def _is_unknown(self, artifact_id: UUID) -> bool:
        if artifact_id not in self._edges:
            return not self._is_whole
        return artifact_id == self._cut and not self._edges[artifact_id]

    async def _fetch(self, near: UUID) -> None:
        self._fetches += 1
        others = [each for _, each in heapq.nsmallest(self._limits.starts_max, self._waiting)]
        first = ID_MAX if self._up else ID_MIN
        is_partly_listed = self._last is not None and self._last[0] == near
        after = self._last[1] if self._last and is_partly_listed else first
        steps = await self._lineage.walk(
            self._conn,
            [near, *others],
            [after, *([first] * len(others))],
            up=self._up,
            limit=self._wanted,
        )
        found: defaultdict[UUID, deque[LineageStep]] = defaultdict(deque)
        for step in steps:
            found[self._near_of(step)].append(step)
        self._edges = dict(found)
        is_cut = len(steps) == self._wanted
        self._cut = self._near_of(steps[-1]) if is_cut else None
        self._is_whole = not is_cut and len(others) < self._limits.starts_max
        if is_partly_listed:
            self._drop_listed(found[near])

    def _drop_listed(self, edges: deque[LineageStep]) -> None:
        """Drop the edges up to the last one of the page before: the statement brings them again."""
        for count, step in enumerate(edges, 1):
            if self._last and (self._far_of(step), step.relation) == self._last[1:]:
                for _ in range(count):
                    edges.popleft()
                return

    async def _read(
        self, namespace: str, steps: list[tuple[LineageStep, int]]
    ) -> list[LineageEdge]:
        """The edges with their artifacts, without those to which only a forged position leads."""
        ids = {self._far_of(step) for step, _ in steps}
        found = {
            artifact.artifact_id: artifact
            for artifact in await self._artifacts.list_by_id(self._conn, namespace, ids)
        }
        return [
            LineageEdge(
                up=self._up,
                child_id=step.child_id,
                parent_id=step.parent_id,
                relation=step.relation,
                distance=distance,
                artifact=found[self._far_of(step)],
            )
            for step, distance in steps
            if self._far_of(step) in found
        ]

    def _position(self) -> LineagePosition | None:
        waiting = [each for _, each in sorted(self._waiting)]
        near = self._near
        if near is not None and (self._edges.get(near) or self._is_unknown(near)):
            waiting.insert(0, near)
        if not waiting or self._last is None:
            return None
        listed = tuple((each, self._distances[each]) for each in waiting)
        near_id, far_id, relation = self._last
        return LineagePosition(
            up=self._up,
            near_id=near_id,
            far_id=far_id,
            relation=relation,
            waiting=listed if len(listed) <= self._limits.waiting_max else None,
        )

    def _is_beyond(self, step: LineageStep, last: LineagePosition) -> bool:
        here = (
            self._order(self._near_of(step)),
            self._order(self._far_of(step)),
            step.relation,
        )
        return here > (self._order(last.near_id), self._order(last.far_id), last.relation)

    def _near_of(self, step: LineageStep) -> UUID:
        return step.child_id if self._up else step.parent_id

    def _far_of(self, step: LineageStep) -> UUID:
        return step.parent_id if self._up else step.child_id

    def _order(self, artifact_id: UUID) -> int:
        return -artifact_id.int if self._up else artifact_id.int


async def walk_page(
    walk: Callable[[Direction], LineageWalk],
    namespace: str,
    start_id: UUID,
    direction: Direction,
    after: LineagePosition | None,
    limit: int,
) -> LineagePage:
    """The next edges in a direction; where the one way ends, both go on with the other."""
    up = direction is not Direction.DOWN if after is None else after.up
    way = Direction.UP if up else Direction.DOWN
    page = await walk(way).page(namespace, after, limit)
    if direction is not Direction.BOTH or not up or page.position is not None:
        return page
    room = limit - len(page.edges)
    down = await walk(Direction.DOWN).page(namespace, None, max(room, 1))
    if room == 0:
        return replace(page, position=_before_all(start_id) if down.edges else None)
    return LineagePage(
        edges=[*page.edges, *down.edges],
        position=down.position,
        truncated=page.truncated or down.truncated,
    )


def _before_all(start_id: UUID) -> LineagePosition:
    """Where a walk down begins: no edge is before its first one."""
    return LineagePosition(
        up=False, near_id=start_id, far_id=ID_MIN, relation="none", waiting=((start_id, 0),)
    )
