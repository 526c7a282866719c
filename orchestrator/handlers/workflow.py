"""HTTP for workflows: reads requests, opens one transaction, hands it to the workflow service."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

from litestar.params import QueryParameter
from msgspec.structs import replace

from orchestrator.core.batching import Batcher
from orchestrator.core.database import Connection, Database
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.errors import Current, DomainError, NotFound, accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.manner import USUALLY, JudgementQuery, MannerQuery
from orchestrator.handlers.http.precondition import (
    ANYWHERE,
    HashPrecondition,
    Precondition,
    check_if_match,
    hash_guard,
    precondition_guard,
    tag_precondition,
    unchanged,
    workflow_precondition,
)
from orchestrator.handlers.http.reading import (
    ExpectedVersion,
    MessageQuery,
    TagPath,
    TagTime,
    TagVersion,
    checked_message,
    message_in_query,
    tag_in_path,
    time_travel,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import IMMUTABLE, NONE, Reply, etag, json_answer, spliced
from orchestrator.handlers.tag_body import deleted_body
from orchestrator.handlers.workflow_body import (
    components_body,
    created_answer,
    created_body,
    new_workflow,
    rehearsed,
    validated_body,
)
from orchestrator.handlers.workflow_request import judge_workflow, read_workflow
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import Condition, TagOrder
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    ResolvedWorkflow,
    WorkflowComponents,
    WorkflowEntry,
)
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
        replay: Replay,
        computing: Computing,
        *,
        body_bytes_max: int,
        body_values_max: int,
        workflow_bytes_max: int,
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._tags = tags
        self._replay = replay
        self._computing = computing
        self._body_bytes_max = body_bytes_max
        self._read = partial(
            read_workflow, values_max=body_values_max, workflow_bytes_max=workflow_bytes_max
        )
        self._judge = partial(
            judge_workflow, values_max=body_values_max, workflow_bytes_max=workflow_bytes_max
        )
        self._lookups = Batcher(
            self._look_up_together, wait_seconds_max=database.acquire_seconds_max
        )
        self._creations = Batcher(
            self._create_new,
            alone=self._create_alone,
            key=lambda new: (new.namespace, new.tag),
            wait_seconds_max=database.acquire_seconds_max,
        )

    async def create(self, call: Call, how: MannerQuery = USUALLY) -> Answer:
        """Store a version of a workflow and let the tag name it, all or nothing."""
        body = await call.read_json(self._body_bytes_max)
        read = partial(self._read, body, lenient=how.is_lenient, address=how.address)
        data = await self._computing.run(call, read, size_of_reading(body))
        message = checked_message(data.message)
        new = new_workflow(
            data.prepared, namespace=call.namespace, tag=data.tag, by=call.by, message=message
        )
        by_hash = workflow_precondition(call)
        precondition = tag_precondition(call, data.expected_version, if_match=False)
        repeated = call.idempotent(body, dry_run=how.dry_run)
        warnings = data.prepared.warnings
        if (
            repeated is None
            and not how.dry_run
            and by_hash.header is None
            and precondition == ANYWHERE
            and not new.references
        ):
            # Creates that come together and demand nothing of their tags are one commit.
            return created_answer(await self._creations(new), warnings)

        async def create(conn: Connection) -> CreatedWorkflow:
            with hash_guard(by_hash, new.tag), precondition_guard(precondition):
                condition = await self._condition(
                    conn, new.namespace, new.tag, precondition, by_hash
                )
                return await self._create(conn, replace(new, condition=condition))

        if how.dry_run:
            async with self._database.transaction(of=call.namespace, dry_run=True) as conn:
                created = await create(conn)
                (before,) = await self._workflows.list_before(
                    conn, call.namespace, [created.change]
                )
            (preview,) = await self._computing.differences(call, [(before, new.content)])
            return json_answer(rehearsed(created_body(created, warnings), preview))

        async def make(conn: Connection) -> Answer:
            return created_answer(await create(conn), warnings)

        return await self._replay.once(call, repeated, make)

    async def validate(self, call: Call, how: JudgementQuery = USUALLY) -> Answer:
        """Judge a document as a create would; nothing is stored, and what it breaks is listed."""
        body = await call.read_json(self._body_bytes_max)
        judge = partial(self._judge, body, lenient=how.is_lenient, address=how.address)
        found = await self._computing.run(call, judge, size_of_reading(body))
        return json_answer(validated_body(found))

    async def _create_new(
        self, new: Sequence[NewWorkflow], deadline: float
    ) -> list[CreatedWorkflow | None]:
        async with self._database.write(deadline=deadline) as conn:
            return await self._workflows.create_new(conn, new)

    async def _create_alone(self, new: NewWorkflow, deadline: float) -> CreatedWorkflow:
        async with self._database.transaction(of=new.namespace, deadline=deadline) as conn:
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

    async def get(
        self,
        call: Call,
        tag: TagPath,
        version: TagVersion = None,
        at: TagTime = None,
        materialize: Materialize = True,
    ) -> Reply:
        """The workflow that the tag names now, named at a version of the tag, or at a time."""
        name, namespace = tag_in_path(tag), call.namespace
        moment = time_travel(version, at)
        headers = IMMUTABLE if version is not None else NONE
        if materialize and moment is None:
            # Lookups that come together are one query.
            return _materialized(call, await self._lookups((namespace, name)))
        async with self._database.connection() as conn:
            if materialize:
                found = await self._workflows.get_by_tag(conn, namespace, name, moment)
                return _materialized(call, found, headers)
            parts = await self._workflows.get_components(conn, namespace, name, moment)
        return _parts(call, parts, headers)

    async def _look_up_together(
        self, wanted: Sequence[tuple[str, str]], deadline: float
    ) -> list[ResolvedWorkflow | DomainError]:
        async with self._database.connection(deadline=deadline) as conn:
            return await self._workflows.get_by_tags(conn, wanted)

    async def delete(
        self,
        call: Call,
        tag: TagPath,
        message: MessageQuery = None,
        expected_version: ExpectedVersion = None,
    ) -> Answer:
        """Delete the tag only: its history and every version it named stay."""
        name, namespace = tag_in_path(tag), call.namespace
        by_hash = workflow_precondition(call)
        precondition = ANYWHERE
        if expected_version is not None:
            expected = frozenset({expected_version})
            precondition = Precondition(Condition(exists=True, versions=expected))
        why = message_in_query(call, message)
        async with self._database.transaction(of=namespace) as conn:
            with hash_guard(by_hash, name):
                # WrongKind for a tag that names something else.
                await self._workflows.get_by_tag(conn, namespace, name)
                condition = await self._condition(conn, namespace, name, precondition, by_hash)
                order = TagOrder(
                    namespace=namespace, name=name, message=why, by=call.by, condition=condition
                )
                try:
                    change = await self._tags.delete(conn, order)
                except NotFound:
                    raise NotFound("workflow", name) from None
        return json_answer(deleted_body(change.tag))


def _read_answer(
    call: Call, entry: WorkflowEntry, made: Callable[[str], Reply], headers: Mapping[str, str]
) -> Reply:
    """What `made` makes of the entity tag, if it is sent."""
    entity_tag = str(entry.version_hash)
    if "if-match" in call.headers:
        current = Current(entry.tag_version, version_hash=entity_tag)
        check_if_match(call, entity_tag, "workflow", entry.tag, current)
    if (same := unchanged(call, entity_tag, headers)) is not None:
        return same
    return made(etag(entity_tag))


def _materialized(call: Call, found: ResolvedWorkflow, headers: Mapping[str, str] = NONE) -> Reply:
    def made(entity_tag: str) -> Reply:
        sent = {"ETag": entity_tag, **headers}
        return spliced(found.entry, "workflow", found.content, sent, owner=found.version)

    return _read_answer(call, found.entry, made, headers)


def _parts(call: Call, found: WorkflowComponents, headers: Mapping[str, str]) -> Reply:
    def made(entity_tag: str) -> Reply:
        return json_answer(components_body(found), headers={"ETag": entity_tag, **headers})

    return _read_answer(call, found.entry, made, headers)
