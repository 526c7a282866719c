"""HTTP for operations: liveness, readiness, metrics. The routes are public but for the metrics."""

import asyncio

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from orchestrator import __version__
from orchestrator.core.database import Database
from orchestrator.errors import StorageUnavailable
from orchestrator.handlers.http.reply import json_answer
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.idempotency import Answer
from orchestrator.service.upkeep.schema import SchemaService
from orchestrator.telemetry.exposition import Exposition

#: Readiness is asked for often, and must say in time that nothing answers.
READY_SECONDS_MAX = 2.0
NO_ANSWER = "does not answer"


class HealthBody(msgspec.Struct, frozen=True):
    """Who answers."""

    status: str
    service: str
    version: str


class LiveBody(msgspec.Struct, frozen=True):
    """The process is there."""

    status: str


class ReadyBody(msgspec.Struct, frozen=True):
    """Whether requests can be served, and each thing that this needs."""

    status: str
    checks: dict[str, str]


class HealthHandler:
    """Is the process there, can it serve, how is it doing."""

    def __init__(
        self,
        database: Database,
        schema: SchemaService,
        write_gate: WriteGate,
        exposition: Exposition,
    ) -> None:
        self._database = database
        self._schema = schema
        self._write_gate = write_gate
        self._exposition = exposition

    async def health(self) -> Answer:
        """The process answers."""
        return json_answer(HealthBody("ok", "orchestrator", __version__))

    async def live(self) -> Answer:
        """The process answers; a dead database does not make it a dead process."""
        return json_answer(LiveBody("ok"))

    async def ready(self) -> Answer:
        """200 when the database has our schema and the blob storage is the one that goes with it,
        else 503 with the check that failed, or that was not done in time.
        """
        deadline = asyncio.get_running_loop().time() + READY_SECONDS_MAX
        try:
            async with asyncio.timeout_at(deadline), self._database.connection() as conn:
                mismatch = await self._schema.mismatch(conn)
        except StorageUnavailable:
            return _not_ready({"database": "unavailable"})
        except TimeoutError:
            return _not_ready({"database": NO_ANSWER})
        if mismatch is not None:
            return _not_ready({"database": "ok", "schema": mismatch})
        try:
            async with asyncio.timeout_at(deadline):
                storage = await self._write_gate.ready()
        except TimeoutError:
            storage = NO_ANSWER
        checks = {"database": "ok", "schema": "ok", "storage": storage}
        if storage != "ok":
            return _not_ready(checks)
        return json_answer(ReadyBody("ready", checks))

    async def metrics(self) -> Answer:
        """Counters and histograms of all workers, in the Prometheus text format."""
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return Answer(status=200, headers=headers, body=self._exposition.text())


def _not_ready(checks: dict[str, str]) -> Answer:
    return json_answer(ReadyBody("unavailable", checks), 503, {"Retry-After": "1"})
