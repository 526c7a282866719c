"""The composition root: everything is constructed here, once, bottom-up; nothing is decided."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from orchestrator import logs
from orchestrator.database import Database
from orchestrator.handlers.admission import Admission
from orchestrator.handlers.artifact import ArtifactHandler
from orchestrator.handlers.authentication import Authenticator
from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.edge import Edge
from orchestrator.handlers.health import HealthHandler
from orchestrator.handlers.merge import MergeHandler
from orchestrator.handlers.problem import EXCEPTION_HANDLERS
from orchestrator.handlers.schema import SchemaHandler
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.transaction import TransactionHandler
from orchestrator.handlers.version import VersionHandler
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.parent import exit_with_parent
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.repository.rate import RateRepository
from orchestrator.repository.resolution import ResolutionRepository
from orchestrator.repository.schema import SchemaRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.routes.artifact import artifact_routes
from orchestrator.routes.cas import cas_routes
from orchestrator.routes.health import health_routes
from orchestrator.routes.openapi import OPENAPI
from orchestrator.routes.schema import schema_routes
from orchestrator.routes.tag import tag_routes
from orchestrator.routes.transaction import transaction_routes
from orchestrator.routes.version import version_routes
from orchestrator.routes.workflow import workflow_routes
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.rate import RateService
from orchestrator.service.resolution import ResolutionService
from orchestrator.service.schema import SchemaService
from orchestrator.service.tag import TagService
from orchestrator.service.version import VersionService
from orchestrator.service.workflow import WorkflowService
from orchestrator.settings import Settings
from orchestrator.workflow_change import ChangeRules


def create_app(settings: Settings | None = None) -> Edge:
    """Construct without I/O; the application's lifespan opens the database."""
    settings = settings or Settings.from_environ(os.environ)
    logs.configure(settings.log_level)

    database = Database(
        settings.database_url,
        connections_max=settings.database_connections_max,
        acquire_seconds_max=settings.database_acquire_seconds_max,
        connect_seconds_max=settings.database_connect_seconds_max,
        statement_seconds_max=settings.database_statement_seconds_max,
    )
    cas = CASService(
        CASRepository(),
        inline_bytes_max=settings.blob_inline_bytes_max,
        lease_seconds=settings.lease_seconds,
    )
    artifacts = ArtifactService(ArtifactRepository())
    tags = TagService(TagRepository())
    workflows = WorkflowService(cas, artifacts, tags, ResolutionService(ResolutionRepository()))
    versions = VersionService(cas, artifacts, tags)
    rules = ChangeRules(
        workflow_bytes_max=settings.workflow_bytes_max,
        agent_nodes_added_max=settings.patch_agent_nodes_added_max,
    )
    idempotency = IdempotencyService(IdempotencyRepository(), seconds=settings.idempotency_seconds)

    rates = RateService(RateRepository(), writes_per_minute_max=settings.writes_per_minute_max)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        exit_with_parent(asyncio.get_running_loop())
        # The event loop must not wait 5 ms for each turn of a thread that computes.
        sys.setswitchinterval(0.0005)
        async with database.opened():
            yield

    app = Litestar(
        route_handlers=[
            *workflow_routes(
                WorkflowHandler(
                    database,
                    workflows,
                    tags,
                    idempotency,
                    body_bytes_max=settings.json_body_bytes_max,
                    workflow_bytes_max=settings.workflow_bytes_max,
                )
            ),
            *tag_routes(
                TagHandler(
                    database,
                    tags,
                    artifacts,
                    versions,
                    idempotency,
                    body_bytes_max=settings.json_body_bytes_max,
                )
            ),
            *version_routes(
                VersionHandler(
                    database,
                    versions,
                    idempotency,
                    rules=rules,
                    body_bytes_max=settings.json_body_bytes_max,
                    operations_max=settings.patch_operations_max,
                ),
                MergeHandler(
                    database,
                    versions,
                    idempotency,
                    rules=rules,
                    body_bytes_max=settings.json_body_bytes_max,
                ),
            ),
            *transaction_routes(
                TransactionHandler(
                    database,
                    cas,
                    artifacts,
                    tags,
                    workflows,
                    idempotency,
                    body_bytes_max=settings.json_body_bytes_max,
                    workflow_bytes_max=settings.workflow_bytes_max,
                    operations_max=settings.transaction_operations_max,
                )
            ),
            *artifact_routes(ArtifactHandler(database, artifacts, tags)),
            *cas_routes(
                CASHandler(
                    database,
                    cas,
                    idempotency,
                    missing_ids_max=settings.missing_ids_max,
                )
            ),
            *health_routes(HealthHandler(database, SchemaService(SchemaRepository()))),
            *schema_routes(SchemaHandler()),
        ],
        before_request=Admission(database, rates),
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
        body_seconds_max=settings.body_seconds_max,
        access_log=settings.access_log,
    )
