"""What several requests write in one statement, and what is left to be served alone."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import NotFound
from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.tag import Action, Tag, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.repository.publication import PublicationRepository
from orchestrator.service.publication import PublicationService
from tests.api import ANN, BOB
from tests.service.conftest import NS, Store, services


@dataclass
class Publications:
    """The service under test and the focused ones that read what it wrote."""

    store: Store
    service: PublicationService

    async def create(self, *new: NewWorkflow) -> list[CreatedWorkflow | None]:
        return await self.service.create_new(self.store.conn, new)

    async def move(self, *orders: TagOrder) -> list[tuple[Action | None, int] | None]:
        """What was done, and the version that came of it. The told tags are as they are now."""
        moved = await self.service.move_ready(self.store.conn, orders)
        told: list[tuple[Action | None, int] | None] = []
        for each in moved:
            if each is None:
                told.append(None)
                continue
            tag = each.change.tag
            assert await self.tag(tag.name, tag.namespace) == tag
            artifact = await self.artifact(tag.target_id, tag.namespace)
            assert (each.artifact_id, each.kind, each.version_hash) == (
                artifact.artifact_id,
                artifact.kind,
                artifact.version_hash,
            )
            told.append((each.change.action, tag.version))
        return told

    async def tag(self, name: str, namespace: str = NS) -> Tag:
        return await self.store.tags.get(self.store.conn, namespace, name)

    async def artifact(self, artifact_id: UUID | None, namespace: str = NS) -> Artifact:
        assert artifact_id is not None
        return await self.store.artifacts.get_by_id(self.store.conn, namespace, artifact_id)

    async def parents(self, created: CreatedWorkflow) -> list[tuple[UUID, Relation]]:
        page = await self.store.artifacts.get_lineage(
            self.store.conn, NS, created.artifact.artifact_id, up=True, depth_max=9, limit=9
        )
        return [(edge.parent_id, edge.relation) for edge in page.edges]

    async def put(self, text: str, *names: str) -> UUID:
        target = (await self.store.version(text)).artifact_id
        for name in names:
            await self.store.tags.create_or_move(self.store.conn, NS, name, target, by=BOB)
        return target

    async def delete(self, name: str) -> None:
        await self.store.tags.delete(self.store.conn, NS, name, by=BOB)

    async def protect(self, name: str) -> None:
        await self.store.conn.execute("UPDATE tag SET protected = true WHERE name = $1", name)


@pytest.fixture
def publications(conn: Connection) -> Publications:
    store = services(conn)
    return Publications(store, PublicationService(PublicationRepository()))


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


def order(
    name: str, target_id: UUID, expected: int | None = None, *, namespace: str = NS
) -> TagOrder:
    return TagOrder(
        namespace=namespace,
        name=name,
        target_id=target_id,
        message=f"for {name}",
        by=ANN,
        expected=expected,
    )


async def test_what_is_told_of_new_versions_is_what_is_there(publications: Publications) -> None:
    old = await publications.put("old", "moved", "protected", "gone")
    await publications.protect("protected")
    await publications.delete("gone")
    wanted = [
        new("moved", "one", message="second", name="One"),
        new("new", "two"),
        new("protected", "three"),
        new("gone", "four"),
        new("moved", "one", namespace="other"),
    ]
    made = await publications.create(*wanted)
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
        assert await publications.tag(tag.name, tag.namespace) == tag
        assert await publications.artifact(tag.target_id, tag.namespace) == artifact
        assert (artifact.cas_id, artifact.name) == (asked.cas_id, asked.name)
        found = await publications.store.cas.get_content(
            publications.store.conn, asked.namespace, asked.cas_id
        )
        assert (found.content, found.blob.media_type) == (asked.content, WORKFLOW)
    assert await publications.parents(created[0]) == [(old, Relation.REVISION_OF)]
    for each in (created[1], created[3]):
        assert await publications.parents(each) == [], "a name that was free replaces nothing"
    undone = await publications.store.tags.undo(publications.store.conn, NS, "moved", by=ANN)
    assert undone.tag.target_id == old


async def test_content_that_is_known_is_left_out_with_all_that_follows(
    publications: Publications,
) -> None:
    old = await publications.put("known", "main", "other")
    await publications.store.cas.store_content(publications.store.conn, b"loose", WORKFLOW, by=ANN)
    made = await publications.create(
        new("main", "loose"), new("new", "known"), new("other", "twice"), new("third", "twice")
    )
    assert [each is not None for each in made[:2]] == [False, False]
    assert [each is not None for each in made[2:]].count(True) == 1, "one content, one version"
    assert (await publications.tag("main")).target_id == old
    with pytest.raises(NotFound):
        await publications.tag("new")


async def test_each_tag_is_moved_by_itself_if_it_can_be(publications: Publications) -> None:
    a = await publications.put("A", "any", "expected", "stale", "same", "protected", "gone")
    b = await publications.put("B", "other")
    patch = await publications.store.patch(await publications.artifact(a), "1")
    theirs = (await publications.store.version("theirs", "other")).artifact_id
    await publications.protect("protected")
    await publications.delete("gone")
    told = await publications.move(
        order("stale", b, 2),
        order("any", b),
        order("nope", b),
        order("same", a, 1),
        order("gone", b),
        order("expected", patch.artifact_id, 1),
        order("protected", b),
        order("other", uuid4()),
    )
    done = (Action.MOVE, 2)
    assert told == [None, done, None, None, None, done, done, None]
    assert await publications.move(order("stale", theirs)) == [None]
    for name, target in {"stale": a, "same": a, "any": b, "other": b}.items():
        assert (await publications.tag(name)).target_id == target
    assert (await publications.tag("any")).message == "for any"
    moves = await publications.store.tags.history(publications.store.conn, NS, "any", limit=9)
    assert [(each.seq, each.from_id, each.to_id) for each in moves] == [(2, a, b), (1, None, a)]
    redone = await publications.store.tags.undo(publications.store.conn, NS, "any", by=ANN)
    assert redone.tag.target_id == a


async def test_tags_of_one_name_in_two_namespaces_are_two(publications: Publications) -> None:
    await publications.put("A", "main")
    b = (await publications.store.version("B")).artifact_id
    made = await publications.create(new("main", "theirs", namespace="other"))
    assert made[0] is not None
    again = (await publications.store.version("again", "other")).artifact_id
    told = await publications.move(order("main", again, namespace="other"), order("main", b))
    assert told == [(Action.MOVE, 2), (Action.MOVE, 2)]
