"""HTTP for many tag operations at once: direct orchestration under one explicit transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from litestar import Response

from orchestrator.core.compute import Compute
from orchestrator.core.database import Connection, Database
from orchestrator.core.digest import CasId
from orchestrator.documents.workflow import Workflow
from orchestrator.errors import DomainError, InvalidInput, RuleBroken, Violation
from orchestrator.handlers.http.problem import AnyRequest, respond
from orchestrator.handlers.http.reading import (
    Namespace,
    actor_of,
    checked_message,
    decode,
    idempotent_call,
    namespace_of,
    parse_id,
    read_json_body,
)
from orchestrator.handlers.http.replying import json_answer
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    TagChangeBody,
    Version,
    change_body,
    deleted_body,
)
from orchestrator.handlers.workflow import prepare
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    created_body,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.name import parse_tag
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Condition
from orchestrator.models.workflow import CreatedWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.tag import TagService
from orchestrator.service.workflow import WorkflowService


class CreateWorkflowOperation(
    msgspec.Struct, tag_field="op", tag="create_workflow", forbid_unknown_fields=True
):
    """Store a version and let the tag name it, as `POST /workflows` does."""

    tag: str
    workflow: Any
    expected_version: Version | None = None
    absent: bool = False


class CreateOperation(msgspec.Struct, tag_field="op", tag="create", forbid_unknown_fields=True):
    """Create a tag, which must not exist."""

    tag: str
    artifact_id: str
    absent: bool = True


class MoveOperation(msgspec.Struct, tag_field="op", tag="move", forbid_unknown_fields=True):
    """Move a tag, which must exist."""

    tag: str
    artifact_id: str
    expected_version: Version | None = None


class DeleteOperation(msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True):
    """Delete a tag, which must exist."""

    tag: str
    expected_version: Version | None = None


Operation: TypeAlias = CreateWorkflowOperation | CreateOperation | MoveOperation | DeleteOperation
Result: TypeAlias = CreatedWorkflowBody | TagChangeBody | DeletedTagBody


class RunTransaction(msgspec.Struct, forbid_unknown_fields=True):
    """Operations on different tags, each with its own precondition: all or nothing."""

    operations: list[Operation]
    message: str | None = None


class TransactionBody(msgspec.Struct, frozen=True):
    """One result for each operation, in their order: what `POST /workflows`, `PUT /tags/{name}`,
    `POST /tags/{name}/move` or `DELETE /tags/{name}` would have answered.
    """

    results: list[dict[str, Any]]


class Step(msgspec.Struct, frozen=True):
    """An operation that was read: its place, and what it needs besides what it says."""

    at: int
    operation: Operation
    workflow: Workflow | None = None
    cas_id: CasId | None = None
    artifact_id: UUID | None = None


class Caller(msgspec.Struct, frozen=True):
    """In whose name, where and why the transaction runs."""

    namespace: str
    by: Actor
    message: str | None


class TransactionHandler:
    """Calls the focused services itself, because the order of the steps matters here.

    Blobs, then artifacts, then tags, each in the order of their keys: every writer takes its
    locks in this order, so overlapping transactions wait for each other and never deadlock.
    """

    def __init__(
        self,
        database: Database,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        workflows: WorkflowService,
        idempotency: IdempotencyService,
        compute: Compute,
        *,
        body_bytes_max: int,
        workflow_bytes_max: int,
        operations_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._workflows = workflows
        self._idempotency = idempotency
        self._compute = compute
        self._body_bytes_max = body_bytes_max
        self._workflow_bytes_max = workflow_bytes_max
        self._operations_max = operations_max

    async def run(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """All operations or none."""
        namespace = namespace_of(request, namespace)
        body = await read_json_body(request, self._body_bytes_max)
        data, steps = await self._compute.run(lambda: self._read(body), len(body))
        caller = Caller(namespace, actor_of(request), checked_message(data.message))
        call = idempotent_call(request, body)
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            answer = json_answer({"results": await self._run(conn, caller, steps)})
            await self._idempotency.remember(conn, call, answer)
        return respond(answer)

    def _read(self, body: bytes) -> tuple[RunTransaction, list[Step]]:
        """Read and check everything that needs no transaction."""
        data = decode(body, RunTransaction)
        operations = data.operations
        if not 1 <= len(operations) <= self._operations_max:
            message = f"A transaction has 1 to {self._operations_max} operations."
            raise InvalidInput.at("/operations", "length", message)
        _check_tags(operations)
        steps: list[Step] = []
        for at, operation in enumerate(operations):
            if isinstance(operation, CreateWorkflowOperation):
                pointer = f"/operations/{at}/workflow"
                with _failing(at):
                    prepared = prepare(operation.workflow, self._workflow_bytes_max, pointer)
                steps.append(Step(at, operation, *prepared))
            elif isinstance(operation, CreateOperation | MoveOperation):
                pointer = f"/operations/{at}/artifact_id"
                wanted = parse_id(operation.artifact_id, pointer)
                steps.append(Step(at, operation, artifact_id=wanted))
            else:
                steps.append(Step(at, operation))
        return data, steps

    async def _run(self, conn: Connection, caller: Caller, steps: Sequence[Step]) -> list[Result]:
        versions = await self._store_versions(conn, caller, steps)
        results: dict[int, Result] = {}
        for step in sorted(steps, key=lambda step: step.operation.tag):
            with _failing(step.at):
                results[step.at] = await self._apply(conn, caller, step, versions)
        return [results[at] for at in range(len(steps))]

    async def _store_versions(
        self, conn: Connection, caller: Caller, steps: Sequence[Step]
    ) -> dict[CasId, tuple[Artifact, bool]]:
        """The dag_version of each new workflow, and whether it was created here."""
        workflows = {step.cas_id: step.workflow for step in steps if step.cas_id and step.workflow}
        for cas_id in sorted(workflows):
            content = workflows[cas_id].content
            await self._cas.store_content(conn, content, WORKFLOW, cas_id=cas_id, by=caller.by)
        return {
            cas_id: await self._artifacts.find_or_create_dag_version(
                conn,
                caller.namespace,
                cas_id,
                name=workflows[cas_id].name,
                by=caller.by,
                nodes_count=workflows[cas_id].nodes_count,
                edges_count=workflows[cas_id].edges_count,
            )
            for cas_id in sorted(workflows)
        }

    async def _apply(
        self,
        conn: Connection,
        caller: Caller,
        step: Step,
        versions: dict[CasId, tuple[Artifact, bool]],
    ) -> Result:
        operation = step.operation
        if isinstance(operation, DeleteOperation):
            expected = _condition(operation).versions
            change = await self._tags.delete(
                conn,
                caller.namespace,
                operation.tag,
                by=caller.by,
                message=caller.message,
                expected=expected,
            )
            return deleted_body(change.tag)
        artifact, is_new = await self._target(conn, caller, step, versions)
        change = await self._tags.put(
            conn,
            caller.namespace,
            operation.tag,
            artifact.artifact_id,
            by=caller.by,
            message=caller.message,
            condition=_condition(operation),
        )
        if not isinstance(operation, CreateWorkflowOperation):
            return change_body(change, artifact)
        if is_new:
            await self._workflows.link_revision(conn, artifact, change)
        return created_body(CreatedWorkflow(artifact=artifact, change=change))

    async def _target(
        self,
        conn: Connection,
        caller: Caller,
        step: Step,
        versions: dict[CasId, tuple[Artifact, bool]],
    ) -> tuple[Artifact, bool]:
        if step.cas_id is not None:
            return versions[step.cas_id]
        assert step.artifact_id is not None  # Only a delete has neither, and no target.
        wanted = step.artifact_id
        return await self._artifacts.get_by_id(conn, caller.namespace, wanted, locked=True), False


def _condition(operation: Operation) -> Condition:
    if isinstance(operation, CreateOperation):
        return Condition(absent=True)
    expected = operation.expected_version
    versions = None if expected is None else frozenset({expected})
    if isinstance(operation, CreateWorkflowOperation):
        return Condition(absent=operation.absent, exists=versions is not None, versions=versions)
    return Condition(exists=True, versions=versions)


def _check_tags(operations: Sequence[Operation]) -> None:
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


def _check_absent(operation: Operation, pointer: str) -> None:
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
