"""Rules of verification, blob by blob: is every reference true? It deletes nothing, knows no HTTP.

Each blob is listed, checked and settled. Only listing and settling use a connection, because
reading may take minutes. So a verdict is settled only if the row is still the one that was checked.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from hashlib import sha256
from time import monotonic

from blake3 import blake3

from orchestrator.core.database import Connection
from orchestrator.core.threads import Threads
from orchestrator.errors import CorruptBlob
from orchestrator.models.cas import Placement
from orchestrator.models.upkeep.verify import (
    BlobRecord,
    BlobState,
    Scope,
    Verdict,
    VerifyProblem,
    VerifyProblemKind,
)
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.upkeep.verify import VerifyRepository
from orchestrator.service.upkeep.storage_identity import StorageIdentity
from orchestrator.service.upkeep.verify_check import (
    check_inline,
    check_second_name,
    check_table,
    unusable,
)
from orchestrator.storage.base import MissingObject, Storage, UnreadableObject
from orchestrator.storage.checked_reading import CheckedReader
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

#: How many blobs are checked at a time: looking waits for the storage, reading takes memory.
LOOKED_AT_ONCE = 16
READ_AT_ONCE = 4
#: What the rows of one page may take in memory.
PAGE_MEMORY_BYTES_MAX = 8 * 1024 * 1024


class VerifyService:
    """Compares rows with bytes. What it finds in storage counts only while storage is the one
    that the rows speak of: StorageUnavailable is no verdict on any blob.
    """

    def __init__(
        self,
        rows: VerifyRepository,
        blobs: CASRepository,
        storage: Storage,
        identity: StorageIdentity,
        reader: CheckedReader,
        threads: Threads,
        *,
        page_memory_bytes_max: int = PAGE_MEMORY_BYTES_MAX,
    ) -> None:
        self._rows = rows
        self._blobs = blobs
        self._storage = storage
        self._identity = identity
        self._reader = reader
        self._threads = threads
        self._page_memory_bytes_max = page_memory_bytes_max

    async def count(self, conn: Connection) -> int:
        """About how many blobs there are."""
        return await self._rows.count_blobs(conn)

    async def list_blobs(
        self, conn: Connection, after: bytes, limit: int, scope: Scope, *, read_bytes_max: int
    ) -> list[BlobRecord]:
        """The next blobs: as many as have so many bytes to read together, and at least one."""
        return await self._rows.list_blobs(
            conn,
            after,
            limit,
            with_content=scope.read_data,
            memory_bytes_max=self._page_memory_bytes_max,
            read_bytes_max=read_bytes_max,
        )

    async def check(
        self, records: Sequence[BlobRecord], scope: Scope, *, seconds_max: float
    ) -> list[Verdict]:
        """Verdicts in the order of the records; for the first ones only if the time runs out."""
        deadline = monotonic() + seconds_max
        at_once = READ_AT_ONCE if scope.read_data else LOOKED_AT_ONCE
        verdicts: list[Verdict] = []
        for start in range(0, len(records), at_once):
            batch = [
                asyncio.ensure_future(self.check_one(record, scope))
                for record in records[start : start + at_once]
            ]
            try:
                verdicts += await asyncio.gather(*batch)
            finally:
                for each in batch:
                    each.cancel()
                await asyncio.wait(batch)
            if monotonic() > deadline:
                break
        return verdicts

    async def check_one(self, record: BlobRecord, scope: Scope) -> Verdict:
        """One verdict. It uses no connection; StorageUnavailable if the storage cannot say."""
        if record.placement is None:
            verdict = await self._threads.run(check_inline, record)
        else:
            verdict = await self._threads.run(check_table, record, record.placement)
            if verdict.problem is None:
                verdict = await self._check_placed(record, record.placement, scope)
        metrics.VERIFY_BLOBS_CHECKED.inc()
        return verdict

    async def _check_placed(
        self, record: BlobRecord, placement: Placement, scope: Scope
    ) -> Verdict:
        try:
            found = await self._storage.size(placement.storage_key)
        except MissingObject as error:
            return await self._missing(record, error)
        if found < placement.stored_bytes:
            detail = f"Storage has {found:,} of its {placement.stored_bytes:,} bytes."
            return unusable(record, VerifyProblemKind.SIZE, detail)
        verdict = Verdict(record=record)
        if scope.read_data:
            verdict = await self._read(record, placement)
        if verdict.problem is None and found > placement.stored_bytes:
            # Reads stop at the end of the blob: it is served as it should be.
            more = found - placement.stored_bytes
            return Verdict(
                record=record,
                problem=VerifyProblemKind.SIZE,
                detail=f"Storage has {more:,} bytes more than were stored; they are not used.",
                bytes_read=verdict.bytes_read,
            )
        return verdict

    async def _missing(self, record: BlobRecord, error: MissingObject) -> Verdict:
        # Nothing is lost if this is a wrong folder or bucket, or if a dead disk cannot be read.
        await self._identity.check_storage()
        if isinstance(error, UnreadableObject):
            return unusable(record, VerifyProblemKind.DAMAGED, "The disk cannot read its object.")
        return unusable(record, VerifyProblemKind.MISSING, "Storage has nothing under its key.")

    async def _read(self, record: BlobRecord, placement: Placement) -> Verdict:
        first, second, size = blake3(), sha256() if record.sha256 else None, 0

        def digest(piece: bytes) -> None:
            first.update(piece)
            if second is not None:
                second.update(piece)

        part = range(record.size_bytes)
        try:
            pieces = self._reader.plain(record.cas_id, placement, part)
            async with aclosing(pieces):
                async for piece in pieces:
                    await self._threads.run(digest, piece)
                    size += len(piece)
        except MissingObject as error:
            return await self._missing(record, error)
        except CorruptBlob:
            detail = f"What follows its first {size:,} bytes is not what was stored."
            return unusable(record, VerifyProblemKind.DAMAGED, detail, bytes_read=size)
        if first.digest() != record.cas_id.raw[1:]:
            detail = "Each of its segments is whole, but together they are another blob."
            return unusable(record, VerifyProblemKind.DAMAGED, detail, bytes_read=size)
        return check_second_name(record, second.digest() if second else None, size)

    async def settle(
        self, conn: Connection, verdict: Verdict, scope: Scope
    ) -> VerifyProblem | None:
        """Report what is wrong with a blob, and repair it if the scope says so. None if nothing is
        wrong, or if the blob was deleted or healed while it was checked.
        """
        record = verdict.record
        if verdict.problem is None and not record.quarantined:
            return None
        state = await self._rows.get_state(conn, record.cas_id)
        if state is None or not _is_unchanged(state, verdict):
            return None
        if state.quarantined:
            is_in = not await self._release(conn, verdict, scope)
        else:
            is_in = await self._quarantine(conn, verdict, scope)
        if verdict.problem is not None:
            repaired = await self._forget_second_name(conn, verdict, scope)
            return _problem(
                record, verdict.problem, verdict.detail, repaired=repaired, quarantined=is_in
            )
        if not state.quarantined:
            return None
        if not is_in:
            right = "All of its bytes are right."
            return _problem(record, VerifyProblemKind.RELEASED, right, repaired=True)
        seen = "all of its bytes are right now: a repair releases it"
        detail = seen if scope.read_data else "it heals when its bytes are uploaded again"
        before = f"Found damaged before; {detail}."
        return _problem(record, VerifyProblemKind.QUARANTINED, before, quarantined=True)

    async def _forget_second_name(self, conn: Connection, verdict: Verdict, scope: Scope) -> bool:
        """Clear a wrong SHA-256; it is computed again when a caller asks for it."""
        wrong = verdict.record.sha256
        if (
            verdict.problem is not VerifyProblemKind.SECOND_NAME
            or wrong is None
            or not scope.repair
        ):
            return False
        return await self._rows.clear_sha256(conn, verdict.record.cas_id, wrong)

    async def _quarantine(self, conn: Connection, verdict: Verdict, scope: Scope) -> bool:
        record = verdict.record
        if not (scope.repair and verdict.unusable):
            return False
        done = await self._blobs.quarantine(conn, record.cas_id, record.storage_key, "verify")
        if done:
            tell(
                conn,
                "quarantined blob",
                metrics.BLOBS_QUARANTINED.inc,
                by=None,
                cas_id=str(record.cas_id),
                detail=verdict.detail,
            )
        return done

    async def _release(self, conn: Connection, verdict: Verdict, scope: Scope) -> bool:
        """Only a blob that was in quarantine before it was read: a quarantine since then may have
        found what this check did not see.
        """
        record = verdict.record
        if verdict.unusable or not (scope.repair and scope.read_data and record.quarantined):
            return False
        done = await self._blobs.release(conn, record.cas_id, record.storage_key)
        if done:
            tell(conn, "released blob", by=None, cas_id=str(record.cas_id))
        return done


def _problem(
    record: BlobRecord,
    kind: VerifyProblemKind,
    detail: str,
    *,
    repaired: bool = False,
    quarantined: bool = False,
) -> VerifyProblem:
    return VerifyProblem(
        problem=kind,
        detail=detail,
        repaired=repaired,
        cas_id=str(record.cas_id),
        storage_key=record.storage_key,
        quarantined=quarantined,
    )


def _is_unchanged(state: BlobState, verdict: Verdict) -> bool:
    """Whether the row still points at what was checked. A key is never used for other bytes."""
    seen = verdict.content_sha256
    return state.storage_key == verdict.record.storage_key and seen in {
        None,
        state.content_sha256,
    }
