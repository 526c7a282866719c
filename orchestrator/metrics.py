"""What is counted, in the Prometheus data model; where it is counted is said at each place."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter(
    "orchestrator_http_requests", "Requests answered.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "orchestrator_http_request_seconds",
    "Time from the request's head to the end of its answer.",
    ["method", "route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
TAG_CHANGES = Counter("orchestrator_tag_changes", "Recorded changes of tags.", ["action"])
BLOBS_STORED = Counter("orchestrator_blobs_stored", "Blobs that were new when they came.")
BLOB_BYTES_STORED = Counter("orchestrator_blob_bytes_stored", "Bytes of those blobs.")
BLOBS_KNOWN = Counter("orchestrator_blobs_known", "Blobs that were there when they came again.")
BLOB_BYTES_KNOWN = Counter("orchestrator_blob_bytes_known", "Bytes that dedupe saved.")
BLOBS_QUARANTINED = Counter("orchestrator_blobs_quarantined", "Blobs that were found damaged.")
VERIFY_BLOBS_CHECKED = Counter("orchestrator_verify_blobs_checked", "Blobs that were verified.")
VERIFY_PROBLEMS = Counter(
    "orchestrator_verify_problems", "What verification found, by its kind.", ["problem"]
)
BLOB_BYTES_RECEIVED = Counter("orchestrator_blob_bytes_received", "Bytes of uploads, hashed.")
BLOB_BYTES_SENT = Counter("orchestrator_blob_bytes_sent", "Bytes of blobs sent from storage.")
STORAGE_BYTES_WRITTEN = Counter(
    "orchestrator_storage_bytes_written", "Bytes written to blob storage, after compression."
)
UPLOADS_COMPLETED = Counter("orchestrator_uploads_completed", "Uploads that became blobs.")
GC_RUNS = Counter("orchestrator_gc_runs", "Garbage collections that ended.", ["outcome"])
GC_ARTIFACTS_DELETED = Counter(
    "orchestrator_gc_artifacts_deleted", "Artifacts that nothing needed any more."
)
GC_BLOBS_DELETED = Counter("orchestrator_gc_blobs_deleted", "Blobs that nothing needed any more.")
GC_BYTES_FREED = Counter("orchestrator_gc_bytes_freed", "Bytes of those blobs, as stored.")
