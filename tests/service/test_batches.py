"""A batch of several is the same as each of them alone, in order: over random histories."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.database import Connection, connect
from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.errors import DomainError
from orchestrator.models.artifact import Artifact, NewVersion
from orchestrator.models.cas import PATCH_OPERATIONS, WORKFLOW, Document, StoredBlob
from orchestrator.models.tag import ALWAYS, Condition, TagChange, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.workflow import WorkflowService
from orchestrator.service.workflow_join import WorkflowJoinService
from tests.api import ANN
from tests.service.conftest import NS, Store, order, services

TAGS = ("a", "b", "c", "d")
CONTENTS = tuple(b"content %d" % number for number in range(4))
#: The names of artifacts that are there from the beginning, and of one that is not.
TARGETS = ("first", "second", "missing")

# --------------------------------------------------------------------------------- the histories

conditions = st.one_of(
    st.just(ALWAYS),
    st.just(Condition(absent=True)),
    st.just(Condition(exists=True)),
    st.builds(
        lambda versions: Condition(exists=True, versions=versions),
        st.frozensets(st.integers(1, 5), max_size=3),
    ),
)


def batches(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Each tag at most once, as whoever makes batches sees to."""
    return st.lists(
        st.tuples(st.sampled_from(TAGS), of), min_size=1, max_size=4, unique_by=lambda each: each[0]
    )


puts = batches(st.tuples(st.none() | st.sampled_from(TARGETS), conditions))
creates = batches(st.tuples(st.sampled_from(CONTENTS), conditions))
free_creates = batches(st.sampled_from(CONTENTS))
documents = st.lists(
    st.tuples(st.sampled_from(CONTENTS), st.sampled_from([WORKFLOW, PATCH_OPERATIONS])),
    min_size=1,
    max_size=4,
)
versions = st.lists(
    st.tuples(st.sampled_from([NS, "other"]), st.sampled_from(CONTENTS)), min_size=1, max_size=4
)
histories = st.lists(
    st.one_of(
        st.tuples(st.just("put"), puts),
        st.tuples(st.just("create"), creates),
        st.tuples(st.just("create_new"), free_creates),
        st.tuples(st.just("store"), documents),
        st.tuples(st.just("version"), versions),
        st.tuples(st.sampled_from(["undo", "redo"]), st.sampled_from(TAGS).map(lambda tag: [tag])),
    ),
    max_size=6,
)
History: TypeAlias = list[tuple[str, list[Any]]]


# ---------------------------------------------------------------------------------- one play of it


