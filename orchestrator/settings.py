"""Every setting of the server, read once from ORCHESTRATOR_… variables; nothing else reads them."""

from collections.abc import Mapping

import msgspec

from orchestrator.setting_rules import (
    check_blob_store,
    check_database_url,
    check_hosts,
    check_log_level,
    check_media_types,
    check_number,
    check_origins,
    check_redirect_seconds,
    check_text,
    check_token_digest,
)

PREFIX = "ORCHESTRATOR_"
#: Read by the command line, not by the server.
CLIENT_VARIABLES = frozenset({"url", "token", "namespace", "data_dir", "output", "time_format"})
LISTS = frozenset({"allowed_hosts", "allowed_origins", "blob_compressed_media_types"})
COMPRESSION_LEVEL_MAX = 19
#: Less holds no head that a client may need, and no body at a reasonable speed.
CONNECTION_BUFFER_BYTES_MIN = HEAD_BYTES_MIN = 8_192
GC_PAGE_ITEMS_MAX = 1_000


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes in bytes, times in seconds. The representation holds secrets: never log it whole."""

    database_url: str
    #: SHA-256 (hex) of the bearer token that may do everything.
    admin_token_sha256: str
    namespace_default: str = "default"

    #: Host names a request may be addressed to; empty accepts any (behind a proxy, or with TLS).
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    #: Web origins besides our own that may send requests.
    allowed_origins: tuple[str, ...] = ()
    #: Pages of our own come by https then, whatever we ourselves speak.
    behind_proxy: bool = False

    database_connections_max: int = 12
    #: Of these, for requests that write; and for those of them that write to one namespace.
    database_writers_max: int = 8
    database_namespace_writers_max: int = 4
    database_acquire_seconds_max: float = 5.0
    database_connect_seconds_max: float = 5.0
    database_statement_seconds_max: float = 30.0
    #: How long a write waits for another one that is changing the same thing.
    database_lock_seconds_max: float = 2.0

    #: `file:///…`, `s3://bucket/prefix`, `gs://…` or `az://…`: where large blobs are.
    blob_store: str
    #: Where the embedded PostgreSQL is, whose disk must not fill up.
    database_folder: str = ""
    #: Where the workers of one server leave their numbers for each other; empty: there is one.
    metrics_folder: str = ""
    #: Writes are refused while a disk of ours has less than this; 0: never.
    disk_free_bytes_min: int = 1024 * 1024 * 1024

    #: Of each worker. For one more, one is ended that waits for its next request.
    connections_max: int = 1_024
    #: Of a body that comes faster than it is used, each connection keeps so much.
    connection_buffer_bytes_max: int = 256 * 1024
    #: Of one address, with each worker; 0: no limit, as for a proxy.
    connections_per_peer_max: int = 0
    #: The head of a request, from its first byte on. Anybody can make each connection keep one.
    head_bytes_max: int = 32 * 1024
    head_fields_max: int = 100
    head_seconds_max: float = 30.0
    #: Between two requests. A proxy in front of us should give up an idle connection sooner.
    idle_seconds_max: float = 75.0

    #: In each window of so long a request body must bring `body_window_bytes_min`, or end.
    body_seconds_max: float = 30.0
    body_window_bytes_min: int = 512 * 1024
    #: However fast it is: no body takes longer, and no answer stalls for longer than `send`.
    body_total_seconds_max: float = 6 * 3_600.0
    send_seconds_max: float = 60.0
    #: So much of a body that nobody wants is read after the answer, so that its sender sees that.
    refused_body_bytes_max: int = 64 * 1024 * 1024
    refused_body_seconds_max: float = 5.0
    #: Work on so many bytes of documents is done in processes of its own; so many for each worker.
    compute_bytes_min: int = 32 * 1024
    compute_processes: int = 2
    #: What one request may use of them; how much may wait for them, and how long.
    compute_seconds_max: float = 5.0
    compute_memory_bytes_max: int = 512 * 1024 * 1024
    compute_waiting_bytes_max: int = 128 * 1024 * 1024
    compute_wait_seconds_max: float = 10.0
    json_body_bytes_max: int = 16 * 1024 * 1024
    #: At any depth; a short value takes some 25 times the memory of its text.
    json_body_values_max: int = 1_000_000
    blob_bytes_max: int = 16 * 1024 * 1024 * 1024
    #: Uploads up to this are stored in the database, larger ones in the blob store.
    blob_inline_bytes_max: int = 128 * 1024
    #: Media types worth compressing in the blob store; `*` stands for anything.
    blob_compressed_media_types: tuple[str, ...] = (
        "application/json",
        "application/*+json",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "application/x-tar",
        "text/*",
    )
    blob_compression_level: int = 3
    #: An answer waits for the SHA-256 of blobs up to this size; that of larger ones comes later.
    sha256_wait_bytes_max: int = 64 * 1024 * 1024
    #: Blobs from this size on are fetched from S3 itself, by a redirect; 0: never.
    blob_redirect_bytes_min: int = 0
    blob_redirect_seconds: int = 300
    #: What each worker keeps in memory, used last: workflows that tags named, and small blobs.
    document_cache_bytes_max: int = 32 * 1024 * 1024
    blob_cache_bytes_max: int = 32 * 1024 * 1024
    #: And answers in the form in which they were sent compressed. Smaller ones are not compressed;
    #: 0: none is.
    compressed_cache_bytes_max: int = 8 * 1024 * 1024
    compressed_answer_bytes_min: int = 1024
    #: So long a worker believes that a namespace may see a blob to which nothing refers any more.
    blob_cache_seconds: float = 10.0
    workflow_bytes_max: int = 8 * 1024 * 1024
    patch_agent_nodes_added_max: int = 5
    transaction_operations_max: int = 1_000
    #: How often a change is tried in all when its tag keeps moving.
    rebase_attempts_max: int = 16
    #: In each worker so many requests may wait for their turn to change one tag again.
    rebase_waiting_max: int = 10_000
    #: Of versions with one hash, so many are looked at for the one that a patch was made for.
    rebase_versions_max: int = 20
    #: Nearest common ancestors of a merge; several are merged in so many steps, of so many bytes.
    merge_bases_max: int = 100
    merge_base_steps_max: int = 32
    merge_base_bytes_max: int = 32 * 1024 * 1024
    #: How much of the history of several bases is read to merge them.
    merge_history_versions_max: int = 5_000
    merge_history_branches_max: int = 100
    #: A page of a list looks at so many rows, whatever is asked for; then it ends.
    list_rows_max: int = 5_000
    #: How much of a history one request reads to say what happened to nodes and edges.
    history_versions_max: int = 1_000
    history_bytes_max: int = 32 * 1024 * 1024
    artifact_blobs_max: int = 1_000
    artifact_parents_max: int = 10_000
    artifact_meta_bytes_max: int = 64 * 1024
    missing_ids_max: int = 10_000
    #: A resumable upload ends so long after its last bytes.
    upload_seconds: float = 86_400
    #: Unfinished ones in one namespace, of one caller, and in all.
    uploads_open_max: int = 1_000
    uploads_open_caller_max: int = 5_000
    uploads_open_total_max: int = 10_000
    upload_metadata_bytes_max: int = 4_096
    lease_seconds: float = 7 * 86_400
    #: What nothing in the database refers to is a leftover when it is so old: longer than any
    #: upload takes.
    leftover_seconds: float = 86_400
    idempotency_seconds: float = 86_400
    #: What nothing refers to is deleted when it is so old, or so old if it belongs to a run.
    gc_grace_seconds: float = 7 * 86_400
    gc_run_grace_seconds: float = 30 * 86_400
    #: How often a server collects garbage by itself; 0: never.
    gc_interval_seconds: float = 0
    #: How many artifacts, or blobs, one transaction of a collection looks at.
    gc_page_items: int = 500

    #: Requests that may change something, by one caller, on all servers together; 0: no limit.
    writes_per_minute_max: int = 0

    log_level: str = "info"
    access_log: bool = True
    #: Lines that are not written yet, of each worker; what comes when it is full is dropped.
    log_queue_bytes_max: int = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse what would only fail later."""
        if self.database_url:
            check_database_url(self.database_url)
        for name in ("blob_inline_bytes_max", "workflow_bytes_max"):
            if getattr(self, name) > self.blob_bytes_max:
                raise ValueError(f"{name} may not be over blob_bytes_max")
        if self.connections_max < 1 or self.connections_per_peer_max < 0:
            raise ValueError("connections_max is 1 or more, connections_per_peer_max 0 or more")
        if self.connection_buffer_bytes_max < CONNECTION_BUFFER_BYTES_MIN:
            raise ValueError(
                f"connection_buffer_bytes_max is {CONNECTION_BUFFER_BYTES_MIN} or more"
            )
        if self.head_bytes_max < HEAD_BYTES_MIN:
            raise ValueError(f"head_bytes_max is {HEAD_BYTES_MIN} or more")
        if not 1 <= self.blob_compression_level <= COMPRESSION_LEVEL_MAX:
            raise ValueError(f"blob_compression_level is from 1 to {COMPRESSION_LEVEL_MAX}")
        if not 1 <= self.gc_page_items <= GC_PAGE_ITEMS_MAX:
            raise ValueError(f"gc_page_items is from 1 to {GC_PAGE_ITEMS_MAX}")
        self._check_least()
        check_blob_store(self.blob_store)
        check_hosts(self.allowed_hosts)
        check_log_level(self.log_level)
        check_media_types(self.blob_compressed_media_types)
        check_origins(self.allowed_origins)
        check_redirect_seconds(self.blob_redirect_seconds)
        check_token_digest(self.admin_token_sha256)

    def _check_least(self) -> None:
        for name in (
            "compute_processes",
            "database_connections_max",
            "database_writers_max",
            "database_namespace_writers_max",
            "head_fields_max",
            "json_body_values_max",
            "rebase_attempts_max",
            "rebase_versions_max",
            "list_rows_max",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more")
        if self.merge_bases_max < 2:
            raise ValueError("merge_bases_max is 2 or more")  # Of several never only one is seen.
        for name in ("compute_seconds_max", "compute_wait_seconds_max"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is over 0")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Fail on a missing, misspelt or mistyped variable before anything starts."""
        try:
            return cls._from(
                {
                    key.removeprefix(PREFIX).lower(): value
                    for key, value in environ.items()
                    if key.startswith(PREFIX)
                    and key.removeprefix(PREFIX).lower() not in CLIENT_VARIABLES
                }
            )
        except ValueError as error:
            # It may name a variable that there is not, and that name may be anything.
            text = "".join(c if c.isprintable() else "?" for c in str(error))
            raise ValueError(text) from None

    @classmethod
    def _from(cls, given: Mapping[str, str]) -> "Settings":
        for name, value in given.items():
            check_text(name, value)
        named: dict[str, object] = dict(given)
        for name in LISTS & named.keys():
            named[name] = [part.strip() for part in given[name].split(",") if part.strip()]
        settings = msgspec.convert(named, cls, strict=False)
        for name, value in msgspec.structs.asdict(settings).items():
            if isinstance(value, (int, float)):
                check_number(name, value)
        return settings
