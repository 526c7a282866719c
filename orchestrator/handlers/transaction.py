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
from orchestrator.handlers.http.manner import (
    AddressQuery,
    DryRun,
    Validation,
    is_lenient,
    manner_of,
)
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
    Step,
    TagOperation,
    UndoOperation,
    failing,
    read_transaction,
)
from orchestrator.handlers.version_body import ChangedBody
from orchestrator.handlers.version_body import changed_body as patched_body
from orchestrator.handlers.version_change import DUE_TO_A_COPY
from orchestrator.handlers.version_rebase import Rebasing
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    created_body,
    new_workflow,
    rehearsed,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import NamedBlobs
from orchestrator.models.idempotency import Answer
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Action, Condition, TagChange, TagOrder
from orchestrator.models.version import Changed
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.reference import ReferenceService
from orchestrator.service.tag import TagService
from orchestrator.service.transaction import TransactionService
from orchestrator.service.version_change import new_patch, patch_documents
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


class Stored(msgspec.Struct, frozen=True):
    """The dag_version of a step's workflow, and whether it is new."""

    new: NewWorkflow
    artifact: Artifact
    is_new: bool


class Work(msgspec.Struct, frozen=True):
    """A transaction that is to be run: where, in whose name and why, and what is done."""

    namespace: str
    by: Actor
    message: str | None
    steps: Sequence[Step]
    #: By the place of the step, what its reference names: once found, it stays so however often
    #: the transaction is run.
    targets: dict[int, UUID] = {}


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
        transactions: TransactionService,
        references: ReferenceService,
        patches: TransactionPatches,
        blobs: BlobReferenceService,
        replay: Replay,
        rebasing: Rebasing,
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
        self._transactions = transactions
        self._references = references
        self._patches = patches
        self._blobs = blobs
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

    async def run(
        self,
        call: Call,
        validation: Validation = "strict",
        address: AddressQuery = "position",
        dry_run: DryRun = False,
    ) -> Answer:
        """All operations or none."""
        body = await call.read_json(self._body_bytes_max)
        read = partial(self._read, body, lenient=is_lenient(validation), address=address)
        data = await self._computing.run(call, read, size_of_reading(body))
        work = Work(call.namespace, call.by, checked_message(data.message), data.steps)
        repeated = call.idempotent(body, dry_run=dry_run)
        if (first := await self._replay.first_answer(repeated)) is not None:
            return first
        manner = manner_of(validation, address, dry_run=dry_run)
        patches: dict[int, Patched] = {}

        async def stored(patches: Mapping[int, Patched]) -> Answer:
            if dry_run:
                return await self._rehearse(call, work, patches)

            async def make(conn: Connection) -> Answer:
                ran = await self._run(conn, work, patches)
                return transaction_answer(ran.transaction_id, ran.results)

            return await self._replay.once(call.namespace, repeated, make)

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
                is_late=lambda conflict: conflict.operation in late,
            )
        except DUE_TO_A_COPY:
            if (first := await self._replay.first_answer(repeated)) is None:
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
        async with self._database.transaction(of=work.namespace, dry_run=True) as conn:
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
        stored = await self._store_versions(conn, work, patches)
        changed = await self._store_patches(conn, work, patches)
        targets = await self._find_targets(conn, work)
        targets |= {at: each.artifact.artifact_id for at, each in stored.items()}
        targets |= {at: each.artifact_id for at, each in changed.items()}
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
        versions = [(each.artifact, each.is_new) for each in stored.values()]
        await self._workflows.link_revisions(conn, versions, [outcomes[at] for at in stored])
        missing = await self._refer(conn, work, stored, patches, changed)
        results = [
            patched_body(
                Changed(artifact=changed[at], change=change, missing_blobs=missing[at]),
                patches[at].revision.warnings,
            )
            if at in changed
            else _result(change, work.steps[at], stored.get(at), missing.get(at, ()))
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

    async def _store_versions(
        self,
        conn: Connection,
        work: Work,
        patches: Mapping[int, Patched],
    ) -> dict[int, Stored]:
        """By the place of the step, the dag_version of its workflow. The documents of the patches
        are stored with them.
        """
        new = {
            at: new_workflow(
                step.workflow,
                namespace=work.namespace,
                tag=step.operation.tag,
                by=work.by,
                message=work.message,
            )
            for at, step in enumerate(work.steps)
            if step.workflow is not None
        }
        documents = [each.document() for each in new.values()]
        for each in patches.values():
            if each.is_new:
                documents += patch_documents(each.revision, work.by)
        if documents:
            await self._cas.store_documents(conn, documents)
        if not new:
            return {}
        versions = await self._artifacts.find_or_create_dag_versions(
            conn, [each.version() for each in new.values()]
        )
        # Several steps may have one content: its version is new to all of them, or to none.
        created = {artifact.artifact_id for artifact, is_new in versions if is_new}
        return {
            at: Stored(new[at], artifact, artifact.artifact_id in created)
            for at, (artifact, _) in zip(new, versions, strict=True)
        }

    async def _store_patches(
        self, conn: Connection, work: Work, patches: Mapping[int, Patched]
    ) -> dict[int, Artifact]:
        """By the place of the step, what its tag is to name: the patch, or what it named before if
        the patch changes nothing.
        """
        new = {
            at: new_patch(each.below, each.revision, work.by, work.message)
            for at, each in patches.items()
            if each.is_new
        }
        created = await self._artifacts.create_patch_sets(conn, list(new.values()))
        below = {at: each.below for at, each in patches.items()}
        return below | dict(zip(new, created, strict=True))

    async def _refer(
        self,
        conn: Connection,
        work: Work,
        stored: Mapping[int, Stored],
        patches: Mapping[int, Patched],
        changed: Mapping[int, Artifact],
    ) -> dict[int, tuple[str, ...]]:
        """Let versions keep the blobs that their documents name; by the place, those missing."""
        named = {
            at: NamedBlobs(
                artifact=each.artifact,
                names=each.new.references,
                is_new=each.is_new,
                by=work.by,
            )
            for at, each in stored.items()
        }
        named |= {
            at: NamedBlobs(
                artifact=changed[at],
                names=each.revision.references if each.is_new else (),
                is_new=each.is_new,
                by=work.by,
            )
            for at, each in patches.items()
        }
        return dict(zip(named, await self._blobs.refer(conn, list(named.values())), strict=True))


def transaction_answer(
    transaction_id: UUID, results: Sequence[Result], *, dry_run: bool = False
) -> Answer:
    """A `TransactionBody`."""
    body = {"transaction_id": transaction_id, "results": results}
    return json_answer({**body, "dry_run": True} if dry_run else body)


def _result(change: TagChange, step: Step, stored: Stored | None, missing: Sequence[str]) -> Result:
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
