"""The three focused services on PostgreSQL, and shortcuts for what tests need to be there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName, CasId
from orchestrator.documents.artifact_content import new_manifest
from orchestrator.models.artifact import Artifact, NewPatch, NewVersion
from orchestrator.models.artifact_manifest import (
    ABOUT,
    ANNOTATION,
    DERIVED_FROM,
    ArtifactDraft,
    NewFile,
    NewParent,
)
from orchestrator.models.cas import MANIFEST, Blob
from orchestrator.models.principal import Actor
from orchestrator.models.reference import Reference
from orchestrator.models.tag import Condition, TagOrder
from orchestrator.models.tag_search import NamedTag
from orchestrator.models.upkeep.gc import Grace
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.artifact_manifest import ManifestRepository
from orchestrator.repository.artifact_search import ArtifactSearchRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.repository.reference import ReferenceRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.repository.tag_search import TagSearchRepository
from orchestrator.repository.tag_step import TagStepRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_manifest import ArtifactManifestService
from orchestrator.service.artifact_search import ArtifactSearchService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.tag_search import TagSearchService
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
    tag_search: TagSearchService[NamedTag]
    artifact_search: ArtifactSearchService
    manifests: ArtifactManifestService

    async def other(
        self, kind: str, text: str, *parents: Artifact, files: Mapping[str, bytes] = {}
    ) -> Artifact:
        """An artifact named by a manifest, which comes from these, or is about them."""
        blobs: dict[BlobName, Blob] = {}
        for content in files.values():
            stored = await self.cas.store_content(self.conn, content, "text/plain", by=ANN)
            blobs[stored.blob.cas_id] = stored.blob
        new_files = [NewFile(blob=CasId.of(files[name]), name=name) for name in files]
        draft = ArtifactDraft(
            kind=kind, name=None, files=new_files, meta={"text": text}, references=[], parents=[]
        )
        new = new_manifest(draft, blobs, NS, ANN)
        await self.cas.store_content(self.conn, new.content, MANIFEST, by=ANN)
        ((artifact, is_new),) = await self.manifests.find_or_create(self.conn, [new])
        relation = ABOUT if kind == ANNOTATION else DERIVED_FROM
        links = [
            NewParent(
                reference=Reference(text="", artifact_id=parent.artifact_id), relation=relation
            )
            for parent in parents
        ]
        await self.manifests.link(self.conn, artifact, links, is_new=is_new, by=ANN)
        return artifact

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
        new = NewPatch(
            below=below,
            cas_id=names[0],
            version_hash=names[1],
            op_count=1,
            nodes_count=1,
            edges_count=0,
            by=ANN,
        )
        return (await self.artifacts.create_patch_sets(self.conn, [new]))[0]


def services(conn: Connection) -> Store:
    return Store(
        conn=conn,
        cas=CASService(
            CASRepository(), VisibleBlobRepository(), document_bytes_max=1_000, lease_seconds=60
        ),
        artifacts=ArtifactService(
            ArtifactRepository(), LineageRepository(), ArtifactSearchRepository()
        ),
        tags=TagService(TagRepository(), TagMoveRepository(), TagStepRepository()),
        tag_search=TagSearchService(TagSearchRepository(), TagSearchRepository(), rows_max=1_000),
        artifact_search=ArtifactSearchService(ArtifactSearchRepository(), rows_max=1_000),
        manifests=ArtifactManifestService(
            ArtifactRepository(),
            ManifestRepository(),
            LineageRepository(),
            ReferenceRepository(),
            grace=Grace(seconds=7 * 86_400, run_seconds=30 * 86_400),
        ),
    )


@pytest.fixture
def store(conn: Connection) -> Store:
    """In a transaction that is rolled back."""
    return services(conn)
