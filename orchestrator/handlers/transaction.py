"""HTTP for many tag operations at once: direct orchestration under one explicit transaction."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from orchestrator.core.database import Connection, Database
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.errors import accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.manner import USUALLY, MannerQuery
from orchestrator.handlers.http.reading import checked_message
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    TagChangeBody,
    change_body,
    deleted_body,
)
from orchestrator.handlers.transaction_patch import Patched, TransactionPatches, rebasing_tags
from orchestrator.handlers.transaction_request import (
    CreateOperation,
    CreateWorkflowOperation,
    RedoOperation,
    TagOperation,
    TransactionStep,
    UndoOperation,
    failing,
    read_transaction,
)
from orchestrator.handlers.transaction_versions import Stored, TransactionVersions, Work
from orchestrator.handlers.version_body import ChangedBody
from orchestrator.handlers.version_body import changed_body as patched_body
from orchestrator.handlers.version_change import DUE_TO_A_COPY
from orchestrator.handlers.version_rebase import Rebasing
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    created_body,
    rehearsed,
)
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import Action, Condition, TagChange, TagOrder
from orchestrator.models.version import Changed
from orchestrator.models.workflow import CreatedWorkflow
from orchestrator.service.reference import ReferenceService
from orchestrator.service.tag import TagService
from orchestrator.service.transaction import TransactionService
from orchestrator.service.workflow import WorkflowService

STEPS: dict[type[TagOperation], Action] = {
    UndoOperation: Action.UNDO,
    RedoOperation: Action.REDO,
}
Result: TypeAlias = CreatedWorkflowBody | ChangedBody | TagChangeBody | DeletedTagBody


class TransactionBody(msgspec.Struct, frozen=True):
    """One result for each operation, in their order: what the single request for it would have
    answered. The id of a dry run, and those of versions that would be new, are nobody's.
    """

    transaction_id: UUID
    results: list[dict[str, Any]]
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET


class Ran(msgspec.Struct, frozen=True):
    """What came of each operation."""

    transaction_id: UUID
    changes: Sequence[TagChange]
    results: Sequence[Result]


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
        tags: TagService,
        workflows: WorkflowService,
        transactions: TransactionService,
        references: ReferenceService,
        patches: TransactionPatches,
        versions: TransactionVersions,
        replay: Replay,
        rebasing: Rebasing,
        computing: Computing,
        body_bytes_max: int,
        body_values_max: int,
        workflow_bytes_max: int,
        operations_max: int,
    ) -> None:
        self._database = database
        self._tags = tags
        self._workflows = workflows
        self._transactions = transactions
        self._references = references
        self._patches = patches
        self._versions = versions
        self._replay = replay
        self._rebasing = rebasing
        self._computing = computing
        self._body_bytes_max = body_bytes_max
        self._read = partial(
            read_transaction,
            values_max=body_values_max,
            workflow_bytes_max=workflow_bytes_max,
            operations_max=operations_max,
        )

    async def run(self, call: Call, how: MannerQuery = USUALLY) -> Answer:
        """All operations or none."""
        body = await call.read_json(self._body_bytes_max)
        read = partial(self._read, body, lenient=how.is_lenient, address=how.address)
        data = await self._computing.run(call, read, size_of_reading(body))
        work = Work(call.namespace, call.by, checked_message(data.message), data.steps)
        repeated = call.idempotent(body, dry_run=how.dry_run)
        if (first := await self._replay.first_answer(call, repeated)) is not None:
            return first
        manner = how.manner()
        patches: dict[int, Patched] = {}

        async def stored(patches: Mapping[int, Patched]) -> Answer:
            if how.dry_run:
                return await self._rehearse(call, work, patches)

            async def make(conn: Connection) -> Answer:
                ran = await self._run(conn, work, patches)
                return transaction_answer(ran.transaction_id, ran.results)

            return await self._replay.once(call, repeated, make)

        async def made() -> Answer:
            patches.update(await self._patches.make(call, work.steps, manner))
            return await stored(patches)

        async def made_again() -> Answer:
            again = await self._patches.make_again(call, work.steps, patches, manner)
            return await stored(again)

        late = rebasing_tags(work.steps)
        try:
            return await self._rebasing.make(
                made,
                made_again,
                caller=call.principal.name,
                tags=[(call.namespace, tag) for tag in late.values()],
                deadline=partial(call.deadline, self._database),
                is_late=lambda conflict: conflict.operation in late,
            )
        except DUE_TO_A_COPY:
            if (first := await self._replay.first_answer(call, repeated)) is None:
                raise
            return first

    async def _rehearse(
        self,
        call: Call,
        work: Work,
        patches: Mapping[int, Patched],
    ) -> Answer:
        """Run it all, and roll it back: so what it says of names, versions and locks is true."""
        new = {at: each.workflow.content for at, each in enumerate(work.steps) if each.workflow}
        async with self._database.transaction(
            of=work.namespace, deadline=call.deadline(self._database), dry_run=True
        ) as conn:
            ran = await self._run(conn, work, patches)
            changes = [ran.changes[at] for at in new]
            before = await self._workflows.list_before(conn, work.namespace, changes)
        pairs = list(zip(before, new.values(), strict=True))
        previews = dict(zip(new, await self._computing.differences(call, pairs), strict=True))
        previews |= {at: each.revision.preview for at, each in patches.items()}
        results = [
            rehearsed(each, previews[at]) if isinstance(each, CreatedWorkflowBody) else each
            for at, each in enumerate(ran.results)
        ]
        return transaction_answer(ran.transaction_id, results, dry_run=True)

    async def _run(
        self,
        conn: Connection,
        work: Work,
        patches: Mapping[int, Patched],
    ) -> Ran:
        namespace, by, message = work.namespace, work.by, work.message
        made = await self._transactions.begin(conn, namespace, message=message, by=by)
        versions = await self._versions.store(conn, work, patches)
        targets = await self._find_targets(conn, work) | versions.ids
        orders = [
            TagOrder(
                namespace=namespace,
                name=step.operation.tag,
                target_id=targets.get(at),
                message=message,
                by=by,
                condition=_condition(step.operation, patches.get(at)),
                step=STEPS.get(type(step.operation)),
            )
            for at, step in enumerate(work.steps)
        ]
        outcomes = await self._tags.put(conn, orders, made)
        for at in sorted(range(len(work.steps)), key=lambda at: orders[at].name):
            with failing(at):
                accepted(outcomes[at])
        changes = [accepted(outcome) for outcome in outcomes]
        missing = await self._versions.relate(conn, work, versions, patches, outcomes)
        results = [
            patched_body(
                Changed(artifact=versions.patched[at], change=change, missing_blobs=missing[at]),
                patches[at].revision.warnings,
            )
            if at in versions.patched
            else _result(change, work.steps[at], versions.whole.get(at), missing.get(at, ()))
            for at, change in enumerate(changes)
        ]
        return Ran(made, changes, results)

    async def _find_targets(self, conn: Connection, work: Work) -> dict[int, UUID]:
        """By the place of the step, the artifact that its reference names before the first move."""
        if not work.targets:
            sources = {at: each.source for at, each in enumerate(work.steps) if each.source}
            found = await self._references.find(conn, work.namespace, list(sources.values()))
            for at, artifact_id in zip(sources, found, strict=True):
                with failing(at):
                    work.targets[at] = accepted(artifact_id)
        return dict(work.targets)


def transaction_answer(
    transaction_id: UUID, results: Sequence[Result], *, dry_run: bool = False
) -> Answer:
    """A `TransactionBody`."""
    body = {"transaction_id": transaction_id, "results": results}
    return json_answer({**body, "dry_run": True} if dry_run else body)


def _result(
    change: TagChange, step: TransactionStep, stored: Stored | None, missing: Sequence[str]
) -> Result:
    if stored is not None:
        return created_body(
            CreatedWorkflow(artifact=stored.artifact, change=change, missing_blobs=missing),
            step.workflow.warnings if step.workflow else (),
        )
    return deleted_body(change.tag) if change.target is None else change_body(change)


def _condition(operation: TagOperation, patched: Patched | None) -> Condition:
    if isinstance(operation, CreateOperation):
        return Condition(absent=True)
    expected = operation.expected_version
    if patched is not None and expected is None:
        expected = patched.tag_version
    versions = None if expected is None else frozenset({expected})
    if isinstance(operation, CreateWorkflowOperation):
        return Condition(absent=operation.absent, exists=versions is not None, versions=versions)
    return Condition(exists=True, versions=versions)
