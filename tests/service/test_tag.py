"""The rules of tags."""

from datetime import timedelta
from uuid import UUID

import pytest

from orchestrator.errors import AlreadyExists, NotFound, VersionConflict, accepted
from orchestrator.errors_change import NothingToRedo, NothingToUndo
from orchestrator.models.tag import Action, Condition, TagChange, TagOrder
from orchestrator.models.tag_search import NamedTag, TagFilter
from tests.api import BOB
from tests.service.conftest import NS, Store, order


async def put(store: Store, text: str, name: str = "main") -> UUID:
    target = (await store.version(text)).artifact_id
    await store.tags.create_or_move(store.conn, order(name, target))
    return target


async def put_order(store: Store, wanted: TagOrder) -> TagChange:
    (outcome,) = await store.tags.put(store.conn, [wanted])
    return accepted(outcome)


async def target(store: Store, name: str = "main") -> UUID | None:
    return (await store.tags.get(store.conn, NS, name)).target_id


async def actions(store: Store, name: str = "main") -> list[tuple[int, str]]:
    moves = await store.tags.history(store.conn, NS, name, limit=100)
    return [(move.seq, str(move.action)) for move in reversed(moves)]


async def test_a_new_tag_is_at_version_one(store: Store) -> None:
    version = await store.version("A")
    change = await store.tags.create(store.conn, order("main", version.artifact_id))
    assert (change.action, change.tag.version, change.tag.moved_by) == (Action.CREATE, 1, "ann")


async def test_creating_an_existing_tag_is_a_conflict_that_changes_nothing(store: Store) -> None:
    first = await put(store, "A")
    other = (await store.version("B")).artifact_id
    with pytest.raises(AlreadyExists) as refusal:
        await store.tags.create(store.conn, order("main", other))
    assert refusal.value.current is not None
    assert refusal.value.current.version == 1
    assert await target(store) == first
    assert await actions(store) == [(1, "create")]


async def test_a_move_sets_the_target_and_counts_the_version(store: Store) -> None:
    await put(store, "A")
    second = await put(store, "B")
    tag = await store.tags.get(store.conn, NS, "main")
    assert (tag.target_id, tag.version) == (second, 2)


async def test_moving_to_where_it_is_changes_and_records_nothing(store: Store) -> None:
    first = await put(store, "A")
    for _ in range(2):
        change = await store.tags.create_or_move(store.conn, order("main", first, by=BOB))
        assert change.action is None
        change = await store.tags.move(store.conn, order("main", first, by=BOB, expected={1}))
        assert change.action is None
    assert await actions(store) == [(1, "create")]


async def test_moving_an_unknown_tag_is_not_found(store: Store) -> None:
    version = await store.version("A")
    with pytest.raises(NotFound):
        await store.tags.move(store.conn, order("nope", version.artifact_id))


@pytest.mark.parametrize("expected", [{2}, {7, 9}, set()])
async def test_a_move_from_a_stale_version_is_a_conflict(store: Store, expected: set[int]) -> None:
    first = await put(store, "A")
    other = (await store.version("B")).artifact_id
    with pytest.raises(VersionConflict):
        await store.tags.move(store.conn, order("main", other, expected=expected))
    assert await target(store) == first


async def test_a_stale_move_to_the_current_target_is_a_conflict_too(store: Store) -> None:
    first = await put(store, "A")
    with pytest.raises(VersionConflict):
        await store.tags.move(store.conn, order("main", first, expected={5}))


async def test_compare_and_swap_tells_whether_it_won(store: Store) -> None:
    await put(store, "A")
    other = (await store.version("B")).artifact_id
    assert await store.tags.compare_and_swap(store.conn, order("main", other, expected={1}))
    assert not await store.tags.compare_and_swap(store.conn, order("main", other, expected={1}))
    assert await actions(store) == [(1, "create"), (2, "move")]


async def test_compare_and_swap_of_an_unknown_tag_raises_instead_of_reading_as_stale(
    store: Store,
) -> None:
    version = await store.version("A")
    with pytest.raises(NotFound):
        await store.tags.compare_and_swap(
            store.conn, order("nope", version.artifact_id, expected={1})
        )


