"""HTTP for what happened to the nodes and edges of a workflow: reads only, and computing."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar.params import PathParameter

from orchestrator.core.database import Database
from orchestrator.documents.workflow_blame import blame_workflow, node_events
from orchestrator.errors import NotFound
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.entity import listed, tagged
from orchestrator.handlers.http.paging import Cursor, Limit, after, page_of
from orchestrator.handlers.http.reading import TagPath, segment, tag_in_path
from orchestrator.handlers.version_history_body import NodeHistoryBody, blame_body, event_body
from orchestrator.models.idempotency import Answer
from orchestrator.models.version_history import History
from orchestrator.service.artifact_lineage import ID_MAX
from orchestrator.service.version import VersionService
from orchestrator.service.version_history import VersionHistoryService

NodePath = Annotated[str, PathParameter(description="The id of a node.")]


class VersionHistoryHandler:
    """The history is read at once, then computed without a connection."""

    def __init__(
        self,
        database: Database,
        versions: VersionService,
        histories: VersionHistoryService,
        computing: Computing,
    ) -> None:
        self._database = database
        self._versions = versions
        self._histories = histories
        self._computing = computing

    async def blame(self, call: Call, tag: TagPath) -> Answer:
        """Which version made each node and each edge of the workflow what it is."""
        history = await self._history(call, tag)
        work = partial(blame_workflow, history.ancestors)
        blame = await self._computing.run(call, work, history.size_bytes)
        return tagged(call, blame_body(history, blame))

    async def node_history(
        self,
        call: Call,
        tag: TagPath,
        node_id: NodePath,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """The versions that added, changed or removed a node, newest first."""
        name, before = segment(node_id), after(cursor, UUID, ID_MAX)
        history = await self._history(call, tag)
        work = partial(node_events, history.ancestors, name)
        events = await self._computing.run(call, work, history.size_bytes)
        if not events:
            raise NotFound("node", name)
        bodies = [event_body(history, each) for each in events]
        rest = [each for each in bodies if each.artifact_id < before]
        shown, following = page_of(rest[: limit + 1], limit, lambda each: each.artifact_id)
        return listed(
            call, NodeHistoryBody(items=shown, next=following, truncated=history.truncated)
        )

    async def _history(self, call: Call, tag: str) -> History:
        async with self._database.connection() as conn:
            head = await self._versions.get_head(conn, call.namespace, tag_in_path(tag))
            return await self._histories.get(conn, call.namespace, head.version.artifact)
