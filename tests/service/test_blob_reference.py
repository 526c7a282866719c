"""What documents name is kept for all documents of a transaction by the same few statements."""

import asyncio
from typing import Any

import pytest

from orchestrator.core.digest import CasId
from orchestrator.models.artifact_manifest import NamedBlobs
from orchestrator.service.blob_reference import BlobReferenceService
from tests.api import ANN
from tests.service.conftest import Store

STATEMENTS = 5


async def naming(store: Store, count: int) -> list[NamedBlobs]:
    """New documents, each of which names a file, a model and what is nowhere."""
    named = []
    for number in range(count):
        model = await store.other("model", f"{count} {number}", files={"f": b"file"})
        names = (CasId.of(b"file"), model.cas_id, CasId.of(b"nowhere"))
        version = await store.version(f"version {count} {number}")
        named.append(NamedBlobs(artifact=version, names=names, is_new=True, by=ANN))
    return named


@pytest.mark.parametrize("count", [1, 7])
async def test_so_many_statements_keep_what_any_number_of_documents_name(
    store: Store, count: int
) -> None:
    named = await naming(store, count)
    asked: list[str] = []

    def ask(record: Any) -> None:
        asked.append(record.query)

    with store.conn.query_logger(ask):
        missing = await BlobReferenceService(store.cas, store.manifests).refer(store.conn, named)
        await asyncio.sleep(0)  # The last one is told a turn later.
    assert missing == [(str(CasId.of(b"nowhere")),)] * count
    assert len(asked) == STATEMENTS, asked
    for each in named:
        kept = await store.manifests.describe(store.conn, each.artifact, None)
        assert list(kept.references) == list(each.names[:2])
        assert [parent.relation for parent in kept.parents] == ["refers_to"]
