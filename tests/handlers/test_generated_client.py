"""A client that a generator makes of the OpenAPI document calls every operation."""

import hashlib
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from blake3 import blake3
from litestar import Litestar

from orchestrator.handlers.http.edge import Edge
from tests.api import chain
from tests.conftest import TOKEN
from tests.described import Description
from tests.handlers.test_openapi import DOCUMENT

pytestmark = pytest.mark.slow

#: The bytes of uploads have a type of their own; the generator has to be told that they are bytes.
CONFIG = """
post_hooks: []
content_type_overrides:
  application/offset+octet-stream: application/octet-stream
"""
OPERATIONS = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
CONTENT = b"some bytes"
NAME = f"blake3:{blake3(CONTENT).hexdigest()}"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the package that the generator made."""
    folder = tmp_path_factory.mktemp("generated")
    name = f"generated_{uuid4().hex[:8]}"
    (folder / "openapi.json").write_bytes(msgspec.json.encode(DOCUMENT))
    (folder / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.yaml", "--output-path", name]
    made = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    # Any media type is nothing that it knows; the bytes beside it are.
    warnings = [line for line in made.stdout.splitlines() if line.startswith("WARNING")]
    assert warnings == [
        "WARNING parsing POST /api/v1/cas within cas.",
        "WARNING parsing PUT /api/v1/cas/{cas_id} within cas.",
    ], made.stdout
    sys.path.insert(0, str(folder))
    yield name
    sys.path.remove(str(folder))


class Client:
    """Calls operations by their id, with bodies as JSON, and holds the answers to the document."""

    def __init__(self, package: str, http: httpx.AsyncClient) -> None:
        self._package = package
        self._client = importlib.import_module(package).Client(base_url="http://test")
        self._client.set_async_httpx_client(http)
        self.models = importlib.import_module(f"{package}.models")
        self._file = importlib.import_module(f"{package}.types").File
        self._tags = {each["operationId"]: each["tags"][0] for each in OPERATIONS}
        self.called: set[str] = set()

    async def call(self, operation: str, **arguments: Any) -> Any:
        """The parsed answer, which must be one of success."""
        name = f"{self._package}.api.{self._tags[operation]}.{_snake(operation)}"
        module = importlib.import_module(name)
        answer = await module.asyncio_detailed(client=self._client, **arguments)
        assert answer.status_code < 300, (operation, answer)
        self.called.add(operation)
        return answer

    def body(self, model: str, value: Any) -> Any:
        return getattr(self.models, model).from_dict(value)

    def bytes(self, content: bytes) -> Any:
        return self._file(payload=content)


@pytest.fixture
async def client(generated: str, make_app: Callable[..., Edge]) -> AsyncIterator[Client]:
    app = make_app()
    inner = app.app
    assert isinstance(inner, Litestar)
    description, wrong = Description(DOCUMENT), []

    async def hold(answer: httpx.Response) -> None:
        path = answer.request.url.raw_path.decode().partition("?")[0]
        body = await answer.aread()
        wrong.extend(
            description.wrong(answer.request.method, path, answer.status_code, answer.headers, body)
        )

    async with (
        inner.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # Its scopes are typed otherwise.
            base_url="http://test",
            headers={"Authorization": f"Bearer {TOKEN}"},
            event_hooks={"response": [hold]},
        ) as http,
    ):
        yield Client(generated, http)
    assert wrong == []


async def test_a_generated_client_calls_every_operation(client: Client) -> None:
    await _workflows(client)
    await _rehearsals(client)
    await _tags(client)
    await _changes(client)
    await _blobs(client)
    await _artifacts(client)
    await _uploads(client)
    await _operations(client)
    assert {each["operationId"] for each in OPERATIONS} - client.called == set()


async def _create(client: Client, tag: str, *ids: str) -> Any:
    body = client.body("CreateWorkflow", {"tag": tag, "workflow": chain(*ids)})
    return (await client.call("createWorkflow", body=body)).parsed


async def _rehearsals(client: Client) -> None:
    lonely = chain("a", "b") | {"nodes": chain("a", "b", "c")["nodes"]}
    validate = client.body("ValidateWorkflow", {"workflow": lonely})
    found = (await client.call("validateWorkflow", body=validate)).parsed
    assert (found.valid, [each.rule for each in found.warnings]) == (True, ["unconnected-node"])
    create = client.body("CreateWorkflow", {"tag": "release/v1", "workflow": lonely})
    rehearsed = await client.call("createWorkflow", body=create, dry_run=True)
    assert (rehearsed.status_code, rehearsed.parsed.dry_run) == (200, True)
    assert [each.id for each in rehearsed.parsed.diff.nodes_added] == ["c"]
    patch = client.body("MergePatch", {"metadata": {"owner": "payments"}})
    patched = await client.call("patchWorkflow", tag="release/v1", body=patch, dry_run=True)
    assert patched.parsed.diff.members.patch


async def _workflows(client: Client) -> None:
    created = await _create(client, "release/v1", "a")
    assert created.tag == "release/v1"
    moved = await _create(client, "release/v1", "a", "b")
    found = (await client.call("getWorkflow", tag="release/v1")).parsed
    assert found.workflow.to_dict() == {
        "edges": [{"from": "a", "to": "b"}],
        "nodes": [{"id": "a", "type": "task"}, {"id": "b", "type": "task"}],
    }
    past = await client.call("getWorkflow", tag="release/v1", at=found.moved_at, materialize=False)
    assert past.parsed.base.version_hash == moved.version_hash
    assert len((await client.call("listWorkflows", limit=1)).parsed.items) == 1
    assert (await client.call("getWorkflowSchema")).parsed["title"] == "Workflow"
    for operation in ("getArtifact", "getChain", "listLineage", "listTagsOfArtifact"):
        await client.call(operation, artifact="release/v1@2")
    same = await client.call("listArtifacts", version_hash=found.version_hash)
    assert [each.artifact_id for each in same.parsed.items] == [found.artifact_id]


async def _tags(client: Client) -> None:
    first = (await client.call("getTag", name="release/v1", version=1)).parsed
    put = client.body("PutTag", {"artifact_id": str(first.artifact_id)})
    await client.call("putTag", name="stable", body=put)
    await client.call("putTag", name="stable", body=client.body("PutTag", {"from": "release/v1@2"}))
    move = {"artifact_id": str(first.artifact_id), "expected_version": 2, "message": "Back"}
    await client.call("moveTag", name="stable", body=client.body("MoveTag", move))
    await client.call("undoTag", name="stable", body=client.body("StepTag", {}))
    await client.call("redoTag", name="stable")
    moves = (await client.call("listTagMoves", name="stable", limit=2)).parsed
    following = await client.call("listTagMoves", name="stable", cursor=moves.next_)
    assert [each.seq for each in [*moves.items, *following.parsed.items]] == [5, 4, 3, 2, 1]
    shown = (await client.call("listTags", prefix="stab", at="-0s", total=True)).parsed
    assert ([each.name for each in shown.items], shown.total) == (["stable"], 1)
    moved = (await client.call("listMoves", prefix="stab", since="-1h", limit=1)).parsed
    assert [(each.name, each.version) for each in moved.items] == [("stable", 5)]
    await client.call("deleteTag", name="stable", expected_version=5, message="Done")
    operations = [
        {"op": "create", "tag": "stable", "artifact_id": str(first.artifact_id)},
        {"op": "create_workflow", "tag": "other", "workflow": chain("o")},
    ]
    run = client.body("RunTransaction", {"operations": operations})
    ran = (await client.call("runTransaction", body=run)).parsed
    assert len(ran.results) == 2
    assert len((await client.call("listTransactions", made_by="admin")).parsed.items) == 1
    at = {"transaction_id": ran.transaction_id}
    assert len((await client.call("getTransaction", **at)).parsed.moves) == 2
    back = (await client.call("revertTransaction", **at)).parsed
    at = {"transaction_id": back.transaction_id}
    expected = client.body("RevertTransaction", {"expected": {"stable": 8}})
    await client.call("revertTransaction", body=expected, **at)
    await client.call("deleteWorkflow", tag="other", message="Done")


async def _changes(client: Client) -> None:
    patch = client.body("MergePatch", {"metadata": {"owner": "payments"}})
    changed = (await client.call("patchWorkflow", tag="release/v1", body=patch)).parsed
    operation = {"op": "add", "path": "/metadata/team", "value": "billing"}

    class Operations(client.models.JsonPatch):  # type: ignore[misc, name-defined]  # Made by this test.
        """The generator knows no list that is an alternative to an object."""

        def to_dict(self) -> Any:
            return [operation]

    await client.call("patchWorkflow", tag="release/v1", body=Operations())
    for page in ("listVersions", "diffWorkflow"):
        more = {"against": "release/v1@1"} if page == "diffWorkflow" else {}
        await client.call(page, tag="release/v1", **more)
    by_id = client.models.DiffVersionsAddress.ID
    await client.call("diffVersions", from_="release/v1@1", to="release/v1", address=by_id)
    await client.call("getVersion", tag="release/v1", seq="1")
    blame = (await client.call("blameWorkflow", tag="release/v1")).parsed
    assert blame.nodes.additional_properties.keys() == {"a", "b"}
    events = (await client.call("listNodeEvents", tag="release/v1", node_id="b")).parsed
    assert [each.action.value for each in events.items] == ["added"]
    pick = client.body("CherryPick", {"version": changed.version_hash})
    await client.call("cherryPick", tag="stable", body=pick)
    revert = client.body("Revert", {"seq": 2})
    await client.call("revertVersion", tag="release/v1", body=revert)
    compact = client.body("CompactWorkflow", {})
    await client.call("compactWorkflow", tag="release/v1", body=compact)
    merge = client.body("MergeWorkflow", {"from": "release/v1", "dry_run": True})
    await client.call("mergeWorkflow", tag="stable", body=merge)


async def _blobs(client: Client) -> None:
    query = client.body("MissingQuery", {"cas_ids": [NAME]})
    assert (await client.call("findMissingBlobs", body=query)).parsed.missing == [NAME]
    sent = client.bytes(CONTENT)
    stored = await client.call("uploadBlob", body=sent, want_repr_digest="sha-256=1")
    assert stored.parsed.sha256 == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    await client.call("putBlob", cas_id=NAME, body=client.bytes(CONTENT))
    whole = await client.call("getBlob", cas_id=NAME)
    assert whole.content == CONTENT
    part = await client.call("getBlob", cas_id=stored.parsed.sha256, range_="bytes=5-")
    assert (part.status_code, part.content) == (206, b"bytes")
    await client.call("headBlob", cas_id=NAME)


async def _artifacts(client: Client) -> None:
    described = {
        "kind": "model",
        "blobs": [{"cas_id": NAME, "name": "a/b"}],
        "meta": {"n": 1},
        "parents": [{"tag": "release/v1@1", "relation": "trained_on"}],
        "tag": "model",
    }
    body = client.body("CreateArtifact", described)
    made = (await client.call("createArtifact", body=body)).parsed
    assert (made.kind, made.tag.name) == ("model", "model")
    at = {"artifact": made.artifact_id}
    files = (await client.call("listBlobsOfArtifact", **at)).parsed
    assert [each.name for each in files.items] == ["a/b"]
    assert (await client.call("getBlobOfArtifact", name="a/b", **at)).content == CONTENT
    await client.call("headBlobOfArtifact", name="a/b", **at)
    await client.call("listAnnotations", **at)


async def _uploads(client: Client) -> None:
    tus = {"tus_resumable": "1.0.0"}
    await client.call("describeUploads")
    made = await client.call("createUpload", upload_length=str(len(CONTENT)), **tus)
    upload_id = made.headers["location"].partition("?")[0].rpartition("/")[2]
    at: dict[str, Any] = {"upload_id": upload_id}
    await client.call("describeUpload", **at)
    first, rest = client.bytes(CONTENT[:4]), client.bytes(CONTENT[4:])
    await client.call("patchUpload", body=first, upload_offset="0", **at, **tus)
    assert (await client.call("headUpload", **at, **tus)).headers["upload-offset"] == "4"
    override = client.models.OverrideUploadXHTTPMethodOverride.PATCH
    more = {"x_http_method_override": override, "upload_offset": "4"}
    await client.call("overrideUpload", body=rest, **more, **at, **tus)
    assert (await client.call("getUpload", **at)).parsed.blob.cas_id == NAME
    await client.call("deleteUpload", **at, **tus)


async def _operations(client: Client) -> None:
    for operation in ("health", "live", "ready", "metrics"):
        await client.call(operation)
    assert (await client.call("getMe")).parsed.principal == "admin"
    collect = client.body("CollectGarbage", {"dry_run": True, "limit": 1})
    await client.call("collectGarbage", body=collect)
    await client.call("verify", body=client.body("Verify", {"limit": 1}))


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
