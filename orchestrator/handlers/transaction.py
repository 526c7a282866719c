"""HTTP for many tag operations at once: direct orchestration under one explicit transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec

from orchestrator.core.compute import Compute
from orchestrator.core.database import Connection, Database
from orchestrator.documents.workflow_prepare import PreparedWorkflow, prepare
from orchestrator.errors import DomainError, InvalidInput, RuleBroken, Violation, accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.reading import (
    IdText,
    MessageText,
    checked_message,
    decode,
    parse_id,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    TagChangeBody,
    Version,
    change_body,
    deleted_body,
)
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    WorkflowDocument,
    created_body,
    new_workflow,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import TagText, parse_tag
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Condition, TagChange, TagOrder
from orchestrator.models.workflow import CreatedWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.workflow import WorkflowService


class CreateWorkflowOperation(
    msgspec.Struct, tag_field="op", tag="create_workflow", forbid_unknown_fields=True
):
    """Store a version and let the tag name it, as `POST /workflows` does."""

    tag: TagText
    workflow: WorkflowDocument
    expected_version: Version | None = None
    absent: bool = False


class CreateOperation(msgspec.Struct, tag_field="op", tag="create", forbid_unknown_fields=True):
    """Create a tag, which must not exist."""

    tag: TagText
    artifact_id: IdText
    absent: bool = True


class MoveOperation(msgspec.Struct, tag_field="op", tag="move", forbid_unknown_fields=True):
    """Move a tag, which must exist."""

    tag: TagText
    artifact_id: IdText
    expected_version: Version | None = None


class DeleteOperation(msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True):
    """Delete a tag, which must exist."""

    tag: TagText
    expected_version: Version | None = None


TagOperation: TypeAlias = (
    CreateWorkflowOperation | CreateOperation | MoveOperation | DeleteOperation
)
Result: TypeAlias = CreatedWorkflowBody | TagChangeBody | DeletedTagBody


class RunTransaction(msgspec.Struct, forbid_unknown_fields=True):
    """Operations on different tags, each with its own precondition: all or nothing."""

    operations: Annotated[list[TagOperation], msgspec.Meta(extra_json_schema={"minItems": 1})]
    message: MessageText | None = None


class TransactionBody(msgspec.Struct, frozen=True):
    """One result for each operation, in their order: what `POST /workflows`, `PUT /tags/{name}`,
    `POST /tags/{name}/move` or `DELETE /tags/{name}` would have answered.
    """

    results: list[dict[str, Any]]


class Step(msgspec.Struct, frozen=True):
    """An operation that was read, and what it is to point its tag at: a workflow that comes with
    it, an artifact that is there, or nothing for a delete.
    """

    operation: TagOperation
    workflow: PreparedWorkflow | None = None
    artifact_id: UUID | None = None


class Caller(msgspec.Struct, frozen=True):
    """In whose name, where and why the transaction runs."""

    namespace: str
    by: Actor
    message: str | None


class TransactionHandler:
    """Calls the focused services itself, because the order of the steps matters here.

    Blobs, then artifacts, then tags, one statement for each, which takes its locks in the order of
    their keys: every writer does, so overlapping transactions wait for each other and never
    deadlock.
    """

    def __init__(
        self,
        database: Database,
        *,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        workflows: WorkflowService,
        replay: Replay,
        compute: Compute,
        body_bytes_max: int,
        body_values_max: int,
        workflow_bytes_max: int,
        operations_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._workflows = workflows
        self._replay = replay
        self._compute = compute
        self._body_bytes_max = body_bytes_max
        self._body_values_max = body_values_max
        self._workflow_bytes_max = workflow_bytes_max
        self._operations_max = operations_max

    async def run(self, call: Call) -> Answer:
        """All operations or none."""
        body = await call.read_json(self._body_bytes_max)
        data, steps = await self._compute.run(lambda: self._read(body), len(body))
        caller = Caller(call.namespace, call.by, checked_message(data.message))

        async def make(conn: Connection) -> Answer:
            return json_answer({"results": await self._run(conn, caller, steps)})

        return await self._replay.once(call.namespace, call.idempotent(body), make)

    def _read(self, body: bytes) -> tuple[RunTransaction, list[Step]]:
        """Read and check everything that needs no transaction."""
        data = decode(body, RunTransaction, values_max=self._body_values_max)
        operations = data.operations
        if not 1 <= len(operations) <= self._operations_max:
            message = f"A transaction has 1 to {self._operations_max} operations."
            raise InvalidInput.at("/operations", "length", message)
        _check_tags(operations)
        return data, [self._step(at, operation) for at, operation in enumerate(operations)]

    def _step(self, at: int, operation: TagOperation) -> Step:
        if isinstance(operation, CreateWorkflowOperation):
            with _failing(at):
                pointer = f"/operations/{at}/workflow"
                prepared = prepare(operation.workflow, self._workflow_bytes_max, pointer)
            return Step(operation, prepared)
        if isinstance(operation, CreateOperation | MoveOperation):
            wanted = parse_id(operation.artifact_id, f"/operations/{at}/artifact_id")
            return Step(operation, artifact_id=wanted)
        return Step(operation)

    async def _run(self, conn: Connection, caller: Caller, steps: Sequence[Step]) -> list[Result]:
        stored = await self._store_versions(conn, caller, steps)
        orders = [
            TagOrder(
                namespace=caller.namespace,
                name=step.operation.tag,
                target_id=stored[at][0].artifact_id if at in stored else step.artifact_id,
                message=caller.message,
                by=caller.by,
                condition=_condition(step.operation),
            )
            for at, step in enumerate(steps)
        ]
        outcomes = await self._tags.put(conn, orders)
        for at in sorted(range(len(steps)), key=lambda at: orders[at].name):
            with _failing(at):
                accepted(outcomes[at])
        await self._workflows.link_revisions(
            conn, list(stored.values()), [outcomes[at] for at in stored]
        )
        return [
            _result(accepted(outcome), stored[at][0] if at in stored else None)
            for at, outcome in enumerate(outcomes)
        ]

    async def _store_versions(
        self, conn: Connection, caller: Caller, steps: Sequence[Step]
    ) -> dict[int, tuple[Artifact, bool]]:
        """By the place of the step, the dag_version of its workflow, and whether it is new."""
        new = {
            at: new_workflow(
                step.workflow,
                namespace=caller.namespace,
                tag=step.operation.tag,
                by=caller.by,
                message=caller.message,
            )
            for at, step in enumerate(steps)
            if step.workflow is not None
        }
        if not new:
            return {}
        await self._cas.store_documents(conn, [each.document() for each in new.values()])
        versions = await self._artifacts.find_or_create_dag_versions(
            conn, [each.version() for each in new.values()]
        )
        # Several steps may have one content: its version is new to all of them, or to none.
        created = {artifact.artifact_id for artifact, is_new in versions if is_new}
        return {
            at: (artifact, artifact.artifact_id in created)
            for at, (artifact, _) in zip(new, versions, strict=True)
        }


def _result(change: TagChange, created: Artifact | None) -> Result:
    if created is not None:
        return created_body(CreatedWorkflow(artifact=created, change=change))
    return deleted_body(change.tag) if change.target is None else change_body(change)


def _condition(operation: TagOperation) -> Condition:
    if isinstance(operation, CreateOperation):
        return Condition(absent=True)
    expected = operation.expected_version
    versions = None if expected is None else frozenset({expected})
    if isinstance(operation, CreateWorkflowOperation):
        return Condition(absent=operation.absent, exists=versions is not None, versions=versions)
    return Condition(exists=True, versions=versions)


def _check_tags(operations: Sequence[TagOperation]) -> None:
    """Each tag once: two operations on one tag would make the outcome a matter of their order."""
    seen: dict[str, int] = {}
    twice: list[Violation] = []
    for at, operation in enumerate(operations):
        parse_tag(operation.tag, f"/operations/{at}/tag")
        _check_absent(operation, f"/operations/{at}/absent")
        if operation.tag in seen:
            message = f"Operation {seen[operation.tag]} names the tag {operation.tag!r} already."
            twice.append(Violation(f"/operations/{at}/tag", "unique", message))
        seen.setdefault(operation.tag, at)
    if twice:
        raise RuleBroken("A transaction names each tag once.", twice)


def _check_absent(operation: TagOperation, pointer: str) -> None:
    if isinstance(operation, CreateOperation) and not operation.absent:
        message = "A create is for a tag that does not exist; to change one, use move."
        raise InvalidInput.at(pointer, "absent", message)
    if (
        isinstance(operation, CreateWorkflowOperation)
        and operation.absent
        and operation.expected_version is not None
    ):
        message = "A tag cannot be absent and at an expected version."
        raise InvalidInput.at(pointer, "absent", message)


@contextmanager
def _failing(at: int) -> Iterator[None]:
    """Let the refusal say which operation it is about."""
    try:
        yield
    except DomainError as error:
        error.operation = at
        raise
