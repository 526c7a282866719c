"""HTTP for workflows: reads requests, opens one transaction, hands it to the workflow service."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response
from litestar.params import QueryParameter
from msgspec.structs import replace

from orchestrator.core.batching import Batcher
from orchestrator.core.compute import Compute
from orchestrator.core.database import Connection, Database
from orchestrator.core.digest import CasId
from orchestrator.documents.workflow import Workflow
from orchestrator.documents.workflow_prepare import prepare
from orchestrator.errors import DomainError, NotFound, accepted
from orchestrator.handlers.http.direct import Asked
from orchestrator.handlers.http.paging import Cursor, Limit, Page, page_of, tag_after
from orchestrator.handlers.http.precondition import (
    ANYWHERE,
    HashPrecondition,
    Precondition,
    hash_guard,
    none_match,
    precondition_guard,
    tag_precondition,
    workflow_precondition,
)
from orchestrator.handlers.http.problem import AnyRequest, respond
from orchestrator.handlers.http.reading import (
    Namespace,
    TagPath,
    TagTime,
    TagVersion,
    actor_of,
    checked_message,
    decode,
    idempotent_call,
    namespace_of,
    read_json_body,
    tag_in_path,
    time_travel,
)
from orchestrator.handlers.http.replying import etag, json_answer, not_modified, spliced
from orchestrator.handlers.tag_body import (
    deleted_body,
)
from orchestrator.handlers.workflow_body import (
    CreateWorkflow,
    WorkflowBody,
    components_body,
    created_answer,
    workflow_body,
)
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import parse_tag
from orchestrator.models.tag import Condition, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow, ResolvedWorkflow
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.tag import TagService
from orchestrator.service.workflow import WorkflowService

Materialize = Annotated[
    bool, QueryParameter(description="false: the base and its patches, as they are stored.")
]


class WorkflowHandler:
    """Workflows by tag, through the orchestrating service."""

    def __init__(
        self,
        database: Database,
        workflows: WorkflowService,
        tags: TagService,
        idempotency: IdempotencyService,
        compute: Compute,
        *,
        body_bytes_max: int,
        workflow_bytes_max: int,
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._tags = tags
        self._idempotency = idempotency
        self._compute = compute
        self._body_bytes_max = body_bytes_max
        self._workflow_bytes_max = workflow_bytes_max
        self._lookups = Batcher(self._look_up_together)
        self._creations = Batcher(
            self._create_new, alone=self._create_alone, key=lambda new: (new.namespace, new.tag)
        )

    async def create(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """Store a version of a workflow and let the tag name it, all or nothing."""
        return respond(await self.store(request, "", namespace))

    async def store(self, request: Asked, _: str, namespace: str | None) -> Answer:
        """The same. Creates that come together and demand nothing of their tags are one commit."""
        namespace = namespace_of(request, namespace)
        body = await read_json_body(request, self._body_bytes_max)
        data, workflow, cas_id = await self._compute.run(lambda: self._read(body), len(body))
        new = NewWorkflow(
            namespace=namespace,
            tag=data.tag,
            content=workflow.content,
            cas_id=cas_id,
            name=workflow.name,
            nodes_count=workflow.nodes_count,
            edges_count=workflow.edges_count,
            by=actor_of(request),
            message=checked_message(data.message),
        )
        by_hash = workflow_precondition(request)
        precondition = tag_precondition(request, data.expected_version, if_match=False)
        call = idempotent_call(request, body)
        if call is None and by_hash.header is None and precondition == ANYWHERE:
            return created_answer(await self._creations(new))
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return kept
            with hash_guard(by_hash, new.tag), precondition_guard(precondition):
                condition = await self._condition(conn, namespace, new.tag, precondition, by_hash)
                created = await self._create(conn, replace(new, condition=condition))
            answer = created_answer(created)
            await self._idempotency.remember(conn, call, answer)
        return answer

    async def _create_new(self, new: Sequence[NewWorkflow]) -> list[CreatedWorkflow | None]:
        async with self._database.write() as conn:
            return await self._workflows.create_new(conn, new)

    async def _create_alone(self, new: NewWorkflow) -> CreatedWorkflow:
        async with self._database.transaction() as conn:
            return await self._create(conn, new)

    async def _create(self, conn: Connection, new: NewWorkflow) -> CreatedWorkflow:
        (outcome,) = await self._workflows.create(conn, [new])
        return accepted(outcome)

    async def _condition(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        precondition: Precondition,
        by_hash: HashPrecondition,
    ) -> Condition:
        """What must hold of the tag; a hash that `If-Match` demands becomes the tag's version."""
        if by_hash.header is None or precondition.condition.absent:
            return precondition.condition
        entry = (await self._workflows.get_by_tag(conn, namespace, tag)).entry
        by_hash.check(tag, entry.tag_version, entry.version_hash)
        expected = precondition.versions or frozenset({entry.tag_version})
        return Condition(exists=True, versions=expected & {entry.tag_version})

    def _read(self, body: bytes) -> tuple[CreateWorkflow, Workflow, CasId]:
        data = decode(body, CreateWorkflow)
        parse_tag(data.tag)  # Before the work on the document, which may be large.
        return data, *prepare(data.workflow, self._workflow_bytes_max, "/workflow")

    async def get(
        self,
        request: AnyRequest,
        tag: TagPath,
        namespace: Namespace = None,
        version: TagVersion = None,
        at: TagTime = None,
        materialize: Materialize = True,
    ) -> Response[bytes]:
        """The workflow that the tag names now, named at a version of the tag, or at a time."""
        moment = _moment(version, at)
        if materialize and not moment:
            return respond(await self.look_up(request, tag, namespace))
        namespace, name = namespace_of(request, namespace), tag_in_path(tag)
        async with self._database.connection() as conn:
            if not materialize:
                parts = await self._workflows.get_components(conn, namespace, name, **moment)
                return respond(json_answer(components_body(parts)))
            found = await self._workflows.get_by_tag(conn, namespace, name, **moment)
        return respond(_resolved_answer(request, found))

    async def look_up(self, request: Asked, tag: str, namespace: str | None) -> Answer:
        """The workflow that the tag names now. Lookups that come together are one query."""
        wanted = namespace_of(request, namespace), tag_in_path(tag)
        return _resolved_answer(request, await self._lookups(wanted))

    async def _look_up_together(
        self, wanted: Sequence[tuple[str, str]]
    ) -> list[ResolvedWorkflow | DomainError]:
        async with self._database.connection() as conn:
            return await self._workflows.get_by_tags(conn, wanted)

    async def list_workflows(
        self,
        request: AnyRequest,
        namespace: Namespace = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response[bytes]:
        """The tags of a namespace that name workflows, by name, without the documents."""
        namespace = namespace_of(request, namespace)
        start = tag_after(cursor)
        async with self._database.connection() as conn:
            entries = await self._workflows.list_by_tag(
                conn, namespace, after=start, limit=limit + 1
            )
        shown, following = page_of(entries, limit, lambda entry: entry.tag)
        items = [workflow_body(entry) for entry in shown]
        return respond(json_answer(Page[WorkflowBody](items, following)))

    async def delete(
        self, request: AnyRequest, tag: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Delete the tag only: its history and every version it named stay."""
        namespace, name = namespace_of(request, namespace), tag_in_path(tag)
        by_hash = workflow_precondition(request)
        async with self._database.transaction() as conn:
            with hash_guard(by_hash, name):
                condition = await self._condition(conn, namespace, name, ANYWHERE, by_hash)
                order = TagOrder(
                    namespace=namespace, name=name, by=actor_of(request), condition=condition
                )
                try:
                    change = await self._tags.delete(conn, order)
                except NotFound:
                    raise NotFound("workflow", name) from None
        return respond(json_answer(deleted_body(change.tag)))


def _resolved_answer(request: Asked, found: ResolvedWorkflow) -> Answer:
    entity_tag = str(found.entry.version_hash)
    if "if-none-match" in request.headers and none_match(request, entity_tag):
        return not_modified({"ETag": etag(entity_tag)})
    body = spliced(found.entry, "workflow", found.content)
    return json_answer(body, headers={"ETag": etag(entity_tag)})


def _moment(version: int | None, at: str | None) -> dict[str, Any]:
    moment = time_travel(version, at)
    if moment is None:
        return {}
    return {"version": moment} if isinstance(moment, int) else {"at": moment}
