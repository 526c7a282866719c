"""The rules of content-addressed storage, on PostgreSQL."""

import pytest

from orchestrator.core.digest import CasId
from orchestrator.errors import CorruptBlob, NotFound, TooLarge
from orchestrator.models.cas import BlobUpload, Received
from tests.api import ANN
from tests.service.conftest import NS, Store

EMPTY = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def received(content: bytes, media_type: str = "text/plain") -> Received:
    return Received(
        cas_id=CasId.of(content),
        size_bytes=len(content),
        media_type=media_type,
        content=content,
    )


async def test_computing_a_hash_stores_nothing_and_names_what_storing_would(store: Store) -> None:
    name = store.cas.compute_hash(b"bytes")
    assert not await store.cas.exists(store.conn, NS, name)
    stored = await store.cas.store_content(store.conn, b"bytes", "text/plain", by=ANN)
    assert stored.blob.cas_id == name


async def test_the_same_bytes_are_stored_once(store: Store) -> None:
    first = await store.cas.store_content(store.conn, b"bytes", "text/plain", by=ANN)
    second = await store.cas.store_content(store.conn, b"bytes", "application/json", by=ANN)
    assert (first.created, second.created) == (True, False)
    assert second.blob == first.blob, "the first media type stays"


async def test_empty_content_has_a_fixed_known_name(store: Store) -> None:
    stored = await store.cas.store_content(store.conn, b"", "text/plain", by=ANN)
    assert (str(stored.blob.cas_id), stored.blob.size_bytes) == (EMPTY, 0)


async def test_content_over_the_limit_is_refused(store: Store) -> None:
    await store.cas.store_content(store.conn, b"x" * 1_000, "text/plain", by=ANN)
    with pytest.raises(TooLarge) as refusal:
        await store.cas.store_content(store.conn, b"x" * 1_001, "text/plain", by=ANN)
    assert refusal.value.limit_bytes == 1_000


async def test_a_blob_is_visible_through_a_lease_in_that_namespace_only(store: Store) -> None:
    name = (await store.cas.store_content(store.conn, b"bytes", "text/plain", by=ANN)).blob.cas_id
    with pytest.raises(NotFound):
        await store.cas.get_content(store.conn, NS, name)
    await store.cas.upload(store.conn, NS, received(b"bytes"), by=ANN)
    assert (await store.cas.get_content(store.conn, NS, name)).content == b"bytes"
    assert (await store.cas.get_blob(store.conn, NS, name)).media_type == "text/plain"
    for namespace in ("other", "tea", "team-2"):
        assert not await store.cas.exists(store.conn, namespace, name)
        with pytest.raises(NotFound):
            await store.cas.get_blob(store.conn, namespace, name)


async def test_a_blob_is_visible_through_the_artifacts_that_hold_it(store: Store) -> None:
    version = await store.version("A")
    patch = await store.patch(version, "P")
    assert patch.version_hash is not None
    for name in (version.cas_id, patch.cas_id, patch.version_hash):
        assert await store.cas.exists(store.conn, NS, name)
        assert not await store.cas.exists(store.conn, "other", name)


async def test_an_expired_lease_shows_nothing(store: Store) -> None:
    name = (await store.cas.store_content(store.conn, b"bytes", "text/plain", by=ANN)).blob.cas_id
    repository = store.cas._blobs
    await repository.put_lease(store.conn, NS, name, "text/plain", -1)
    assert not await store.cas.exists(store.conn, NS, name)
    await repository.put_lease(store.conn, NS, name, "text/plain", 60)
    await repository.put_lease(store.conn, NS, name, "text/plain", -1)
    assert await store.cas.exists(store.conn, NS, name), "a lease never gets shorter"


async def test_an_upload_tells_nothing_of_the_uploads_of_others(store: Store) -> None:
    theirs = await store.cas.upload(store.conn, "other", received(b"bytes", "text/secret"), by=ANN)
    mine = await store.cas.upload(store.conn, NS, received(b"bytes"), by=ANN)
    again = await store.cas.upload(store.conn, NS, received(b"bytes", "text/third"), by=ANN)
    assert (theirs.created, mine.created, again.created) == (True, True, False)
    assert mine.blob.media_type == "text/plain"
    assert mine.blob.created_at > theirs.blob.created_at
    assert again.blob == mine.blob, "the first media type of the namespace stays"
    assert (await store.cas.get_blob(store.conn, NS, mine.blob.cas_id)) == mine.blob
    there = await store.cas.get_content(store.conn, "other", theirs.blob.cas_id)
    assert there.blob.media_type == "text/secret"


async def test_many_contents_come_at_once_and_missing_ones_are_named(store: Store) -> None:
    names = [
        (await store.cas.store_content(store.conn, text, "text/plain", by=ANN)).blob.cas_id
        for text in (b"one", b"two")
    ]
    assert await store.cas.get_content_bulk(store.conn, []) == {}
    contents = await store.cas.get_content_bulk(store.conn, names)
    assert contents == {names[0]: b"one", names[1]: b"two"}
    unknown = CasId.of(b"three")
    with pytest.raises(NotFound, match=str(unknown)):
        await store.cas.get_content_bulk(store.conn, [*names, unknown])


async def test_missing_lists_what_the_namespace_does_not_have_in_order_and_once(
    store: Store,
) -> None:
    held = (await store.version("A")).cas_id
    elsewhere = (await store.version("B", "other")).cas_id
    unknown = CasId.of(b"unknown")
    asked = [unknown, held, elsewhere, unknown]
    assert await store.cas.missing(store.conn, NS, asked) == [unknown, elsewhere]


async def test_bytes_that_do_not_match_their_name_are_never_served(store: Store) -> None:
    version = await store.version("good")
    await store.conn.execute(
        "UPDATE cas_blob SET content = 'evil' WHERE cas_id = $1", version.cas_id.raw
    )
    with pytest.raises(CorruptBlob):
        await store.cas.get_content(store.conn, NS, version.cas_id)
    with pytest.raises(CorruptBlob):
        await store.cas.get_content_bulk(store.conn, [version.cas_id])


async def test_of_several_uploads_those_that_somebody_has_are_left_out(store: Store) -> None:
    await store.cas.upload(store.conn, "other", received(b"theirs", "text/secret"), by=ANN)
    uploads = [
        BlobUpload(namespace=namespace, received=received(content), by=ANN)
        for namespace, content in (("third", b"new"), (NS, b"theirs"), (NS, b"also new"))
    ]
    stored = await store.cas.upload_new(store.conn, uploads)
    assert [each and each.created for each in stored] == [True, None, True]
    for upload, each in zip(uploads, stored, strict=True):
        if each is not None:
            cas_id = upload.received.cas_id
            assert each.blob.cas_id == cas_id
            assert await store.cas.get_blob(store.conn, upload.namespace, cas_id) == each.blob
    assert not await store.cas.exists(store.conn, NS, CasId.of(b"theirs")), "nothing was told"
    assert not await store.cas.exists(store.conn, "other", CasId.of(b"new"))
    assert not await store.cas.exists(store.conn, NS, CasId.of(b"new"))
