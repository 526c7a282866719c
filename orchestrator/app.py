"""The composition root: everything is constructed here, once, bottom-up; nothing is decided."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from orchestrator import logs
from orchestrator.background import Schedule
from orchestrator.container import Container, build
from orchestrator.handlers.admission import Admission
from orchestrator.handlers.artifact import ArtifactHandler
from orchestrator.handlers.authentication import Authenticator
from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.cas_delivery import BlobDelivery
from orchestrator.handlers.edge import Edge, Pace
from orchestrator.handlers.gc import Collector, GCHandler
from orchestrator.handlers.health import HealthHandler
from orchestrator.handlers.merge import MergeHandler
from orchestrator.handlers.problem import EXCEPTION_HANDLERS
from orchestrator.handlers.schema import SchemaHandler
from orchestrator.handlers.storage_gate import StorageGate
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.transaction import TransactionHandler
from orchestrator.handlers.upload import UploadHandler
from orchestrator.handlers.upload_finishing import Finisher
from orchestrator.handlers.verify import VerifyHandler
from orchestrator.handlers.version import VersionHandler
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.parent import exit_with_parent
from orchestrator.routes.artifact import artifact_routes
from orchestrator.routes.cas import cas_routes
from orchestrator.routes.gc import gc_routes
from orchestrator.routes.health import health_routes
from orchestrator.routes.openapi import OPENAPI
from orchestrator.routes.schema import schema_routes
from orchestrator.routes.tag import tag_routes
from orchestrator.routes.transaction import transaction_routes
from orchestrator.routes.upload import upload_routes
from orchestrator.routes.verify import verify_routes
from orchestrator.routes.version import version_routes
from orchestrator.routes.workflow import workflow_routes
from orchestrator.settings import Settings
from orchestrator.verification import Verification
from orchestrator.workflow_change import ChangeRules


def create_app(settings: Settings | None = None) -> Edge:
    """Construct without I/O; the application's lifespan opens the database."""
    settings = settings or Settings.from_environ(os.environ)
    logs.configure(settings.log_level)
    c = build(settings)
    storage = StorageGate(c.database, c.identity, c.disk)
    collector = Collector(c.database, c.gc, storage)
    schedule = Schedule(
        c.database,
        c.gc,
        collector,
        interval_seconds=settings.gc_interval_seconds,
        page_items=settings.gc_page_items,
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        exit_with_parent(asyncio.get_running_loop())
        # The event loop must not wait 5 ms for each turn of a thread that computes.
        sys.setswitchinterval(0.0005)
        async with c.database.opened(), schedule.running():
            yield

    app = Litestar(
        route_handlers=[
            *_catalogue_routes(c, settings),
            *_version_routes(c, settings),
            *_blob_routes(c, settings, storage),
            *gc_routes(GCHandler(collector, page_items=settings.gc_page_items)),
            *health_routes(HealthHandler(c.database, c.schema, storage)),
            *schema_routes(SchemaHandler()),
        ],
        before_request=Admission(c.database, c.rates, c.disk),
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        openapi_config=OPENAPI,
        request_max_body_size=None,  # Each handler says what it accepts.
        logging_config=None,
    )
    return Edge(
        app,
        Authenticator(settings.admin_token_sha256, namespace=settings.namespace_default),
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        pace=Pace(
            window_seconds=settings.body_seconds_max,
            window_bytes_min=settings.body_window_bytes_min,
            total_seconds_max=settings.body_total_seconds_max,
            send_seconds_max=settings.send_seconds_max,
        ),
        access_log=settings.access_log,
    )


def _catalogue_routes(c: Container, settings: Settings) -> list[HTTPRouteHandler]:
    """Workflows, tags, transactions over them, artifacts."""
    workflows = WorkflowHandler(
        c.database,
        c.workflows,
        c.tags,
        c.idempotency,
        body_bytes_max=settings.json_body_bytes_max,
        workflow_bytes_max=settings.workflow_bytes_max,
    )
    tags = TagHandler(
        c.database,
        c.tags,
        c.artifacts,
        c.versions,
        c.idempotency,
        body_bytes_max=settings.json_body_bytes_max,
    )
    transactions = TransactionHandler(
        c.database,
        c.cas,
        c.artifacts,
        c.tags,
        c.workflows,
        c.idempotency,
        body_bytes_max=settings.json_body_bytes_max,
        workflow_bytes_max=settings.workflow_bytes_max,
        operations_max=settings.transaction_operations_max,
    )
    return [
        *workflow_routes(workflows),
        *tag_routes(tags),
        *transaction_routes(transactions),
        *artifact_routes(ArtifactHandler(c.database, c.artifacts, c.tags)),
    ]


def _version_routes(c: Container, settings: Settings) -> list[HTTPRouteHandler]:
    """Patches and merges."""
    rules = ChangeRules(
        workflow_bytes_max=settings.workflow_bytes_max,
        agent_nodes_added_max=settings.patch_agent_nodes_added_max,
    )
    versions = VersionHandler(
        c.database,
        c.versions,
        c.idempotency,
        rules=rules,
        body_bytes_max=settings.json_body_bytes_max,
        operations_max=settings.patch_operations_max,
    )
    merges = MergeHandler(
        c.database,
        c.versions,
        c.idempotency,
        rules=rules,
        body_bytes_max=settings.json_body_bytes_max,
    )
    return version_routes(versions, merges)


def _blob_routes(c: Container, settings: Settings, storage: StorageGate) -> list[HTTPRouteHandler]:
    """Blobs, and what keeps their storage in order."""
    delivery = BlobDelivery(
        c.database,
        c.cas,
        c.delivery,
        redirect_bytes_min=settings.blob_redirect_bytes_min,
        redirect_seconds=settings.blob_redirect_seconds,
    )
    blobs = CASHandler(
        c.database,
        c.cas,
        c.intake,
        delivery,
        storage,
        c.idempotency,
        missing_ids_max=settings.missing_ids_max,
    )
    uploads = UploadHandler(
        c.database,
        c.uploads,
        c.stages,
        c.cas,
        storage,
        Finisher(c.database, c.uploads, c.stages, c.cas, delivery),
        c.idempotency,
    )
    verify = VerifyHandler(c.database, Verification.of(c), c.idempotency)
    return [*cas_routes(blobs), *upload_routes(uploads), *verify_routes(verify)]
