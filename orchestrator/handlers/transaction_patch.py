"""The patches of a transaction: on what each is made, and what it makes; nothing is stored."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from orchestrator.core.database import Database
from orchestrator.documents.workflow_change import ChangeRules, Manner, Revision
from orchestrator.documents.workflow_patch import size_of_work
from orchestrator.errors import NotFound, accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.transaction_request import (
    PatchWork,
    PatchWorkflowOperation,
    RebaseWork,
    TransactionStep,
    failing,
    patch_all,
    rebase_all,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.workflow import ResolvedWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.workflow import WorkflowService


class Patched(msgspec.Struct, frozen=True):
    """A revision of what a tag named at a version, and what that was."""

    below: Artifact
    #: The workflow of that.
    base: bytes
    tag_version: int
    revision: Revision

    @property
    def is_new(self) -> bool:
        """Whether the patch changes anything."""
        return self.revision.version_hash != self.below.version_hash


class _Head(NamedTuple):
    """What a tag names."""

    workflow: ResolvedWorkflow
    artifact: Artifact

    def patched(self, revision: Revision) -> Patched:
        entry, content = self.workflow.entry, self.workflow.content
        return Patched(self.artifact, content, entry.tag_version, revision)


class TransactionPatches:
    """Reads all heads at once, and computes without a connection."""

    def __init__(
        self,
        database: Database,
        workflows: WorkflowService,
        artifacts: ArtifactService,
        computing: Computing,
        rules: ChangeRules,
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._artifacts = artifacts
        self._computing = computing
        self._rules = rules

    async def make(
        self, call: Call, steps: Sequence[TransactionStep], manner: Manner
    ) -> dict[int, Patched]:
        """By the place of the step, what its patch makes."""
        heads = await self._heads(
            call, {at: step.operation.tag for at, step in enumerate(steps) if step.patch}
        )
        work = [
            PatchWork(at, head.workflow.content, steps[at].patch or b"")
            for at, head in heads.items()
        ]
        size = sum(size_of_work(each.head, each.patch) for each in work)
        patching = partial(patch_all, work, self._rules, manner)
        revisions = await self._computing.run(call, patching, size) if work else []
        return {
            at: head.patched(revision)
            for (at, head), revision in zip(heads.items(), revisions, strict=True)
        }

    async def make_again(
        self,
        call: Call,
        steps: Sequence[TransactionStep],
        made: Mapping[int, Patched],
        manner: Manner,
    ) -> dict[int, Patched]:
        """What was made of heads that have moved since, merged into those of now."""
        late = rebasing_tags(steps)
        heads = {
            at: head
            for at, head in (await self._heads(call, late)).items()
            if head.workflow.entry.tag_version != made[at].tag_version
        }
        work = [
            RebaseWork(at, made[at].base, made[at].revision.content, head.workflow.content)
            for at, head in heads.items()
        ]
        size = sum(len(each.base) + len(each.changed) + len(each.head) for each in work)
        rebasing = partial(rebase_all, work, self._rules, manner)
        revisions = await self._computing.run(call, rebasing, size) if work else []
        return dict(made) | {
            at: head.patched(revision)
            for (at, head), revision in zip(heads.items(), revisions, strict=True)
        }

    async def _heads(self, call: Call, tags: Mapping[int, str]) -> dict[int, _Head]:
        """By the place of each step what its tag names."""
        if not tags:
            return {}
        wanted = [(call.namespace, tag) for tag in tags.values()]
        found: dict[int, ResolvedWorkflow] = {}
        async with self._database.connection(deadline=call.deadline(self._database)) as conn:
            outcomes = await self._workflows.get_by_tags(conn, wanted)
            for at, outcome in zip(tags, outcomes, strict=True):
                with failing(at):
                    found[at] = accepted(outcome)
            ids = {each.entry.artifact_id for each in found.values()}
            artifacts = await self._artifacts.list_by_id(conn, call.namespace, ids)
        heads = {}
        for at, workflow in found.items():
            artifact = artifacts.get(workflow.entry.artifact_id)
            if artifact is None:
                raise NotFound("workflow", workflow.entry.tag)
            heads[at] = _Head(workflow, artifact)
        return heads


def rebasing_tags(steps: Sequence[TransactionStep]) -> dict[int, str]:
    """The tags whose patches demand no version of them, by the place of the step."""
    return {
        at: step.operation.tag
        for at, step in enumerate(steps)
        if isinstance(step.operation, PatchWorkflowOperation)
        and step.operation.expected_version is None
    }