class Play:
    """A history on an empty database, and what came of it in words without ids and times."""

    def __init__(self, conn: Connection) -> None:
        self.store: Store = services(conn)
        joins = WorkflowJoinService(WorkflowRepository(), cache_bytes_max=0)
        cas, artifacts, tags = self.store.cas, self.store.artifacts, self.store.tags
        self.workflows = WorkflowService(
            cas, artifacts, tags, joins, BlobReferenceService(cas, self.store.manifests)
        )
        self.targets = {"missing": new_id()}
        self.outcomes: list[object] = []

    async def begin(self) -> None:
        for text in TARGETS[:2]:
            self.targets[text] = (await self.store.version(text)).artifact_id

    async def act(self, kind: str, several: Sequence[Any]) -> None:
        acts: dict[str, Callable[[Sequence[Any]], Awaitable[Sequence[object]]]] = {
            "put": self.put,
            "create": self.create,
            "create_new": self.create_new,
            "store": self.documents,
            "version": self.versions,
            "undo": lambda names: self.step("undo", names),
            "redo": lambda names: self.step("redo", names),
        }
        self.outcomes += [_said(each) for each in await acts[kind](several)]

    async def put(self, wanted: Sequence[Any]) -> Sequence[object]:
        orders: list[TagOrder] = [
            order(name, None if to is None else self.targets[to], condition=condition, message=to)
            for name, (to, condition) in wanted
        ]
        return await self.store.tags.put(self.store.conn, orders)

    async def create(self, wanted: Sequence[Any]) -> Sequence[object]:
        new = [_new(tag, content, condition) for tag, (content, condition) in wanted]
        return await self.workflows.create(self.store.conn, new)

    async def create_new(self, wanted: Sequence[Any]) -> Sequence[object]:
        """In one statement what is new, and then what that has left out, as a server does."""
        new = [_new(tag, content, ALWAYS) for tag, content in wanted]
        created = await self.workflows.create_new(self.store.conn, new)
        return [
            made or (await self.workflows.create(self.store.conn, [each]))[0]
            for each, made in zip(new, created, strict=True)
        ]

    async def documents(self, wanted: Sequence[Any]) -> Sequence[object]:
        given_documents = [
            Document(content=content, media_type=media_type, cas_id=CasId.of(content), by=ANN)
            for content, media_type in wanted
        ]
        return await self.store.cas.store_documents(self.store.conn, given_documents)

    async def versions(self, wanted: Sequence[Any]) -> Sequence[object]:
        await self.documents([(content, WORKFLOW) for _, content in wanted])
        new = [
            NewVersion(
                namespace=namespace,
                cas_id=CasId.of(content),
                name=None,
                nodes_count=1,
                edges_count=0,
                by=ANN,
            )
            for namespace, content in wanted
        ]
        return await self.store.artifacts.find_or_create_dag_versions(self.store.conn, new)

    async def step(self, direction: str, names: Sequence[str]) -> Sequence[object]:
        try:
            return [await getattr(self.store.tags, direction)(self.store.conn, order(names[0]))]
        except DomainError as error:
            return [error]

    async def rows(self) -> dict[str, list[str]]:
        """All that is in the tables, with artifacts named by namespace and content."""
        conn = self.store.conn
        names = {
            str(row["artifact_id"]): f"{row['namespace']}:{row['cas_id'].hex()[:8]}"
            for row in await conn.fetch("SELECT artifact_id, namespace, cas_id FROM artifact")
        }
        found: dict[str, list[str]] = {}
        for table in ("cas_blob", "artifact", "lineage", "tag", "tag_move"):
            rows = await conn.fetch(f"SELECT * FROM {table}")
            found[table] = sorted(_without_times(dict(row), names) for row in rows)
        return found


def _new(tag: str, content: bytes, condition: Condition) -> NewWorkflow:
    return NewWorkflow(
        namespace=NS,
        tag=tag,
        content=content,
        cas_id=CasId.of(content),
        name=None,
        nodes_count=1,
        edges_count=0,
        by=ANN,
        condition=condition,
    )


def _said(outcome: object) -> object:
    """The outcome in what two plays of a history have in common."""
    if isinstance(outcome, DomainError):
        return type(outcome).__name__
    if isinstance(outcome, StoredBlob):
        return outcome.created, outcome.used, outcome.blob.cas_id, outcome.blob.media_type
    if isinstance(outcome, CreatedWorkflow):
        return _said(outcome.artifact), _said(outcome.change)
    if isinstance(outcome, TagChange):
        tag = msgspec.structs.asdict(outcome.tag)
        said = {key: tag[key] for key in ("name", "version", "cursor", "action", "message")}
        return outcome.action, said, outcome.target and outcome.target.version_hash
    if isinstance(outcome, Artifact):
        return outcome.namespace, outcome.kind, outcome.cas_id
    assert isinstance(outcome, tuple)
    return tuple(each if isinstance(each, bool) else _said(each) for each in outcome)


def _without_times(row: dict[str, Any], names: dict[str, str]) -> str:
    return str(
        {
            key: names.get(str(value), value)
            for key, value in row.items()
            if key not in {"created_at", "moved_at"}
        }
    )


# ------------------------------------------------------------------------------------ the property


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def empty(worker_database: str, runner: asyncio.Runner) -> Iterator[Connection]:
    """A connection whose transactions are all rolled back."""
    conn = runner.run(connect(worker_database))
    yield conn
    runner.run(conn.close())


async def play(conn: Connection, history: History, *, together: bool) -> object:
    transaction = conn.transaction()
    await transaction.start()
    try:
        played = Play(conn)
        await played.begin()
        for kind, several in history:
            for batch in [several] if together else [[each] for each in several]:
                await played.act(kind, batch)
        return played.outcomes, await played.rows()
    finally:
        await transaction.rollback()


@settings(max_examples=30, deadline=None)
@given(histories)
def test_a_batch_of_several_is_the_same_as_each_alone_in_order(
    empty: Connection, runner: asyncio.Runner, history: History
) -> None:
    together = runner.run(play(empty, history, together=True))
    alone = runner.run(play(empty, history, together=False))
    assert together == alone
