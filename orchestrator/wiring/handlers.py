"""The handlers, constructed once from the container; no routes, no I/O.

Each is written out with all that it is given, also where two are alike: this is the whole graph.
"""

from dataclasses import dataclass

from orchestrator.documents.artifact_draft import ArtifactLimits
from orchestrator.handlers.artifact import ArtifactHandler
from orchestrator.handlers.artifact_create import ArtifactCreateHandler
from orchestrator.handlers.artifact_lineage import LineageHandler
from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.health import HealthHandler
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.me import MeHandler
from orchestrator.handlers.merge import MergeHandler
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.tag_search import TagSearchHandler
from orchestrator.handlers.transaction import TransactionHandler
from orchestrator.handlers.transaction_past import TransactionPastHandler
from orchestrator.handlers.transaction_patch import TransactionPatches
from orchestrator.handlers.transaction_versions import TransactionVersions
from orchestrator.handlers.transfer.delivery import BlobAnswers
from orchestrator.handlers.transfer.upload import UploadHandler
from orchestrator.handlers.upkeep.gc import GCHandler
from orchestrator.handlers.upkeep.verify import VerifyHandler
from orchestrator.handlers.version import VersionHandler
from orchestrator.handlers.version_chain import VersionChainHandler
from orchestrator.handlers.version_change import GuardedChanges
from orchestrator.handlers.version_history import VersionHistoryHandler
from orchestrator.handlers.version_rebase import Rebasing
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.handlers.workflow_schema import SchemaHandler
from orchestrator.settings import Settings
from orchestrator.wiring.jobs import Jobs
from orchestrator.wiring.services import Container


@dataclass(frozen=True, kw_only=True)
class Handlers:
    """One of each kind for a process."""

    workflows: WorkflowHandler
    tags: TagHandler
    tag_search: TagSearchHandler
    transactions: TransactionHandler
    transactions_past: TransactionPastHandler
    artifacts: ArtifactHandler
    creating: ArtifactCreateHandler
    lineage: LineageHandler
    versions: VersionHandler
    chains: VersionChainHandler
    histories: VersionHistoryHandler
    merges: MergeHandler
    blobs: CASHandler
    uploads: UploadHandler
    verify: VerifyHandler
    gc: GCHandler
    health: HealthHandler
    schemas: SchemaHandler
    me: MeHandler


def build_handlers(c: Container, jobs: Jobs, settings: Settings) -> Handlers:
    """The graph between the services and the routes."""
    replay = Replay(c.database, c.idempotency)
    computing = Computing(c.compute)
    blob_answers = _blob_answers(c, jobs, settings)
    rebasing = Rebasing(
        attempts_max=settings.rebase_attempts_max,
        waiting_max=settings.rebase_waiting_max,
        wait_seconds_max=c.database.acquire_seconds_max,
    )
    guarded = GuardedChanges(c.database, c.versions, replay, computing, rebasing)
    return Handlers(
        workflows=WorkflowHandler(
            c.database,
            c.workflows,
            c.tags,
            replay,
            computing,
            body_bytes_max=settings.json_body_bytes_max,
            body_values_max=settings.json_body_values_max,
            workflow_bytes_max=settings.workflow_bytes_max,
        ),
        tags=TagHandler(
            c.database,
            tags=c.tags,
            artifacts=c.artifacts,
            versions=c.versions,
            replay=replay,
        ),
        tag_search=TagSearchHandler(
            c.database, tags=c.tag_search, workflows=c.workflow_search, moves=c.move_search
        ),
        transactions=TransactionHandler(
            c.database,
            tags=c.tags,
            workflows=c.workflows,
            transactions=c.transactions,
            references=c.named,
            patches=TransactionPatches(
                c.database, c.workflows, c.artifacts, computing, c.change_rules
            ),
            versions=TransactionVersions(c.cas, c.artifacts, c.workflows, c.references),
            replay=replay,
            rebasing=rebasing,
            computing=computing,
            body_bytes_max=settings.json_body_bytes_max,
            body_values_max=settings.json_body_values_max,
            workflow_bytes_max=settings.workflow_bytes_max,
            operations_max=settings.transaction_operations_max,
        ),
        transactions_past=TransactionPastHandler(
            c.database,
            transactions=c.transactions,
            tags=c.tags,
            moves=c.move_search,
            replay=replay,
        ),
        artifacts=ArtifactHandler(
            c.database,
            cas=c.cas,
            artifacts=c.artifacts,
            versions=c.versions,
            manifests=c.manifests,
            search=c.artifact_search,
            tags=c.tags,
            blobs=blob_answers,
        ),
        creating=ArtifactCreateHandler(
            c.database,
            cas=c.cas,
            manifests=c.manifests,
            references=c.references,
            joins=c.artifact_joins,
            tags=c.tags,
            replay=replay,
            computing=computing,
            body_bytes_max=settings.json_body_bytes_max,
            body_values_max=settings.json_body_values_max,
            limits=ArtifactLimits(
                blobs_max=settings.artifact_blobs_max,
                parents_max=settings.artifact_parents_max,
                meta_bytes_max=settings.artifact_meta_bytes_max,
            ),
            cache_seconds=settings.blob_cache_seconds,
        ),
        lineage=LineageHandler(c.database, c.artifacts, c.versions, c.tag_search),
        versions=VersionHandler(
            c.versions,
            c.version_changes,
            guarded,
            replay,
            body_bytes_max=settings.json_body_bytes_max,
        ),
        chains=VersionChainHandler(c.database, c.versions),
        histories=VersionHistoryHandler(c.database, c.versions, c.histories, computing),
        merges=MergeHandler(c.database, c.versions, c.merges, guarded, computing),
        blobs=CASHandler(
            c.database,
            c.cas,
            c.intake,
            c.delivery,
            blob_answers,
            jobs.write_gate,
            replay,
            computing,
            missing_ids_max=settings.missing_ids_max,
        ),
        uploads=UploadHandler(
            c.database,
            c.uploads,
            c.cas,
            jobs.upload_sessions,
            jobs.write_gate,
            replay,
        ),
        verify=VerifyHandler(jobs.verification, replay),
        gc=GCHandler(jobs.collection, replay, page_items=settings.gc_page_items),
        health=HealthHandler(c.database, c.schema, jobs.write_gate, c.exposition),
        schemas=SchemaHandler(),
        me=MeHandler(),
    )


def _blob_answers(c: Container, jobs: Jobs, settings: Settings) -> BlobAnswers:
    return BlobAnswers(
        c.database,
        c.cas,
        c.delivery,
        jobs.second_names,
        redirect_bytes_min=settings.blob_redirect_bytes_min,
        redirect_seconds=settings.blob_redirect_seconds,
        cache_bytes_max=settings.blob_cache_bytes_max,
        cache_seconds=settings.blob_cache_seconds,
    )
