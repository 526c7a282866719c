"""The workflow service over the real database: what the three services give together."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.documents.workflow import check_workflow
from orchestrator.errors import CorruptBlob, NotFound, accepted
from orchestrator.models.artifact import Artifact
from orchestrator.models.lineage import Direction
from orchestrator.models.tag import Action
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow, ResolvedWorkflow
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.workflow import WorkflowService
from orchestrator.service.workflow_join import WorkflowJoinService
from tests.api import ANN, chain
from tests.service.conftest import NS, Store, order, services


@dataclass
class Workflows:
    """The service under test and the focused ones below it."""

    store: Store
    service: WorkflowService

    async def create(self, tag: str, *ids: str) -> CreatedWorkflow:
        workflow = check_workflow(chain(*ids))
        new = NewWorkflow(
            namespace=NS,
            tag=tag,
            content=workflow.content,
            cas_id=CasId.of(workflow.content),
            name=workflow.name,
            nodes_count=workflow.nodes_count,
            edges_count=workflow.edges_count,
            by=ANN,
            message=None,
        )
        (outcome,) = await self.service.create(self.store.conn, [new])
        return accepted(outcome)

    async def patched(self, tag: str, below: Artifact, text: str) -> Artifact:
        patch = await self.store.patch(below, text)
        await self.store.tags.create_or_move(self.store.conn, order(tag, patch.artifact_id))
        return patch

    async def parents(self, created: CreatedWorkflow) -> list[UUID]:
        page = await self.store.artifacts.get_lineage(
            self.store.conn,
            NS,
            created.artifact.artifact_id,
            direction=Direction.UP,
            depth_max=9,
            limit=9,
        )
        return [edge.parent_id for edge in page.edges]


@pytest.fixture
def workflows(conn: Connection) -> Workflows:
    store = services(conn)
    joins = WorkflowJoinService(WorkflowRepository(), cache_bytes_max=100_000)
    return Workflows(
        store,
        WorkflowService(
            store.cas,
            store.artifacts,
            store.tags,
            joins,
            BlobReferenceService(store.cas, store.manifests),
        ),
    )


async def test_a_create_leaves_blob_artifact_tag_and_move(workflows: Workflows) -> None:
    created = await workflows.create("main", "a", "b")
    assert created.change.action is Action.CREATE
    found = await workflows.service.get_by_tag(workflows.store.conn, NS, "main")
    assert found.content == check_workflow(chain("a", "b")).content
    assert found.entry.artifact_id == created.artifact.artifact_id
    assert (found.entry.nodes_count, found.entry.edges_count) == (2, 1)


async def test_a_revision_remembers_the_version_it_replaced(workflows: Workflows) -> None:
    first = await workflows.create("main", "a")
    second = await workflows.create("main", "a", "b")
    third = await workflows.create("other", "a", "b", "c")
    assert await workflows.parents(second) == [first.artifact.artifact_id]
    assert await workflows.parents(third) == []


async def test_going_back_to_an_old_version_by_create_makes_no_cycle(workflows: Workflows) -> None:
    first = await workflows.create("main", "a")
    await workflows.create("main", "b")
    again = await workflows.create("main", "a")
    assert again.artifact == first.artifact
    assert await workflows.parents(first) == []


async def test_a_tag_on_a_patch_answers_the_result_of_the_patch(workflows: Workflows) -> None:
    base = (await workflows.create("main", "a")).artifact
    patch = await workflows.patched("main", base, "1")
    found = await workflows.service.get_by_tag(workflows.store.conn, NS, "main")
    assert found.content == b"result 1"
    assert (found.entry.depth, found.entry.cas_id) == (1, patch.cas_id)


async def test_components_are_base_and_operations_in_order(workflows: Workflows) -> None:
    base = (await workflows.create("main", "a")).artifact
    one = await workflows.patched("main", base, "1")
    await workflows.patched("main", one, "2")
    parts = await workflows.service.get_components(workflows.store.conn, NS, "main")
    assert parts.base == base
    assert parts.base_content == check_workflow(chain("a")).content
    assert [(each.seq, each.operations) for each in parts.patches] == [
        (1, b"operations 1"),
        (2, b"operations 2"),
    ]
    plain = await workflows.service.get_components(workflows.store.conn, NS, "main", 1)
    assert (plain.base, plain.patches) == (base, ())


async def test_components_cost_the_same_number_of_queries_at_any_depth(
    workflows: Workflows,
) -> None:
    head = (await workflows.create("main", "a")).artifact
    for depth in (1, 12):
        while head.depth < depth:
            head = await workflows.patched("main", head, str(head.depth))
        # Once per connection the driver asks for the types that it does not know.
        await workflows.service.get_components(workflows.store.conn, NS, "main")
        queries: list[Any] = []
        with workflows.store.conn.query_logger(queries.append):
            await workflows.service.get_components(workflows.store.conn, NS, "main")
            await asyncio.sleep(0)  # The driver logs in a callback.
        assert len(queries) == 4


async def test_a_corrupted_document_is_never_served(workflows: Workflows) -> None:
    created = await workflows.create("main", "a")
    await workflows.store.conn.execute(
        "UPDATE cas_blob SET content = 'x', size_bytes = 1 WHERE cas_id = $1",
        created.artifact.cas_id.raw,
    )
    with pytest.raises(CorruptBlob):
        await workflows.service.get_by_tag(workflows.store.conn, NS, "main")


async def test_many_lookups_are_one_query_and_each_gets_its_own(workflows: Workflows) -> None:
    for tag in "abc":
        await workflows.create(tag, tag)
    wanted = [(NS, "c"), (NS, "nope"), ("other", "a"), (NS, "a"), (NS, "c")]
    for known in (False, True):
        await workflows.create("b", "b", str(known))
        queries: list[Any] = []
        with workflows.store.conn.query_logger(queries.append):
            found = await workflows.service.get_by_tags(workflows.store.conn, [*wanted, (NS, "b")])
            await asyncio.sleep(0)  # The driver logs in a callback.
        assert len([each for each in queries if "FROM unnest" in each.query]) == 1
        documents = [
            each.content if isinstance(each, ResolvedWorkflow) else type(each) for each in found
        ]
        c, a = (check_workflow(chain(each)).content for each in "ca")
        b = check_workflow(chain("b", str(known))).content
        assert documents == [c, NotFound, NotFound, a, c, b]


async def test_one_that_is_corrupted_does_not_hide_the_others(workflows: Workflows) -> None:
    good = await workflows.create("good", "g")
    bad = await workflows.create("bad", "b")
    await workflows.store.conn.execute(
        "UPDATE cas_blob SET content = overlay(content PLACING 'X' FROM 3) WHERE cas_id = $1",
        bad.artifact.cas_id.raw,
    )
    for _ in range(2):
        found = await workflows.service.get_by_tags(
            workflows.store.conn, [(NS, "bad"), (NS, "good")]
        )
        assert isinstance(found[0], CorruptBlob)
        assert isinstance(found[1], ResolvedWorkflow)
        assert found[1].entry.artifact_id == good.artifact.artifact_id
