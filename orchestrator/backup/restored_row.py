"""The row of `cas_blob` that a restore writes for a blob: inline, placed, or lost; no database."""

from datetime import datetime
from typing import Any

from orchestrator.backup.snapshot import SnapshotBlob
from orchestrator.core.identifier import new_id
from orchestrator.models.cas import Placement
from orchestrator.repository.upkeep.backup import BLOB_PLACES
from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable

COLUMNS = (
    *("cas_id", "size_bytes", "media_type", "sha256", "created_at"),
    *("quarantined_at", "quarantine_reason"),
    *BLOB_PLACES,
)

Row = tuple[Any, ...]


def inline_row(blob: SnapshotBlob, content: bytes) -> Row:
    """A blob whose bytes are in the row."""
    return (*_named(blob), None, None, content, None, None, None, None)


def placed_row(blob: SnapshotBlob, place: Placement) -> Row:
    """A blob whose bytes are in the blob storage."""
    return (*_named(blob), None, None, None, *_placed(place))


def lost_row(blob: SnapshotBlob, moment: datetime, reason: str) -> Row:
    """A blob without bytes, in quarantine since this moment."""
    return (*_named(blob), moment, reason, None, *_placed(_placement_of_lost(blob)))


def _named(blob: SnapshotBlob) -> Row:
    return blob.cas_id.raw, blob.size_bytes, blob.media_type, blob.sha256, blob.created_at


def _placed(place: Placement) -> Row:
    return place.storage_key, place.segments, place.stored_bytes, place.encoding


def _placement_of_lost(blob: SnapshotBlob) -> Placement:
    """A place for a blob without bytes, because each row must name one. Nothing is under this key,
    and no bytes match these segments.
    """
    starts = range(0, blob.size_bytes, SEGMENT_BYTES)
    lengths = [min(SEGMENT_BYTES, blob.size_bytes - start) for start in starts]
    table = SegmentTable([Segment(length, bytes(32)) for length in lengths])
    return Placement(
        storage_key=f"{blob.cas_id.raw[1:].hex()}/{new_id().hex}",
        segments=table.encode(),
        stored_bytes=table.stored_bytes,
    )
