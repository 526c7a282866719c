"""The patches of a transaction: on what each is made, and what it makes; nothing is stored."""

from collections.abc import Sequence
from functools import partial

import msgspec

from orchestrator.core.database import Database
from orchestrator.documents.workflow_change import ChangeRules, Manner, Revision
from orchestrator.documents.workflow_patch import size_of_work
from orchestrator.errors import NotFound, accepted
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.transaction_request import PatchWork, Step, failing, patch_all
from orchestrator.models.artifact import Artifact
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.workflow import WorkflowService


class Patched(msgspec.Struct, frozen=True):
    """A revision of what a tag named at a version, and what that was."""

    below: Artifact
    tag_version: int
    revision: Revision

    @property
    def is_new(self) -> bool:
        """Whether the patch changes anything."""
        return self.revision.version_hash != self.below.version_hash


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

    async def make(self, call: Call, steps: Sequence[Step], manner: Manner) -> dict[int, Patched]:
        """By the place of the step, what its patch makes."""
        places = [at for at, step in enumerate(steps) if step.patch is not None]
        if not places:
            return {}
        wanted = [(call.namespace, steps[at].operation.tag) for at in places]
        heads = []
        async with self._database.connection() as conn:
            for at, found in zip(
                places, await self._workflows.get_by_tags(conn, wanted), strict=True
            ):
                with failing(at):
                    heads.append(accepted(found))
            ids = {head.entry.artifact_id for head in heads}
            artifacts = await self._artifacts.list_by_id(conn, call.namespace, ids)
        work = [
            PatchWork(at, head.content, steps[at].patch or b"")
            for at, head in zip(places, heads, strict=True)
        ]
        size = sum(size_of_work(each.head, each.patch) for each in work)
        patching = partial(patch_all, work, self._rules, manner)
        revisions = await self._computing.run(call, patching, size)
        made = {}
        for at, head, revision in zip(places, heads, revisions, strict=True):
            below = artifacts.get(head.entry.artifact_id)
            if below is None:
                raise NotFound("workflow", head.entry.tag)
            made[at] = Patched(below, head.entry.tag_version, revision)
        return made
