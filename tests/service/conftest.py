"""The three focused services on PostgreSQL, and shortcuts for what tests need to be there."""

from dataclasses import dataclass

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from tests.api import ANN

NS = "team"


@dataclass
class Store:
    """Services over one set of repositories, and the connection to give them."""

    conn: Connection
    cas: CASService
    artifacts: ArtifactService
    tags: TagService

    async def version(self, text: str, namespace: str = NS) -> Artifact:
        """A dag_version whose content is this text."""
        stored = await self.cas.store_content(self.conn, text.encode(), "text/plain", by=ANN)
        artifact, _ = await self.artifacts.find_or_create_dag_version(
            self.conn,
            namespace,
            stored.blob.cas_id,
            name=text,
            by=ANN,
            nodes_count=1,
            edges_count=0,
        )
        return artifact

    async def patch(self, below: Artifact, text: str) -> Artifact:
        """A patch_set above this one, whose operations and result are made from the text."""
        names: list[CasId] = []
        for content in (f"operations {text}", f"result {text}"):
            stored = await self.cas.store_content(self.conn, content.encode(), "text/plain", by=ANN)
            names.append(stored.blob.cas_id)
        return await self.artifacts.create_patch_set(
            self.conn,
            below,
            names[0],
            version_hash=names[1],
            op_count=1,
            nodes_count=1,
            edges_count=0,
            by=ANN,
        )


def services(conn: Connection) -> Store:
    return Store(
        conn=conn,
        cas=CASService(CASRepository(), document_bytes_max=1_000, lease_seconds=60),
        artifacts=ArtifactService(ArtifactRepository()),
        tags=TagService(TagRepository()),
    )


@pytest.fixture
def store(conn: Connection) -> Store:
    """In a transaction that is rolled back."""
    return services(conn)
