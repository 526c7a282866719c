"""What this process counts; where each number is counted is said at its place."""

from orchestrator.telemetry.logs import WRITER
from orchestrator.telemetry.numbers import Family, Numbers

NUMBERS = Numbers()
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP = NUMBERS.requests(
    Family("orchestrator_http_requests", "Requests answered.", ("method", "route", "status")),
    Family(
        "orchestrator_http_request_seconds",
        "Time from the request's head to the end of its answer.",
        ("method", "route"),
        BUCKETS,
    ),
)
TAG_CHANGES = NUMBERS.counts("orchestrator_tag_changes", "Recorded changes of tags.", "action")
BLOBS_STORED = NUMBERS.count("orchestrator_blobs_stored", "Blobs that were new when they came.")
BLOB_BYTES_STORED = NUMBERS.count("orchestrator_blob_bytes_stored", "Bytes of those blobs.")
BLOBS_KNOWN = NUMBERS.count(
    "orchestrator_blobs_known", "Blobs that were there when they came again."
)
BLOB_BYTES_KNOWN = NUMBERS.count("orchestrator_blob_bytes_known", "Bytes that dedupe saved.")
BLOBS_QUARANTINED = NUMBERS.count(
    "orchestrator_blobs_quarantined", "Blobs that were found damaged."
)
VERIFY_BLOBS_CHECKED = NUMBERS.count(
    "orchestrator_verify_blobs_checked", "Blobs that were verified."
)
VERIFY_PROBLEMS = NUMBERS.counts(
    "orchestrator_verify_problems", "What verification found, by its kind.", "problem"
)
BLOB_BYTES_RECEIVED = NUMBERS.count("orchestrator_blob_bytes_received", "Bytes of uploads, hashed.")
BLOB_BYTES_SENT = NUMBERS.count("orchestrator_blob_bytes_sent", "Bytes of blobs sent from storage.")
STORAGE_BYTES_WRITTEN = NUMBERS.count(
    "orchestrator_storage_bytes_written", "Bytes written to blob storage, after compression."
)
UPLOADS_COMPLETED = NUMBERS.count("orchestrator_uploads_completed", "Uploads that became blobs.")
GC_RUNS = NUMBERS.counts("orchestrator_gc_runs", "Garbage collections that ended.", "outcome")
GC_ARTIFACTS_DELETED = NUMBERS.count(
    "orchestrator_gc_artifacts_deleted", "Artifacts that nothing needed any more."
)
GC_BLOBS_DELETED = NUMBERS.count(
    "orchestrator_gc_blobs_deleted", "Blobs that nothing needed any more."
)
GC_BYTES_FREED = NUMBERS.count("orchestrator_gc_bytes_freed", "Bytes of those blobs, as stored.")
COMPUTATIONS = NUMBERS.counts(
    "orchestrator_computations", "Long work of requests, done in other processes.", "outcome"
)
CONNECTIONS_ENDED = NUMBERS.count(
    "orchestrator_connections_ended", "Connections of addresses that had too many."
)
NUMBERS.observed(
    "orchestrator_log_lines_dropped",
    "Lines of the log that were not written, as nobody read those before them.",
    lambda: WRITER.dropped,
)
