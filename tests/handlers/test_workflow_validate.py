"""Judgements over HTTP: documents that are only judged, warnings, and what is let through."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.digest import CasId
from orchestrator.documents.canonical import canonicalise
from orchestrator.errors import VIOLATIONS_MAX
from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import TOKEN
from tests.handlers.patching import document, patch, patched, timeout
from tests.handlers.test_merge import add_node, branches, merge

LENIENT = {"validation": "lenient"}
CYCLE: dict[str, Any] = chain("a", "b", "a") | {"nodes": chain("a", "b")["nodes"]}
SENSELESS = ["no-entry-node", "no-terminal-node", "cycle"]
LONELY = {"op": "add", "path": "/nodes/-", "value": {"id": "z", "type": "task"}}


async def judged(api: Api, workflow: Any, **query: Any) -> Any:
    response = await api.post("/workflows/validate", {"workflow": workflow}, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def rules(violations: Any) -> list[str]:
    return [each["rule"] for each in violations]


async def test_a_document_is_judged_and_not_stored(api: Api) -> None:
    content = canonicalise(chain("a", "b"))
    assert await judged(api, chain("a", "b")) == {
        "valid": True,
        "version_hash": str(CasId.of(content)),
        "size_bytes": len(content),
        "nodes_count": 2,
        "edges_count": 1,
        "violations": [],
        "warnings": [],
    }
    assert (await api.get(f"/cas/{CasId.of(content)}")).status_code == 404
    made = await api.create("main", "a", "b")
    assert made["version_hash"] == str(CasId.of(content))


@pytest.mark.parametrize(
    ("workflow", "counts"),
    [
        ({"nodes": [{"id": "a"}, {"id": "a", "type": "x"}]}, (None, None)),
        (chain("a", "b") | {"edges": [{"from": "a", "to": "x"}]}, (2, 1)),
        ({"nodes": [0] * 2 * VIOLATIONS_MAX}, (None, None)),
        (CYCLE, (2, 2)),
        (chain("a") | {"x": [f"blake3:{n:064x}" for n in range(10_001)]}, (1, 0)),
    ],
)
async def test_what_a_document_breaks_is_listed_as_in_its_refusal(
    api: Api, workflow: Any, counts: tuple[int | None, int | None]
) -> None:
    body = await judged(api, workflow)
    refused = await api.post("/workflows", {"tag": "main", "workflow": workflow})
    assert refused.status_code == 422
    assert (body["valid"], body["violations"]) == (False, refused.json()["errors"])
    assert (body["nodes_count"], body["edges_count"]) == counts
    assert body["size_bytes"] == len(canonicalise(workflow))


async def test_what_cannot_be_read_is_refused_and_not_judged(api: Api) -> None:
    unreadable = await api.post("/workflows/validate", {"workflow": chain("a") | {"x": 2**60}})
    assert (unreadable.status_code, rules(unreadable.json()["errors"])) == (400, ["integer-range"])
    for body in ({}, {"workflow": chain("a"), "tag": "main"}):
        assert (await api.post("/workflows/validate", body)).status_code == 400


async def test_what_is_too_large_is_refused_as_by_a_create(make_app: Callable[..., Edge]) -> None:
    async with Api.on(make_app(workflow_bytes_max=200), TOKEN) as api:
        large = {"workflow": chain("a") | {"x": "y" * 200}}
        refused = await api.post("/workflows/validate", large)
        assert (refused.status_code, refused.json()["limit_bytes"]) == (413, 200)
        assert (await judged(api, large["workflow"] | {"nodes": []}))["valid"] is False


async def test_a_tag_may_have_the_name_of_the_judgement(api: Api) -> None:
    made = await api.create("validate", "a", "b")
    assert await document(api, "validate") == await document(api, "validate", version=1)
    assert (await patched(api, "validate", timeout(5)))["tag_version"] == 2
    told = await api.http.options("/api/v1/workflows/validate")
    assert told.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST"
    assert (await api.get("/workflows/validate/versions/0")).json()["seq"] == 0
    assert (await api.delete("/workflows/validate")).status_code == 200
    assert (await api.post("/workflows/other", {"workflow": {}})).status_code == 405
    assert made["tag"] == "validate"


async def test_a_lenient_judgement_stores_a_graph_that_makes_no_sense(api: Api) -> None:
    lenient = await judged(api, CYCLE, **LENIENT)
    assert (lenient["valid"], rules(lenient["warnings"])) == (True, SENSELESS)
    body = {"tag": "main", "workflow": CYCLE}
    assert (await api.post("/workflows", body)).status_code == 422
    made = (await api.post("/workflows", body, params=LENIENT)).json()
    assert rules(made["warnings"]) == SENSELESS
    assert [each["pointer"] for each in made["warnings"]][-1] == "/workflow/edges/1"
    assert await document(api, "main") == CYCLE
    # Each change is judged anew.
    assert (await patch(api, "main", [timeout(5)])).status_code == 422
    changed = await patched(api, "main", timeout(5), params=LENIENT)
    assert [each["pointer"] for each in changed["warnings"]][-1] == "/edges/1"
    wrong = {"tag": "main", "workflow": chain("a", "a")}
    assert (await api.post("/workflows", wrong, params=LENIENT)).status_code == 422
    unknown = await api.post("/workflows", body, params={"validation": "none"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (400, "/validation")


async def test_a_merge_that_makes_no_sense_may_be_let_through(api: Api) -> None:
    for tag, edge in (("main", ("b", "a")), ("side", ("a", "b"))):
        lines = chain("a", "b", "c", "d") | {"edges": [{"from": "c", "to": "d"}]}
        await api.post("/workflows", {"tag": tag, "workflow": lines})
        value = dict(zip(("from", "to"), edge, strict=True))
        await patched(api, tag, {"op": "add", "path": "/edges/-", "value": value})
    assert (await merge(api, "main", "side")).status_code == 422
    merged = await api.post("/workflows/main/merge", {"from": "side"}, params=LENIENT)
    assert rules(merged.json()["result"]["warnings"]) == ["cycle"]


async def test_every_change_warns_of_a_node_without_edges(api: Api) -> None:
    base = await branches(api)
    assert "warnings" not in base
    patched_ = await patched(api, "main", LONELY)
    found = patched_["warnings"]
    assert [(each["pointer"], each["rule"]) for each in found] == [("/nodes/2", "unconnected-node")]
    await patched(api, "side", *add_node("c", "b"))
    merged = (await merge(api, "main", "side")).json()["result"]
    picked = (await api.post("/workflows/side/cherry-pick", {"version": "main@2"})).json()
    reverted = (await api.post("/workflows/side/revert", {"version": "side@2"})).json()
    operations = [
        {"op": "create_workflow", "tag": "new", "workflow": await document(api, "main")},
        {"op": "patch", "tag": "side", "patch": [timeout(5)]},
        {"op": "create", "tag": "copy", "from": "main"},
    ]
    ran = (await api.post("/transactions", {"operations": operations})).json()["results"]
    for each in (merged, picked, reverted, *ran[:2]):
        assert rules(each["warnings"]) == ["unconnected-node"]
    assert ran[0]["warnings"][0]["pointer"].startswith("/operations/0/workflow/nodes/")
    assert "warnings" not in ran[2]


async def test_a_transaction_may_be_judged_leniently(api: Api) -> None:
    await api.post("/workflows", {"tag": "main", "workflow": CYCLE}, params=LENIENT)
    operations = [
        {"op": "create_workflow", "tag": "new", "workflow": CYCLE},
        {"op": "patch", "tag": "main", "patch": [timeout(5)]},
    ]
    body = {"operations": operations}
    assert (await api.post("/transactions", body)).status_code == 422
    ran = await api.post("/transactions", body, params=LENIENT)
    assert [rules(each["warnings"]) for each in ran.json()["results"]] == [SENSELESS, SENSELESS]
