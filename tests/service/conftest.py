"""The three focused services on PostgreSQL, and shortcuts for what tests need to be there."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, NewVersion
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Condition, TagOrder
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from tests.api import ANN

NS = "team"


def order(
    name: str,
    target_id: UUID | None = None,
    *,
    namespace: str = NS,
    by: Actor = ANN,
    message: str | None = None,
    expected: Collection[int] | None = None,
    condition: Condition | None = None,
) -> TagOrder:
    """What Ann wants of a tag; one that is expected at some versions exists."""
    if condition is None:
        versions = None if expected is None else frozenset(expected)
        condition = Condition(exists=versions is not None, versions=versions)
    return TagOrder(
        namespace=namespace,
        name=name,
        target_id=target_id,
        message=message,
        by=by,
        condition=condition,
    )


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
            NewVersion(
                namespace=namespace,
                cas_id=stored.blob.cas_id,
                name=text,
                by=ANN,
                nodes_count=1,
                edges_count=0,
            ),
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
        cas=CASService(
            CASRepository(), VisibleBlobRepository(), document_bytes_max=1_000, lease_seconds=60
        ),
        artifacts=ArtifactService(ArtifactRepository(), LineageRepository()),
        tags=TagService(TagRepository(), TagMoveRepository()),
    )


@pytest.fixture
def store(conn: Connection) -> Store:
    """In a transaction that is rolled back."""
    return services(conn)
