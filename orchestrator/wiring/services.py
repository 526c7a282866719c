"""Database, storage and services, constructed once, bottom-up; no handlers, no routes, no I/O.

Each is written out with all that it is given, also where two are alike: this is the whole graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.core.compute import Compute, ComputeLimits
from orchestrator.core.database import Database
from orchestrator.core.disk import Disk
from orchestrator.core.threads import Threads
from orchestrator.documents.workflow_change import ChangeRules
from orchestrator.models.tag_search import NamedTag
from orchestrator.models.transfer.upload import OpenUploads
from orchestrator.models.upkeep.gc import Grace
from orchestrator.models.workflow import WorkflowEntry
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_join import ArtifactJoinRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.artifact_manifest import ManifestRepository
from orchestrator.repository.artifact_search import ArtifactSearchRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.repository.move_search import MoveSearchRepository
from orchestrator.repository.rate import RateRepository
from orchestrator.repository.reference import ReferenceRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.repository.tag_search import TagSearchRepository
from orchestrator.repository.tag_step import TagStepRepository
from orchestrator.repository.transaction import TransactionRepository
from orchestrator.repository.transfer.upload import UploadRepository
from orchestrator.repository.upkeep.gc import GCRepository
from orchestrator.repository.upkeep.lease import LeaseRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.repository.upkeep.storage_identity import StorageIdentityRepository
from orchestrator.repository.upkeep.verify import VerifyRepository
from orchestrator.repository.version_history import VersionHistoryRepository
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_join import ArtifactJoinService
from orchestrator.service.artifact_manifest import ArtifactManifestService
from orchestrator.service.artifact_search import ArtifactSearchService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.merge import MergeService
from orchestrator.service.merge_base import MergeBaseService, MergeLimits
from orchestrator.service.rate import RateService
from orchestrator.service.reference import ReferenceService
from orchestrator.service.tag import TagService
from orchestrator.service.tag_search import MoveSearchService, TagSearchService
from orchestrator.service.transaction import TransactionService
from orchestrator.service.transfer.delivery import Delivery
from orchestrator.service.transfer.intake import Intake
from orchestrator.service.transfer.upload import UploadService
from orchestrator.service.transfer.upload_stage import UploadStages
from orchestrator.service.upkeep.gc import GCService
from orchestrator.service.upkeep.lease import LeaseService
from orchestrator.service.upkeep.schema import SchemaService
from orchestrator.service.upkeep.storage_identity import StorageIdentity
from orchestrator.service.upkeep.verify import VerifyService
from orchestrator.service.upkeep.verify_leftover import VerifyLeftoverService
from orchestrator.service.version import VersionService
from orchestrator.service.version_change import VersionChangeService
from orchestrator.service.version_history import VersionHistoryService
from orchestrator.service.workflow import WorkflowService
from orchestrator.service.workflow_join import WorkflowJoinService
from orchestrator.settings import Settings
from orchestrator.storage.base import Storage
from orchestrator.storage.checked_reading import CheckedReader
from orchestrator.storage.open import open_storage
from orchestrator.telemetry import metrics
from orchestrator.telemetry.exposition import Exposition
from orchestrator.wiring.schema import build_schema

#: After a crash of a server that does a job for all, another one goes on so much later.
LEASE_SECONDS = 60.0
#: Transfers that compute, or use the disk, at one moment; more of them wait for a megabyte each.
TRANSFER_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Container:
    """What all handlers of a process share, and the commands that work without handlers."""

    database: Database
    compute: Compute
    threads: Threads
    storage: Storage
    disk: Disk
    identity: StorageIdentity
    cas: CASService
    intake: Intake
    delivery: Delivery
    artifacts: ArtifactService
    manifests: ArtifactManifestService
    references: BlobReferenceService
    artifact_joins: ArtifactJoinService
    artifact_search: ArtifactSearchService
    tags: TagService
    tag_search: TagSearchService[NamedTag]
    workflow_search: TagSearchService[WorkflowEntry]
    move_search: MoveSearchService
    transactions: TransactionService
    named: ReferenceService
    workflows: WorkflowService
    versions: VersionService
    histories: VersionHistoryService
    version_changes: VersionChangeService
    change_rules: ChangeRules
    merges: MergeService
    uploads: UploadService
    stages: UploadStages
    idempotency: IdempotencyService
    rates: RateService
    schema: SchemaService
    leases: LeaseService
    gc: GCService
    verify: VerifyService
    verify_leftovers: VerifyLeftoverService
    exposition: Exposition


def build(
    settings: Settings, storage_at: Callable[[str, Threads], Storage] = open_storage
) -> Container:
    """The graph below the handlers; `storage_at` opens what the settings name as blob store."""
    database = Database(
        settings.database_url,
        connections_max=settings.database_connections_max,
        writers_max=settings.database_writers_max,
        writers_of_one_max=settings.database_namespace_writers_max,
        acquire_seconds_max=settings.database_acquire_seconds_max,
        connect_seconds_max=settings.database_connect_seconds_max,
        statement_seconds_max=settings.database_statement_seconds_max,
        lock_seconds_max=settings.database_lock_seconds_max,
    )
    threads = Threads(TRANSFER_THREADS, name="transfer")
    storage = storage_at(settings.blob_store, threads)
    database_folder = Path(settings.database_folder) if settings.database_folder else None
    disk = Disk(storage.folder, database_folder, free_bytes_min=settings.disk_free_bytes_min)
    found_tags = TagSearchRepository()
    identity = StorageIdentity(StorageIdentityRepository(), storage)
    cas = CASService(
        CASRepository(),
        VisibleBlobRepository(),
        document_bytes_max=settings.workflow_bytes_max,
        lease_seconds=settings.lease_seconds,
    )
    reader = CheckedReader(storage, threads)
    artifacts = ArtifactService(
        ArtifactRepository(), LineageRepository(), ArtifactSearchRepository()
    )
    grace = Grace(seconds=settings.gc_grace_seconds, run_seconds=settings.gc_run_grace_seconds)
    tags = TagService(TagRepository(), TagMoveRepository(), TagStepRepository())
    joins = WorkflowJoinService(
        WorkflowRepository(), cache_bytes_max=settings.document_cache_bytes_max
    )
    intake = Intake(
        storage,
        disk,
        threads,
        inline_bytes_max=settings.blob_inline_bytes_max,
        blob_bytes_max=settings.blob_bytes_max,
        compressed_media_types=settings.blob_compressed_media_types,
        compression_level=settings.blob_compression_level,
    )
    rules = ChangeRules(
        workflow_bytes_max=settings.workflow_bytes_max,
        agent_nodes_added_max=settings.patch_agent_nodes_added_max,
        body_values_max=settings.json_body_values_max,
    )
    named = ReferenceService(ReferenceRepository())
    versions = VersionService(
        cas, artifacts, tags, named, equal_versions_max=settings.rebase_versions_max
    )
    merge_limits = MergeLimits(
        bases_max=settings.merge_bases_max,
        steps_max=settings.merge_base_steps_max,
        bytes_max=settings.merge_base_bytes_max,
        history_versions_max=settings.merge_history_versions_max,
        history_branches_max=settings.merge_history_branches_max,
    )
    bases = MergeBaseService(cas, artifacts, limits=merge_limits)
    manifests = ArtifactManifestService(
        ArtifactRepository(),
        ManifestRepository(),
        LineageRepository(),
        ReferenceRepository(),
        grace=grace,
    )
    references = BlobReferenceService(cas, manifests)
    version_changes = VersionChangeService(cas, artifacts, tags, versions, references, rules=rules)
    return Container(
        database=database,
        compute=Compute(
            ComputeLimits(
                sent_bytes_min=settings.compute_bytes_min,
                processes=settings.compute_processes,
                seconds_max=settings.compute_seconds_max,
                memory_bytes_max=settings.compute_memory_bytes_max,
                waiting_bytes_max=settings.compute_waiting_bytes_max,
                wait_seconds_max=settings.compute_wait_seconds_max,
            )
        ),
        threads=threads,
        storage=storage,
        disk=disk,
        identity=identity,
        cas=cas,
        intake=intake,
        delivery=Delivery(storage, reader, identity),
        artifacts=artifacts,
        manifests=manifests,
        references=references,
        artifact_search=ArtifactSearchService(
            ArtifactSearchRepository(), rows_max=settings.list_rows_max
        ),
        artifact_joins=ArtifactJoinService(ArtifactJoinRepository(), manifests),
        tags=tags,
        tag_search=TagSearchService(found_tags, found_tags, rows_max=settings.list_rows_max),
        workflow_search=TagSearchService(
            found_tags, WorkflowRepository(), rows_max=settings.list_rows_max
        ),
        move_search=MoveSearchService(
            found_tags, MoveSearchRepository(), rows_max=settings.list_rows_max
        ),
        transactions=TransactionService(TransactionRepository(), rows_max=settings.list_rows_max),
        named=named,
        workflows=WorkflowService(cas, artifacts, tags, joins, references),
        versions=versions,
        histories=VersionHistoryService(
            cas,
            VersionHistoryRepository(),
            versions_max=settings.history_versions_max,
            bytes_max=settings.history_bytes_max,
        ),
        version_changes=version_changes,
        change_rules=rules,
        merges=MergeService(bases, artifacts, versions, version_changes, rules=rules),
        uploads=UploadService(
            UploadRepository(),
            seconds=settings.upload_seconds,
            open_max=OpenUploads(
                in_namespace=settings.uploads_open_max,
                of_caller=settings.uploads_open_caller_max,
                in_total=settings.uploads_open_total_max,
            ),
            bytes_max=settings.blob_bytes_max,
            metadata_bytes_max=settings.upload_metadata_bytes_max,
        ),
        stages=UploadStages(storage, disk, identity, intake),
        idempotency=IdempotencyService(
            IdempotencyRepository(), seconds=settings.idempotency_seconds
        ),
        rates=RateService(RateRepository(), writes_per_minute_max=settings.writes_per_minute_max),
        schema=build_schema(),
        leases=LeaseService(LeaseRepository(), seconds=LEASE_SECONDS),
        gc=GCService(
            GCRepository(),
            MaintenanceRepository(),
            storage,
            grace=grace,
        ),
        verify=VerifyService(
            VerifyRepository(), CASRepository(), storage, identity, reader, threads
        ),
        verify_leftovers=VerifyLeftoverService(
            VerifyRepository(),
            MaintenanceRepository(),
            storage,
            leftover_seconds=settings.leftover_seconds,
        ),
        exposition=Exposition(
            metrics.NUMBERS, Path(settings.metrics_folder) if settings.metrics_folder else None
        ),
    )