async def test_a_condition_chooses_between_create_move_and_either(store: Store) -> None:
    one = (await store.version("A")).artifact_id
    two = (await store.version("B")).artifact_id
    with pytest.raises(NotFound):
        await put_order(store, order("main", one, condition=Condition(exists=True)))
    absent = Condition(absent=True)
    change = await put_order(store, order("main", one, condition=absent))
    assert change.action is Action.CREATE
    with pytest.raises(AlreadyExists):
        await put_order(store, order("main", two, condition=absent))
    at_one = Condition(exists=True, versions=frozenset({1}))
    change = await put_order(store, order("main", two, condition=at_one))
    assert change.action is Action.MOVE
    change = await put_order(store, order("main", one))
    assert change.tag.version == 3


async def test_a_target_that_recurs_undoes_through_all_positions_and_redoes_back(
    store: Store,
) -> None:
    a, b = await put(store, "A"), await put(store, "B")
    assert [await put(store, "A"), await put(store, "B")] == [a, b]
    for expected in (a, b, a):
        change = await store.tags.undo(store.conn, order("main"))
        assert (change.action, change.tag.target_id) == (Action.UNDO, expected)
    with pytest.raises(NothingToUndo):
        await store.tags.undo(store.conn, order("main"))
    for expected in (b, a, b):
        change = await store.tags.redo(store.conn, order("main"))
        assert (change.action, change.tag.target_id) == (Action.REDO, expected)
    with pytest.raises(NothingToRedo):
        await store.tags.redo(store.conn, order("main"))
    assert [seq for seq, _ in await actions(store)] == list(range(1, 11))


async def test_a_move_after_an_undo_starts_a_new_branch(store: Store) -> None:
    a, _, c = await put(store, "A"), await put(store, "B"), None
    await store.tags.undo(store.conn, order("main"))
    c = await put(store, "C")
    with pytest.raises(NothingToRedo):
        await store.tags.redo(store.conn, order("main"))
    undone = await store.tags.undo(store.conn, order("main"))
    assert undone.tag.target_id == a
    redone = await store.tags.redo(store.conn, order("main"))
    assert redone.tag.target_id == c


async def test_undo_from_a_stale_version_is_a_conflict(store: Store) -> None:
    await put(store, "A")
    second = await put(store, "B")
    with pytest.raises(VersionConflict):
        await store.tags.undo(store.conn, order("main", expected={1}))
    assert await target(store) == second


@pytest.mark.parametrize("step", ["undo", "redo"])
async def test_a_step_of_an_unknown_tag_is_not_found(store: Store, step: str) -> None:
    with pytest.raises(NotFound):
        await getattr(store.tags, step)(store.conn, order("nope"))


async def test_versions_go_on_after_a_delete_so_none_comes_back(store: Store) -> None:
    await put(store, "A")
    await put(store, "B")
    deleted = await store.tags.delete(store.conn, order("main", message="done"))
    assert (deleted.action, deleted.tag.target_id, deleted.tag.version) == (Action.DELETE, None, 3)
    with pytest.raises(NotFound):
        await store.tags.get(store.conn, NS, "main")
    again = await put(store, "A")
    tag = await store.tags.get(store.conn, NS, "main")
    assert (tag.version, tag.target_id) == (4, again)
    assert await actions(store) == [(1, "create"), (2, "move"), (3, "delete"), (4, "create")]


DELETED = TagFilter(deleted=True)


async def test_undo_of_a_delete_restores_the_tag_and_redo_never_deletes(store: Store) -> None:
    a, b = await put(store, "A"), await put(store, "B")
    await store.tags.delete(store.conn, order("main"))
    with pytest.raises(NothingToRedo):
        await store.tags.redo(store.conn, order("main"))
    restored = await store.tags.undo(store.conn, order("main"))
    assert (restored.action, restored.tag.target_id, restored.tag.version) == (Action.UNDO, b, 4)
    assert (await store.tags.undo(store.conn, order("main"))).tag.target_id == a
    assert (await store.tags.redo(store.conn, order("main"))).tag.target_id == b
    with pytest.raises(NothingToRedo):
        await store.tags.redo(store.conn, order("main"))


