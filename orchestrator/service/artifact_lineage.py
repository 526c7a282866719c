"""A walk along lineage that can stop after any edge and go on there; no SQL, no HTTP.

Ids tell the time, and an edge leads from an artifact to one made before it. So whoever always looks
at the newest of those that wait (on the way up; the oldest on the way down) has met an artifact on
every way to it before looking at it: its distance is final and it is never met again. What is
waiting is all there is to know of the walk so far, and a page costs a page at any distance.

Where one server's clock was ahead of the next writer's, an edge leads to a newer id. It is followed
at once; at worst, edges behind it are told on two pages.
"""

import heapq
from collections import defaultdict, deque
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.artifact import LineageEdge, Relation
from orchestrator.models.lineage import LineagePage, LineagePosition, LineageStep
from orchestrator.repository.artifact import ArtifactRepository

#: Before the first and after the last id, for pages.
ID_MIN, ID_MAX = UUID(int=0), UUID(int=2**128 - 1)
#: A position has to fit into a URL.
WAITING_MAX = 100
#: A page is shorter than was asked for rather than take more statements.
FETCHES_MAX = 20
#: How many artifacts a statement starts from, how many edges it brings beyond those that are
#: needed, and how many when they are only walked again.
STARTS_MAX = 200
SPARE = 32
AGAIN = 5_000


class LineageWalk:
    """One page of a walk: made for it, used once."""

    def __init__(
        self,
        artifacts: ArtifactRepository,
        conn: Connection,
        start_id: UUID,
        *,
        up: bool,
        depth_max: int,
    ) -> None:
        self._artifacts = artifacts
        self._conn = conn
        self._start_id = start_id
        self._up = up
        self._depth_max = depth_max
        self._distances: dict[UUID, int] = {}
        self._waiting: list[tuple[int, UUID]] = []  # A heap.
        self._near: UUID | None = None  # Looked at now.
        self._told: tuple[UUID, UUID, Relation] | None = None
        self._edges: dict[UUID, deque[LineageStep]] = {}
        self._cut: UUID | None = None  # May have more edges than those.
        self._is_whole = False  # Nothing can be reached that is not in `_edges`.
        self._wanted = 0
        self._fetches = 0

    async def page(self, namespace: str, after: LineagePosition | None, limit: int) -> LineagePage:
        """So many edges after the position, or fewer; and from where to go on if there are more."""
        again = after if after is not None and after.waiting is None else None
        self._begin(after)
        self._wanted = AGAIN if again else limit + SPARE
        steps: list[tuple[LineageStep, int]] = []
        while len(steps) < limit and (met := await self._next()) is not None:
            if again is not None:
                self._fetches = 0  # Bounded by what was walked before.
                if not self._is_beyond(met[0], again):
                    continue
                again, self._wanted = None, limit + SPARE
            steps.append(met)
        return LineagePage(
            edges=await self._read(namespace, steps),
            position=self._position() if steps else None,
        )

    def _begin(self, after: LineagePosition | None) -> None:
        if after is None or after.waiting is None:
            self._wait(self._start_id, 0)
            return
        for artifact_id, distance in after.waiting:
            self._wait(artifact_id, distance)
        self._told = (after.near_id, after.far_id, after.relation)

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
                if self._fetches == FETCHES_MAX:
                    return None
                await self._fetch(self._near)
            if edges := self._edges.get(self._near):
                return self._tell(self._near, edges.popleft())
            self._near = None

    def _tell(self, near: UUID, step: LineageStep) -> tuple[LineageStep, int]:
        far, distance = self._far_of(step), self._distances[near] + 1
        self._told = (near, far, step.relation)
        if step.leads_on:
            self._wait(far, distance)
        return step, distance

    def _is_unknown(self, artifact_id: UUID) -> bool:
        if artifact_id not in self._edges:
            return not self._is_whole
        return artifact_id == self._cut and not self._edges[artifact_id]

    async def _fetch(self, near: UUID) -> None:
        self._fetches += 1
        others = [each for _, each in heapq.nsmallest(STARTS_MAX, self._waiting)]
        first = ID_MAX if self._up else ID_MIN
        is_partly_told = self._told is not None and self._told[0] == near
        after = self._told[1] if self._told and is_partly_told else first
        steps = await self._artifacts.walk_lineage(
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
        self._is_whole = not is_cut and len(others) < STARTS_MAX
        if is_partly_told:
            self._drop_told(found[near])

    def _drop_told(self, edges: deque[LineageStep]) -> None:
        """The edges to the farther end told last come again, if they are still there."""
        for count, step in enumerate(edges, 1):
            if self._told and (self._far_of(step), step.relation) == self._told[1:]:
                for _ in range(count):
                    edges.popleft()
                return

    async def _read(
        self, namespace: str, steps: list[tuple[LineageStep, int]]
    ) -> list[LineageEdge]:
        """What is not of the namespace was in a position that nobody was given by us."""
        ids = {self._far_of(step) for step, _ in steps}
        found = {
            artifact.artifact_id: artifact
            for artifact in await self._artifacts.list_by_id(self._conn, namespace, ids)
        }
        return [
            LineageEdge(
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
        if not waiting or self._told is None:
            return None
        listed = tuple((each, self._distances[each]) for each in waiting)
        near_id, far_id, relation = self._told
        return LineagePosition(
            near_id=near_id,
            far_id=far_id,
            relation=relation,
            waiting=listed if len(listed) <= WAITING_MAX else None,
        )

    def _is_beyond(self, step: LineageStep, told: LineagePosition) -> bool:
        here = (
            self._order(self._near_of(step)),
            self._order(self._far_of(step)),
            step.relation,
        )
        return here > (self._order(told.near_id), self._order(told.far_id), told.relation)

    def _near_of(self, step: LineageStep) -> UUID:
        return step.child_id if self._up else step.parent_id

    def _far_of(self, step: LineageStep) -> UUID:
        return step.parent_id if self._up else step.child_id

    def _order(self, artifact_id: UUID) -> int:
        return -artifact_id.int if self._up else artifact_id.int
