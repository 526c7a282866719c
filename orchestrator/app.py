"""The composition root: everything is constructed here, once, bottom-up; nothing is decided."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from litestar import Litestar

from orchestrator.handlers.http.admission import Admission
from orchestrator.handlers.http.authentication import Authenticator
from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.encoding import Encodings
from orchestrator.handlers.http.fast_path import FastPath
from orchestrator.handlers.http.framework import admitting
from orchestrator.handlers.http.framework_errors import exception_handlers
from orchestrator.handlers.http.origin import Origins
from orchestrator.handlers.http.paths import Paths
from orchestrator.handlers.http.request_body import BodyLimits
from orchestrator.routes.artifact import artifact_routes
from orchestrator.routes.cas import cas_routes
from orchestrator.routes.fast_path import fast_routes
from orchestrator.routes.health import health_routes
from orchestrator.routes.me import me_routes
from orchestrator.routes.reference import reference_routes
from orchestrator.routes.resource import declared
from orchestrator.routes.tag import tag_routes
from orchestrator.routes.transaction import transaction_routes
from orchestrator.routes.transfer.upload import upload_routes
from orchestrator.routes.upkeep.gc import gc_routes
from orchestrator.routes.upkeep.verify import verify_routes
from orchestrator.routes.version import version_routes
from orchestrator.routes.workflow import workflow_routes
from orchestrator.routes.workflow_schema import schema_routes
from orchestrator.settings import Settings
from orchestrator.telemetry import logs
from orchestrator.wiring.handlers import build_handlers
from orchestrator.wiring.jobs import Jobs, build_jobs
from orchestrator.wiring.services import Container, build

_EXCEPTION_HANDLERS = exception_handlers()


def create_app(
    settings: Settings | None = None,
    *,
    services: Callable[[Settings], Container] = build,
    jobs_on: Callable[[Container, Settings], Jobs] = build_jobs,
) -> Edge:
    """Construct without I/O; the application's lifespan opens the database.

    The two graphs can be others than those of a server, with a storage in memory, say.
    """
    settings = settings or Settings.from_environ(os.environ)
    logs.configure(settings.log_level, queue_bytes_max=settings.log_queue_bytes_max)
    c = services(settings)
    jobs = jobs_on(c, settings)
    handlers = build_handlers(c, jobs, settings)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        # The event loop must not wait 5 ms for each turn of a thread that computes.
        sys.setswitchinterval(0.0005)
        with c.exposition.shared(), c.compute.running(), c.threads.ended_after():
            async with c.database.opened(), jobs.schedule.running(), jobs.second_names.running():
                yield
        logs.LINES.drain()

    admission = Admission(c.database, c.rates, c.disk)
    routes = [
        *workflow_routes(handlers.workflows, handlers.tag_search),
        *version_routes(handlers.versions, handlers.chains, handlers.merges, handlers.histories),
        *tag_routes(handlers.tags, handlers.tag_search),
        *transaction_routes(handlers.transactions, handlers.transactions_past),
        *artifact_routes(handlers.artifacts, handlers.creating, handlers.lineage),
        *cas_routes(handlers.blobs),
        *upload_routes(handlers.uploads),
        *verify_routes(handlers.verify),
        *gc_routes(handlers.gc),
        *health_routes(handlers.health),
        *schema_routes(handlers.schemas),
        *me_routes(handlers.me),
    ]
    routes += reference_routes(routes)
    paths = Paths(declared(routes))
    app = Litestar(
        route_handlers=routes,
        before_request=admitting(admission),
        exception_handlers=_EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        openapi_config=None,
        request_max_body_size=None,  # Each handler says what it accepts.
        logging_config=None,
    )
    return Edge(
        app,
        Authenticator(settings.admin_token_sha256, namespace=settings.namespace_default),
        fast_path=FastPath(
            fast_routes(handlers.workflows, handlers.creating, handlers.tags, handlers.blobs),
            paths.exact,
        ),
        paths=paths,
        admission=admission,
        origins=Origins(
            allowed_hosts=settings.allowed_hosts,
            allowed_origins=settings.allowed_origins,
            behind_proxy=settings.behind_proxy,
        ),
        body_limits=BodyLimits(
            window_seconds=settings.body_seconds_max,
            window_bytes_min=settings.body_window_bytes_min,
            total_seconds_max=settings.body_total_seconds_max,
            refused_bytes_max=settings.refused_body_bytes_max,
            refused_seconds_max=settings.refused_body_seconds_max,
        ),
        encodings=Encodings(
            c.threads,
            bytes_min=settings.compressed_answer_bytes_min,
            cache_bytes_max=settings.compressed_cache_bytes_max,
        ),
        send_seconds_max=settings.send_seconds_max,
        access_log=settings.access_log,
    )
