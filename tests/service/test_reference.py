"""What names find: hashes by some of their digits, and tags before them."""

from uuid import UUID

import pytest

from orchestrator.core.digest import CasId
from orchestrator.errors import AmbiguousHash, DomainError, InvalidInput, NotFound
from orchestrator.models.reference import parse_reference
from orchestrator.repository.reference import ReferenceRepository
from orchestrator.service.reference import ReferenceService
from tests.service.conftest import NS, Store, order

DIGITS = "c0ffee11" + "0" * 55


async def find(store: Store, text: str, namespace: str = NS) -> UUID | DomainError:
    reference = parse_reference(text, tag=None, pointer="/from")
    (found,) = await ReferenceService(ReferenceRepository()).find(
        store.conn, namespace, [reference]
    )
    return found


@pytest.fixture
async def alike(store: Store) -> list[UUID]:
    """Two versions whose hashes differ only in their last digit."""
    made = []
    for last in "12":
        name = CasId(b"\x01" + bytes.fromhex(DIGITS + last))
        artifact = await store.version(f'"{last}"')
        await store.conn.execute(
            "INSERT INTO cas_blob (cas_id, size_bytes, media_type, content)"
            " VALUES ($1, 1, 'application/json', '1')",
            name.raw,
        )
        row = await store.conn.fetchval(
            "INSERT INTO artifact (artifact_id, namespace, kind, cas_id, version_hash, depth,"
            " op_count, nodes_count, edges_count, meta, created_by)"
            " SELECT gen_random_uuid(), namespace, kind, $1, $1, 0, 0, 1, 0, '{}', 'ann'"
            " FROM artifact WHERE artifact_id = $2 RETURNING artifact_id",
            name.raw,
            artifact.artifact_id,
        )
        made.append(row)
    return made


async def test_a_hash_is_found_by_all_its_digits_and_by_as_many_as_tell_it_apart(
    store: Store, alike: list[UUID]
) -> None:
    artifact = await store.version('"other"')
    text = str(artifact.version_hash)
    for name in (text, text[:15], text[:20], text.removeprefix("blake3:"), text[7:15]):
        assert await find(store, name) == artifact.artifact_id, name
    assert isinstance(await find(store, text, "another"), NotFound)
    assert isinstance(await find(store, "blake3:00000000"), NotFound)
    for at, last in enumerate("12"):
        assert await find(store, f"blake3:{DIGITS}{last}") == alike[at]
    for ambiguous in (DIGITS, f"blake3:{DIGITS[:8]}"):
        refused = await find(store, ambiguous)
        assert isinstance(refused, AmbiguousHash), refused


async def test_a_tag_goes_before_a_hash_that_begins_like_its_name(
    store: Store, alike: list[UUID]
) -> None:
    artifact = await store.version('"other"')
    await store.tags.create_or_move(store.conn, order("c0ffee11", artifact.artifact_id))
    assert await find(store, "c0ffee11") == artifact.artifact_id
    assert await find(store, "c0ffee11@1") == artifact.artifact_id
    assert isinstance(await find(store, "c0ffee1"), NotFound)


@pytest.mark.parametrize("text", ["blake3:", "blake3:1234567", "blake3:1234567G", "12345678"])
def test_too_few_digits_or_others_name_nothing(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_reference(text, tag=None, pointer="/from")
