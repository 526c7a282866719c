"""What several requests write in one statement, and what is left out of it."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import DomainError, NotFound, accepted
from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.lineage import Direction
from orchestrator.models.tag import Action, Condition, Tag, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.service.workflow_join import WorkflowJoinService
from tests.api import ANN, BOB
from tests.service.conftest import NS, Store, order, services


@dataclass
class Joins:
    """The service under test and the focused ones that read what it wrote."""

    store: Store
    service: WorkflowJoinService

    async def create(self, *new: NewWorkflow) -> list[CreatedWorkflow | None]:
        return await self.service.create_new(self.store.conn, new)

    async def move(self, *orders: TagOrder) -> list[tuple[Action | None, int] | None]:
        """What was done, and the version that came of it. Each tag is now as the answer says."""
        moved = await self.store.tags.put(self.store.conn, orders)
        done: list[tuple[Action | None, int] | None] = []
        for each in moved:
            if isinstance(each, DomainError) or each.action is None:
                done.append(None)
                continue
            tag, target = each.tag, each.target
            assert await self.tag(tag.name, tag.namespace) == tag
            artifact = await self.artifact(tag.target_id, tag.namespace)
            assert target is not None
            assert (target.artifact_id, target.kind, target.version_hash) == (
                artifact.artifact_id,
                artifact.kind,
                artifact.version_hash,
            )
            done.append((each.action, tag.version))
        return done

    async def tag(self, name: str, namespace: str = NS) -> Tag:
        return await self.store.tags.get(self.store.conn, namespace, name)

    async def artifact(self, artifact_id: UUID | None, namespace: str = NS) -> Artifact:
        assert artifact_id is not None
        return await self.store.artifacts.get_by_id(self.store.conn, namespace, artifact_id)

    async def parents(self, created: CreatedWorkflow) -> list[tuple[UUID, str]]:
        page = await self.store.artifacts.get_lineage(
            self.store.conn,
            NS,
            created.artifact.artifact_id,
            direction=Direction.UP,
            depth_max=9,
            limit=9,
        )
        return [(edge.parent_id, edge.relation) for edge in page.edges]

    async def put(self, text: str, *names: str) -> UUID:
        target = (await self.store.version(text)).artifact_id
        for name in names:
            await self.store.tags.create_or_move(self.store.conn, order(name, target, by=BOB))
        return target

    async def delete(self, name: str) -> None:
        await self.store.tags.delete(self.store.conn, order(name, by=BOB))

    async def protect(self, name: str) -> None:
        await self.store.conn.execute("UPDATE tag SET protected = true WHERE name = $1", name)


@pytest.fixture
def joins(conn: Connection) -> Joins:
    store = services(conn)
    return Joins(store, WorkflowJoinService(WorkflowRepository(), cache_bytes_max=0))


def new(
    tag: str, text: str, *, namespace: str = NS, message: str | None = None, name: str | None = None
) -> NewWorkflow:
    return NewWorkflow(
        namespace=namespace,
        tag=tag,
        content=text.encode(),
        cas_id=CasId.of(text.encode()),
        name=name,
        nodes_count=3,
        edges_count=2,
        by=ANN,
        message=message,
    )


def move_order(
    name: str, target_id: UUID, expected: int | None = None, *, namespace: str = NS
) -> TagOrder:
    versions = None if expected is None else frozenset({expected})
    return order(
        name,
        target_id,
        namespace=namespace,
        message=f"for {name}",
        condition=Condition(exists=True, versions=versions),
    )


async def test_new_versions_are_as_the_answer_says(joins: Joins) -> None:
    old = await joins.put("old", "moved", "protected", "gone")
    await joins.protect("protected")
    await joins.delete("gone")
    wanted = [
        new("moved", "one", message="second", name="One"),
        new("new", "two"),
        new("protected", "three"),
        new("gone", "four"),
        new("moved", "one", namespace="other"),
    ]
    made = await joins.create(*wanted)
    created = [each for each in made if each is not None]
    assert [(each.change.action, each.change.tag.version) for each in created] == [
        (Action.MOVE, 2),
        (Action.CREATE, 1),
        (Action.MOVE, 2),
        (Action.CREATE, 3),
        (Action.CREATE, 1),
    ]
    assert created[2].change.tag.protected
    for asked, each in zip(wanted, created, strict=True):
        tag, artifact = each.change.tag, each.artifact
        assert (tag.namespace, tag.name, tag.message) == (asked.namespace, asked.tag, asked.message)
        assert await joins.tag(tag.name, tag.namespace) == tag
        assert await joins.artifact(tag.target_id, tag.namespace) == artifact
        assert (artifact.cas_id, artifact.name) == (asked.cas_id, asked.name)
        found = await joins.store.cas.get_content(joins.store.conn, asked.namespace, asked.cas_id)
        assert (found.content, found.blob.media_type) == (asked.content, WORKFLOW)
    assert await joins.parents(created[0]) == [(old, Relation.REVISION_OF)]
    for each in (created[1], created[3]):
        assert await joins.parents(each) == [], "a name that was free replaces nothing"
    undone = await joins.store.tags.undo(joins.store.conn, order("moved"))
    assert undone.tag.target_id == old


async def test_content_that_is_known_is_left_out_with_all_that_follows(
    joins: Joins,
) -> None:
    old = await joins.put("known", "main", "other")
    await joins.store.cas.store_content(joins.store.conn, b"loose", WORKFLOW, by=ANN)
    made = await joins.create(
        new("main", "loose"), new("new", "known"), new("other", "twice"), new("third", "twice")
    )
    assert [each is not None for each in made[:2]] == [False, False]
    assert [each is not None for each in made[2:]].count(True) == 1, "one content, one version"
    assert (await joins.tag("main")).target_id == old
    with pytest.raises(NotFound):
        await joins.tag("new")


async def test_each_tag_is_moved_by_itself_if_it_can_be(joins: Joins) -> None:
    a = await joins.put("A", "any", "expected", "stale", "same", "protected", "gone")
    b = await joins.put("B", "other")
    patch = await joins.store.patch(await joins.artifact(a), "1")
    theirs = (await joins.store.version("theirs", "other")).artifact_id
    await joins.protect("protected")
    await joins.delete("gone")
    outcomes = await joins.move(
        move_order("stale", b, 2),
        move_order("any", b),
        move_order("nope", b),
        move_order("same", a, 1),
        move_order("gone", b),
        move_order("expected", patch.artifact_id, 1),
        move_order("protected", b),
        move_order("other", uuid4()),
    )
    done = (Action.MOVE, 2)
    assert outcomes == [None, done, None, None, None, done, done, None]
    assert await joins.move(move_order("stale", theirs)) == [None]
    for name, target in {"stale": a, "same": a, "any": b, "other": b}.items():
        assert (await joins.tag(name)).target_id == target
    assert (await joins.tag("any")).message == "for any"
    moves = await joins.store.tags.history(joins.store.conn, NS, "any", limit=9)
    assert [(each.seq, each.from_id, each.to_id) for each in moves] == [(2, a, b), (1, None, a)]
    redone = await joins.store.tags.undo(joins.store.conn, order("any"))
    assert redone.tag.target_id == a


async def test_tags_of_one_name_in_two_namespaces_are_two(joins: Joins) -> None:
    await joins.put("A", "main")
    b = (await joins.store.version("B")).artifact_id
    made = await joins.create(new("main", "theirs", namespace="other"))
    assert made[0] is not None
    again = (await joins.store.version("again", "other")).artifact_id
    outcomes = await joins.move(move_order("main", again, namespace="other"), move_order("main", b))
    assert outcomes == [(Action.MOVE, 2), (Action.MOVE, 2)]


async def test_a_version_that_no_cache_takes_is_in_memory_once_while_it_is_used(
    joins: Joins,
) -> None:
    await joins.create(new("main", "one"))
    conn, main = joins.store.conn, (NS, "main")
    together = [accepted(each) for each in await joins.service.resolve_many(conn, [main, main])]
    later = await joins.service.resolve(conn, NS, "main")
    assert {id(each.content) for each in (*together, later)} == {id(later.content)}
    await joins.put("two", "main")
    moved = await joins.service.resolve(conn, NS, "main")
    assert (moved.content, later.content) == (b"two", b"one")


async def test_one_lookup_asks_for_each_tag_once(joins: Joins) -> None:
    await joins.create(new("main", "one"))
    wanted = [(NS, "main"), (NS, "none"), (NS, "main"), (NS, "none")]
    found = await joins.service.resolve_many(joins.store.conn, wanted)
    assert [isinstance(each, NotFound) for each in found] == [False, True, False, True]