async def test_undo_of_a_tag_that_was_created_again_reaches_what_was_before(store: Store) -> None:
    a, b = await put(store, "A"), await put(store, "B")
    await store.tags.delete(store.conn, order("main"))
    c = await put(store, "C")
    for expected in (b, a):
        assert (await store.tags.undo(store.conn, order("main"))).tag.target_id == expected
    with pytest.raises(NothingToUndo):
        await store.tags.undo(store.conn, order("main"))
    for expected in (b, c):
        assert (await store.tags.redo(store.conn, order("main"))).tag.target_id == expected


async def listed(
    store: Store,
    wanted: TagFilter = TagFilter(),  # noqa: B008 - it never changes.
    *,
    namespace: str = NS,
    after: str = "",
    limit: int = 9,
) -> list[NamedTag]:
    page = await store.tag_search.list_by_tag(
        store.conn, namespace, wanted, after=after, limit=limit
    )
    assert page.end is None
    return page.items


async def test_deleted_tags_are_listed_and_have_versions_that_steps_can_expect(
    store: Store,
) -> None:
    await put(store, "A")
    await store.tags.delete(store.conn, order("main"))
    (deleted,) = await listed(store, DELETED)
    assert (deleted.name, deleted.version, deleted.artifact_id) == ("main", 2, None)
    assert await listed(store) == []
    with pytest.raises(VersionConflict):
        await store.tags.undo(store.conn, order("main", expected={1}))
    await store.tags.undo(store.conn, order("main", expected={2}))
    assert await listed(store, DELETED) == []


async def test_a_deleted_tag_keeps_its_history(store: Store) -> None:
    await put(store, "A")
    await store.tags.delete(store.conn, order("main"))
    assert await actions(store) == [(1, "create"), (2, "delete")]


async def test_deleting_needs_the_tag_at_the_expected_version(store: Store) -> None:
    await put(store, "A")
    with pytest.raises(VersionConflict):
        await store.tags.delete(store.conn, order("main", expected={3}))
    await store.tags.delete(store.conn, order("main", expected={1}))
    with pytest.raises(NotFound):
        await store.tags.delete(store.conn, order("main"))


async def test_the_history_of_a_name_never_used_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.tags.history(store.conn, NS, "nope", limit=10)


async def test_a_move_records_what_it_replaced_and_why(store: Store) -> None:
    first = await put(store, "A")
    other = (await store.version("B")).artifact_id
    await store.tags.move(store.conn, order("main", other, by=BOB, message="roll out"))
    move = (await store.tags.history(store.conn, NS, "main", limit=1))[0]
    assert (move.from_id, move.to_id, move.parent_seq) == (first, other, 1)
    assert (move.moved_by, move.message) == ("bob", "roll out")


async def test_names_of_other_namespaces_are_other_tags(store: Store) -> None:
    await put(store, "A")
    with pytest.raises(NotFound):
        await store.tags.get(store.conn, "team-2", "main")
    assert await listed(store, namespace="tea") == []


async def test_tags_are_listed_by_name_and_paged_by_key(store: Store) -> None:
    for name in ("c", "a", "b", "gone"):
        await put(store, "A", name)
    await store.tags.delete(store.conn, order("gone"))
    first = await listed(store, limit=2)
    rest = await listed(store, after="b")
    assert [tag.name for tag in (*first, *rest)] == ["a", "b", "c"]


async def test_the_past_of_a_tag_is_known_by_version_and_by_time(store: Store) -> None:
    first = await put(store, "A")
    await put(store, "B")
    assert (await store.tags.at_version(store.conn, NS, "main", 1)).to_id == first
    moved_at = (await store.tags.get(store.conn, NS, "main")).moved_at
    assert (await store.tags.at_time(store.conn, NS, "main", moved_at)).seq == 2
    with pytest.raises(NotFound):
        await store.tags.at_time(store.conn, NS, "main", moved_at - timedelta(days=1))
    with pytest.raises(NotFound):
        await store.tags.at_version(store.conn, NS, "main", 3)


async def test_a_tag_was_not_there_while_it_was_deleted(store: Store) -> None:
    await put(store, "A")
    deleted = await store.tags.delete(store.conn, order("main"))
    with pytest.raises(NotFound):
        await store.tags.at_version(store.conn, NS, "main", 2)
    with pytest.raises(NotFound):
        await store.tags.at_time(store.conn, NS, "main", deleted.tag.moved_at)
