"""What verification says of a blob by its row alone: pure functions that read no storage."""

from hashlib import sha256

from orchestrator.core.digest import CasId
from orchestrator.models.cas import Placement
from orchestrator.models.upkeep.verify import BlobRecord, Verdict, VerifyProblemKind
from orchestrator.storage.segments import SegmentTable


def unusable(
    record: BlobRecord,
    problem: VerifyProblemKind,
    detail: str,
    *,
    bytes_read: int = 0,
    content_sha256: bytes | None = None,
) -> Verdict:
    """A verdict that some of the bytes cannot be had."""
    return Verdict(
        record=record,
        problem=problem,
        detail=detail,
        unusable=True,
        bytes_read=bytes_read,
        content_sha256=content_sha256,
    )


def check_inline(record: BlobRecord) -> Verdict:
    """Check a blob in the database: its bytes if they were read, else their number."""
    if record.content_bytes != record.size_bytes:
        detail = f"The row has {record.content_bytes:,} of its {record.size_bytes:,} bytes."
        return unusable(record, VerifyProblemKind.DAMAGED, detail)
    if record.content is None:
        return Verdict(record=record)
    second = sha256(record.content).digest()
    if CasId.of(record.content) != record.cas_id:
        detail = "Its bytes, in the database, are not what was stored."
        return unusable(record, VerifyProblemKind.DAMAGED, detail, content_sha256=second)
    return check_second_name(record, second, len(record.content))


def check_table(record: BlobRecord, placement: Placement) -> Verdict:
    """Whether its segments add up to the blob."""
    try:
        table = SegmentTable.decode(placement.segments)
    except ValueError as error:
        detail = f"Its segment table cannot be read: {error}."
        return unusable(record, VerifyProblemKind.DAMAGED, detail)
    count = -(-record.size_bytes // table.segment_bytes)
    packed = placement.encoding is not None
    if (
        len(table) != count
        or table.stored_bytes != placement.stored_bytes
        or not (packed or table.stored_bytes == record.size_bytes)
    ):
        detail = f"Its segment table is not one of {record.size_bytes:,} bytes."
        return unusable(record, VerifyProblemKind.DAMAGED, detail)
    return Verdict(record=record)


def check_second_name(record: BlobRecord, second: bytes | None, bytes_read: int) -> Verdict:
    """Compare the SHA-256 in the row with that of the bytes, which are right."""
    if record.sha256 is None or second == record.sha256.raw:
        return Verdict(record=record, bytes_read=bytes_read)
    detail = f"It is remembered as {record.sha256}, which is the name of other bytes."
    return Verdict(
        record=record, problem=VerifyProblemKind.SECOND_NAME, detail=detail, bytes_read=bytes_read
    )
