"""HTTP for many tag operations at once: direct orchestration under one explicit transaction."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec

from orchestrator.core.database import Connection, Database
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.errors import accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.reading import checked_message
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    TagChangeBody,
    change_body,
    deleted_body,
)
from orchestrator.handlers.transaction_request import (
    CreateOperation,
    CreateWorkflowOperation,
    Step,
    TagOperation,
    failing,
    read_transaction,
)
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    created_body,
    new_workflow,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.idempotency import Answer
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Condition, TagChange, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.workflow import WorkflowService

Result: TypeAlias = CreatedWorkflowBody | TagChangeBody | DeletedTagBody


class TransactionBody(msgspec.Struct, frozen=True):
    """One result for each operation, in their order: what `POST /workflows`, `PUT /tags/{name}`,
    `POST /tags/{name}/move` or `DELETE /tags/{name}` would have answered.
    """

    results: list[dict[str, Any]]


class Stored(msgspec.Struct, frozen=True):
    """The dag_version of a step's workflow, and whether it is new."""

    new: NewWorkflow
    artifact: Artifact
    is_new: bool


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
        computing: Computing,
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
        self._computing = computing
        self._body_bytes_max = body_bytes_max
        self._read = partial(
            read_transaction,
            values_max=body_values_max,
            workflow_bytes_max=workflow_bytes_max,
            operations_max=operations_max,
        )

    async def run(self, call: Call) -> Answer:
        """All operations or none."""
        body = await call.read_json(self._body_bytes_max)
        data = await self._computing.run(call, partial(self._read, body), size_of_reading(body))
        caller = Caller(call.namespace, call.by, checked_message(data.message))

        async def make(conn: Connection) -> Answer:
            return json_answer({"results": await self._run(conn, caller, data.steps)})

        return await self._replay.once(call.namespace, call.idempotent(body), make)

    async def _run(self, conn: Connection, caller: Caller, steps: Sequence[Step]) -> list[Result]:
        stored = await self._store_versions(conn, caller, steps)
        orders = [
            TagOrder(
                namespace=caller.namespace,
                name=step.operation.tag,
                target_id=stored[at].artifact.artifact_id if at in stored else step.artifact_id,
                message=caller.message,
                by=caller.by,
                condition=_condition(step.operation),
            )
            for at, step in enumerate(steps)
        ]
        outcomes = await self._tags.put(conn, orders)
        for at in sorted(range(len(steps)), key=lambda at: orders[at].name):
            with failing(at):
                accepted(outcomes[at])
        versions = [(each.artifact, each.is_new) for each in stored.values()]
        await self._workflows.link_revisions(conn, versions, [outcomes[at] for at in stored])
        missing = await self._workflows.refer(
            conn, [each.new for each in stored.values()], versions
        )
        absent = dict(zip(stored, missing, strict=True))
        return [
            _result(accepted(outcome), stored.get(at), absent.get(at, ()))
            for at, outcome in enumerate(outcomes)
        ]

    async def _store_versions(
        self, conn: Connection, caller: Caller, steps: Sequence[Step]
    ) -> dict[int, Stored]:
        """By the place of the step, the dag_version of its workflow."""
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
            at: Stored(new[at], artifact, artifact.artifact_id in created)
            for at, (artifact, _) in zip(new, versions, strict=True)
        }


def _result(change: TagChange, stored: Stored | None, missing: Sequence[str]) -> Result:
    if stored is not None:
        return created_body(
            CreatedWorkflow(artifact=stored.artifact, change=change, missing_blobs=missing)
        )
    return deleted_body(change.tag) if change.target is None else change_body(change)


def _condition(operation: TagOperation) -> Condition:
    if isinstance(operation, CreateOperation):
        return Condition(absent=True)
    expected = operation.expected_version
    versions = None if expected is None else frozenset({expected})
    if isinstance(operation, CreateWorkflowOperation):
        return Condition(absent=operation.absent, exists=versions is not None, versions=versions)
    return Condition(exists=True, versions=versions)
