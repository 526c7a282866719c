"""The versions that the operations of a transaction bring: stored before a tag moves, and related
to others afterwards. The caller opens the transaction.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from orchestrator.core.database import Connection
from orchestrator.errors import DomainError
from orchestrator.handlers.transaction_patch import Patched
from orchestrator.handlers.transaction_request import TransactionStep
from orchestrator.handlers.workflow_body import new_workflow
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import NamedBlobs
from orchestrator.models.principal import Actor
from orchestrator.models.tag import TagChange
from orchestrator.models.workflow import NewWorkflow
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.version_change import new_patch, patch_documents
from orchestrator.service.workflow import WorkflowService


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
    steps: Sequence[TransactionStep]
    #: By the place of the step, what its reference names: once found, it stays so however often
    #: the transaction is run.
    targets: dict[int, UUID] = {}


class Versions(msgspec.Struct, frozen=True):
    """By the places of the steps, the versions of their workflows, and what their patches made: the
    patch, or what the tag named before if the patch changes nothing.
    """

    whole: dict[int, Stored]
    patched: dict[int, Artifact]

    @property
    def ids(self) -> dict[int, UUID]:
        """What the tags of the steps are to name."""
        found = {at: each.artifact.artifact_id for at, each in self.whole.items()}
        return found | {at: each.artifact_id for at, each in self.patched.items()}


class TransactionVersions:
    """Blobs, then artifacts, one statement for each."""

    def __init__(
        self,
        cas: CASService,
        artifacts: ArtifactService,
        workflows: WorkflowService,
        blobs: BlobReferenceService,
    ) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._workflows = workflows
        self._blobs = blobs

    async def store(self, conn: Connection, work: Work, patches: Mapping[int, Patched]) -> Versions:
        """Store the versions of all steps."""
        whole = await self._store_whole(conn, work, patches)
        return Versions(whole, await self._store_patches(conn, work, patches))

    async def relate(
        self,
        conn: Connection,
        work: Work,
        versions: Versions,
        patches: Mapping[int, Patched],
        outcomes: Sequence[TagChange | DomainError],
    ) -> dict[int, tuple[str, ...]]:
        """Record what new versions replaced, and let them keep the blobs that their documents name;
        by the place, the names that mean nothing.
        """
        whole = [(each.artifact, each.is_new) for each in versions.whole.values()]
        replacing = [outcomes[at] for at in versions.whole]
        await self._workflows.link_revisions(conn, whole, replacing)
        return await self._refer(conn, work, versions, patches)

    async def _store_whole(
        self,
        conn: Connection,
        work: Work,
        patches: Mapping[int, Patched],
    ) -> dict[int, Stored]:
        """Store the documents of all steps, and the dag_versions of workflows."""
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
        versions: Versions,
        patches: Mapping[int, Patched],
    ) -> dict[int, tuple[str, ...]]:
        named = {
            at: NamedBlobs(
                artifact=each.artifact,
                names=each.new.references,
                is_new=each.is_new,
                by=work.by,
            )
            for at, each in versions.whole.items()
        }
        named |= {
            at: NamedBlobs(
                artifact=versions.patched[at],
                names=each.revision.references if each.is_new else (),
                is_new=each.is_new,
                by=work.by,
            )
            for at, each in patches.items()
        }
        return dict(zip(named, await self._blobs.refer(conn, list(named.values())), strict=True))
