"""Rules of garbage collection: no HTTP, no SQL, no transaction opened.

What a tag names or ever named stays. So does what is young, and everything on which something
stands that stays. The rest goes: artifacts first, then the blobs that only they had.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import structlog

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import MaintenanceHeld
from orchestrator.models.artifact_manifest import ANNOTATION
from orchestrator.models.upkeep.gc import (
    ARTIFACT,
    BLOB,
    Annotated,
    ArtifactCandidate,
    BlobCandidate,
    Collected,
    CollectedPage,
    DeletedBlob,
    GCPhase,
    GCPosition,
    Grace,
    Retained,
    Root,
)
from orchestrator.repository.upkeep.gc import GCRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.service.upkeep.gc_annotation import blocked, needed_with_annotations
from orchestrator.service.upkeep.gc_reason import (
    retained_blob,
    retained_by_need,
    retained_in_use,
    retained_root,
)
from orchestrator.storage.base import Storage
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

log = structlog.get_logger()

#: An artifact is deleted after those that stand on it. They are nearly always newer and come first.
#: One that has to wait for an older artifact is tried again in the next sweep, but not for ever.
SWEEPS_MAX = 10
DELETED_AT_ONCE = 16


class GCService:
    """One page at a time, each in a transaction of its own. Garbage is locked, and judged again by
    the statement that deletes it. Nothing waits for a lock, so any number of collections and all
    other writers go on at the same time.
    """

    def __init__(
        self,
        rows: GCRepository,
        maintenance: MaintenanceRepository,
        storage: Storage,
        *,
        grace: Grace,
    ) -> None:
        self._rows = rows
        self._maintenance = maintenance
        self._storage = storage
        self._grace = grace

    async def collect(
        self, conn: Connection, at: GCPosition, *, limit: int, dry_run: bool
    ) -> CollectedPage:
        """Judge the next artifacts or blobs; delete what is garbage, except in a dry run.

        Raises MaintenanceHeld during a backup, which may be about to copy a blob that would go.
        """
        if not await self._maintenance.try_shared(conn):
            raise MaintenanceHeld
        if at.phase is GCPhase.ARTIFACTS:
            return await self._collect_artifacts(conn, at, limit=limit, dry_run=dry_run)
        return await self._collect_blobs(conn, at, limit=limit, dry_run=dry_run)

    async def delete_objects(self, storage_keys: Sequence[str]) -> None:
        """Call it after the commit. An object that cannot be deleted, or is left by a crash here,
        is one that no row names: verification finds it.
        """
        for start in range(0, len(storage_keys), DELETED_AT_ONCE):
            group = storage_keys[start : start + DELETED_AT_ONCE]
            deletions = (self._storage.delete(key) for key in group)
            outcomes = await asyncio.gather(*deletions, return_exceptions=True)
            failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            for key, outcome in zip(group, outcomes, strict=True):
                if outcome is not None:
                    log.warning("object not deleted", storage_key=key, cause=repr(outcome))
            if len(failed) == len(group):
                left = len(storage_keys) - start - len(group)
                log.warning("objects not deleted: the storage fails", count=left)
                return

    # ------------------------------------------------------------------------------ artifacts

    async def _collect_artifacts(
        self, conn: Connection, at: GCPosition, *, limit: int, dry_run: bool
    ) -> CollectedPage:
        found = await self._rows.list_artifacts(conn, at.artifact_id, limit, self._grace)
        retained = [retained_root(each.root, self._grace) for each in found if each.root]
        unsure = [each for each in found if each.root is None]
        needed = await self._needed(conn, [each.artifact_id for each in unsure])
        retained += [
            retained_by_need(each, needed[each.artifact_id], self._grace)
            for each in unsure
            if each.artifact_id in needed
        ]
        # An annotation that is not needed goes with what it is about.
        doomed = {
            each.artifact_id: each
            for each in unsure
            if each.artifact_id not in needed and each.kind != ANNOTATION
        }
        pairs = await self._rows.list_annotated(conn, list(doomed)) if doomed else []
        doomed |= {pair.annotation.artifact_id: pair.annotation for pair in pairs}
        gone, waiting = list(doomed), False
        if not dry_run:
            gone, waiting = await self._delete_artifacts(conn, doomed, pairs)
        still_there = doomed.keys() - set(gone)
        retained += [_artifact_in_use(each) for id_, each in doomed.items() if id_ in still_there]
        return CollectedPage(
            deleted=[_artifact(doomed[artifact_id]) for artifact_id in gone],
            retained=retained,
            following=_after_artifacts(at, found, limit, waiting=waiting),
        )

    async def _needed(self, conn: Connection, artifact_ids: Sequence[UUID]) -> dict[UUID, Root]:
        return await needed_with_annotations(self._rows, conn, artifact_ids, self._grace)

    async def _delete_artifacts(
        self, conn: Connection, doomed: dict[UUID, ArtifactCandidate], pairs: Sequence[Annotated]
    ) -> tuple[list[UUID], bool]:
        """Returns those that were deleted, and whether one has to wait for what stands on it.

        One by one, the newest first: what stands on an artifact must be deleted before it. For
        annotations everything that they are about is locked too: they must not go before it can.
        """
        if not doomed:
            return [], False
        subjects = {pair.subject.artifact_id for pair in pairs}
        locked = await self._rows.lock_artifacts(conn, [*{*doomed, *subjects}])
        free = await self._rows.list_free(conn, locked) if pairs else set()
        staying = blocked(pairs, free)
        gone: list[UUID] = []
        tried = [each for each in locked if each in doomed]
        for artifact_id in tried:
            if artifact_id not in staying and await self._rows.delete_artifact(conn, artifact_id):
                gone.append(artifact_id)
                tell(
                    conn,
                    "deleted artifact",
                    metrics.GC_ARTIFACTS_DELETED.inc,
                    by=None,
                    artifact_id=str(artifact_id),
                    namespace=doomed[artifact_id].namespace,
                )
        return gone, len(gone) < len(tried)

    # ---------------------------------------------------------------------------------- blobs

    async def _collect_blobs(
        self, conn: Connection, at: GCPosition, *, limit: int, dry_run: bool
    ) -> CollectedPage:
        found = await self._rows.list_blobs(conn, at.cas_id, limit, self._grace)
        holders = await self._holders(conn, [each.cas_id for each in found if not each.reason])
        doomed = {
            each.cas_id: each
            for each in found
            if each.reason is None and each.cas_id not in holders
        }
        retained = [
            retained_blob(each, holders.get(each.cas_id), self._grace)
            for each in found
            if each.cas_id not in doomed
        ]
        keys: list[str] = []
        gone = [_blob(each) for each in doomed.values()]
        if not dry_run:
            blobs = await self._delete_blobs(conn, list(doomed))
            gone = [_blob(each) for each in blobs]
            keys = [each.storage_key for each in blobs if each.storage_key is not None]
            still_there = doomed.keys() - {each.cas_id for each in blobs}
            retained += [retained_in_use(BLOB, str(CasId(raw))) for raw in sorted(still_there)]
        more = len(found) == limit
        following = GCPosition(phase=GCPhase.BLOBS, cas_id=found[-1].cas_id) if more else None
        return CollectedPage(
            deleted=gone, retained=retained, storage_keys=keys, following=following
        )

    async def _holders(self, conn: Connection, cas_ids: Sequence[bytes]) -> dict[bytes, UUID]:
        """Which of the blobs belong to an artifact that something needs, and that artifact."""
        pairs = await self._rows.list_holders(conn, cas_ids) if cas_ids else []
        needed = await self._needed(conn, sorted({artifact_id for _, artifact_id in pairs}))
        return {cas_id: artifact_id for cas_id, artifact_id in pairs if artifact_id in needed}

    async def _delete_blobs(self, conn: Connection, cas_ids: Sequence[bytes]) -> list[DeletedBlob]:
        """Returns those that were deleted."""
        locked = await self._rows.lock_blobs(conn, cas_ids) if cas_ids else []
        gone = await self._rows.delete_blobs(conn, locked, self._grace) if locked else []
        gone.sort(key=lambda blob: blob.cas_id)
        for blob in gone:
            tell(
                conn,
                "deleted blob",
                metrics.GC_BLOBS_DELETED.inc,
                partial(metrics.GC_BYTES_FREED.inc, blob.stored_bytes),
                by=None,
                cas_id=str(CasId(blob.cas_id)),
                size_bytes=blob.size_bytes,
            )
        return gone


def _after_artifacts(
    at: GCPosition, found: Sequence[ArtifactCandidate], limit: int, *, waiting: bool
) -> GCPosition:
    is_incomplete = at.is_incomplete or waiting
    if len(found) == limit:
        last = found[-1].artifact_id
        return GCPosition(artifact_id=last, sweep=at.sweep, is_incomplete=is_incomplete)
    if is_incomplete and at.sweep < SWEEPS_MAX:
        return GCPosition(sweep=at.sweep + 1)
    return GCPosition(phase=GCPhase.BLOBS)


def _artifact(candidate: ArtifactCandidate) -> Collected:
    return Collected(kind=ARTIFACT, id=str(candidate.artifact_id), namespace=candidate.namespace)


def _artifact_in_use(candidate: ArtifactCandidate) -> Retained:
    return retained_in_use(ARTIFACT, str(candidate.artifact_id), candidate.namespace)


def _blob(blob: BlobCandidate | DeletedBlob) -> Collected:
    return Collected(
        kind=BLOB,
        id=str(CasId(blob.cas_id)),
        size_bytes=blob.size_bytes,
        stored_bytes=blob.stored_bytes,
    )
