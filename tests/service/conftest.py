"""The three focused services, on PostgreSQL and on memory: one contract for both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from orchestrator.core.database import Connection, connect
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from tests.fakes import MemoryArtifactRepository, MemoryCASRepository, MemoryTagRepository

NS = "team"


@dataclass
class Store:
    """Services over one set of repositories, and the connection to give them."""

    conn: Connection
    cas: CASService
    artifacts: ArtifactService
    tags: TagService
    real: bool

    async def version(self, text: str, namespace: str = NS) -> Artifact:
        """A dag_version whose content is this text."""
        stored = await self.cas.store_content(self.conn, text.encode(), "text/plain")
        artifact, _ = await self.artifacts.find_or_create_dag_version(
            self.conn,
            namespace,
            stored.blob.cas_id,
            name=text,
            created_by="ann",
            nodes_count=1,
            edges_count=0,
        )
        return artifact

    async def patch(self, below: Artifact, text: str) -> Artifact:
        """A patch_set above this one, whose operations and result are made from the text."""
        names: list[CasId] = []
        for content in (f"operations {text}", f"result {text}"):
            stored = await self.cas.store_content(self.conn, content.encode(), "text/plain")
            names.append(stored.blob.cas_id)
        return await self.artifacts.create_patch_set(
            self.conn,
            below,
            names[0],
            version_hash=names[1],
            op_count=1,
            nodes_count=1,
            edges_count=0,
            created_by="ann",
        )


def services(
    conn: Connection,
    blobs: CASRepository,
    artifacts: ArtifactRepository,
    tags: TagRepository,
    *,
    real: bool,
) -> Store:
    return Store(
        conn=conn,
        cas=CASService(blobs, document_bytes_max=1_000, lease_seconds=60),
        artifacts=ArtifactService(artifacts),
        tags=TagService(tags),
        real=real,
    )


@pytest.fixture(params=["postgresql", "memory"])
async def store(request: pytest.FixtureRequest, worker_database: str) -> AsyncIterator[Store]:
    if request.param == "memory":
        artifacts = MemoryArtifactRepository()
        nowhere = cast("Any", None)
        blobs = MemoryCASRepository(artifacts)
        yield services(nowhere, blobs, artifacts, MemoryTagRepository(), real=False)
        return
    conn = await connect(worker_database)
    transaction = conn.transaction()
    await transaction.start()
    yield services(conn, CASRepository(), ArtifactRepository(), TagRepository(), real=True)
    await transaction.rollback()
    await conn.close()
