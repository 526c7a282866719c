"""Merges whose sides have several common ancestors, over HTTP: after criss-cross merges."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api
from tests.conftest import TOKEN
from tests.handlers.patching import document, patched
from tests.handlers.test_merge import merge

BASE: Any = {"nodes": [{"id": "a", "type": "t", "timeout_ms": 1}], "m": {"z": 0}}


def put(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


async def crossed(
    api: Api, ours: dict[str, Any], theirs: dict[str, Any], **members: Any
) -> list[str]:
    """Main and side after a change each, merged into each other; the changes are the two bases."""
    await api.post("/workflows", {"tag": "main", "workflow": BASE})
    await api.put("/tags/side", {"from": "main"})
    bases = [await patched(api, "main", ours), await patched(api, "side", theirs)]
    for tag, other in (("main", bases[1]), ("side", bases[0])):
        response = await merge(api, tag, other["artifact_id"], **members)
        assert response.status_code == 200, response.text
    return [base["artifact_id"] for base in bases]


async def test_what_one_side_took_back_since_the_bases_stays_taken_back(api: Api) -> None:
    bases = await crossed(api, put("/nodes/0/timeout_ms", 2), put("/m/z", 1))
    await patched(api, "main", put("/nodes/0/timeout_ms", 1))
    await patched(api, "side", put("/m/y", 5))
    for tag, other in (("main", "side"), ("side", "main@4")):
        body = (await merge(api, tag, other, dry_run=True)).json()
        assert body["base_id"] is None
        assert sorted(body["base_ids"]) == sorted(bases)
    assert (await merge(api, "main", "side")).json()["outcome"] == "merged"
    merged = await document(api, "main")
    assert (merged["nodes"][0]["timeout_ms"], merged["m"]) == (1, {"y": 5, "z": 1})


async def test_a_change_that_both_bases_made_stays(api: Api) -> None:
    await crossed(api, put("/v", "xyz"), put("/v", "xyz"))
    await patched(api, "side", put("/x", 1))
    await patched(api, "main", put("/y", 1))
    await merge(api, "main", "side")
    merged = await document(api, "main")
    assert (merged["v"], merged["x"], merged["y"]) == ("xyz", 1, 1)


@pytest.mark.parametrize(
    ("ours", "theirs", "pointer"),
    [
        (put("/v", 1), put("/v", 2), "/v"),
        (put("/nodes/0/type", "x"), put("/nodes/0/type", "y"), "/nodes/a/type"),
        (put("/m", {"k": {"v": 1}}), put("/m", {"k": {"v": 2}}), "/m/k/v"),
    ],
)
async def test_where_the_bases_are_in_conflict_the_decisions_of_both_sides_are_one_too(
    api: Api, ours: Any, theirs: Any, pointer: str
) -> None:
    """Each side preferred its own when they were merged, and nothing says which came first."""
    await crossed(api, ours, theirs, prefer="ours")
    await patched(api, "main", put("/x", 1))
    await patched(api, "side", put("/y", 1))
    refused = await merge(api, "main", "side")
    assert refused.status_code == 409
    (conflict,) = refused.json()["conflicts"]
    assert (conflict["pointer"], conflict["reason"]) == (pointer, "bases-differ")
    assert conflict["base"] == {"present": False}
    settled = await merge(api, "main", "side", resolutions={pointer: "theirs"})
    assert settled.status_code == 200, settled.text


async def test_where_the_bases_are_in_conflict_and_the_sides_agree_there_is_none(api: Api) -> None:
    await crossed(api, put("/v", 1), put("/v", 2), prefer="ours")
    await patched(api, "side", put("/v", 3))
    await patched(api, "main", put("/v", 3), put("/x", 1))
    assert (await merge(api, "main", "side")).status_code == 200
    assert (await document(api, "main"))["v"] == 3


async def test_bases_that_have_several_bases_themselves_are_merged_in_turn(api: Api) -> None:
    await crossed(api, put("/v", 1), put("/m/z", 1))
    for number in range(3):
        ours = await patched(api, "main", put("/m/ours", number))
        theirs = await patched(api, "side", put("/m/theirs", number))
        assert (await merge(api, "main", theirs["artifact_id"])).status_code == 200
        assert (await merge(api, "side", ours["artifact_id"])).status_code == 200
    await patched(api, "main", put("/m/z", 0))
    await patched(api, "side", put("/w", 1))
    body = (await merge(api, "main", "side")).json()
    assert (body["outcome"], len(body["base_ids"])) == ("merged", 2)
    merged = await document(api, "main")
    assert merged["m"] == {"z": 0, "ours": 2, "theirs": 2}
    assert (merged["v"], merged["w"]) == (1, 1)


@pytest.mark.parametrize(
    "limit",
    [
        {"merge_base_steps_max": 0},
        {"merge_base_bytes_max": 0},
        {"merge_bases_max": 2},
        {"merge_history_versions_max": 1},
        {"merge_history_branches_max": 1},
    ],
)
async def test_more_bases_than_may_be_merged_are_listed(
    make_app: Callable[..., Edge], limit: dict[str, int]
) -> None:
    async with Api.on(make_app(**limit), TOKEN) as api:
        bases = await crossed(api, put("/v", 1), put("/m/z", 1))
        await patched(api, "main", put("/x", 1))
        await patched(api, "side", put("/y", 1))
        refused = await merge(api, "main", "side")
        assert (refused.status_code, refused.json()["type"]) == (
            409,
            "urn:orchestrator:problem:several-bases",
        )
        assert sorted(refused.json()["bases"]) == sorted(bases)
        assert (await merge(api, "main", "side", base=bases[0])).status_code == 200


async def test_the_bases_may_have_nothing_in_common(api: Api) -> None:
    """Two workflows that were merged with a base that was named, each into the other."""
    await api.post("/workflows", {"tag": "main", "workflow": {**BASE, "v": 1}})
    await api.post("/workflows", {"tag": "side", "workflow": {**BASE, "v": 2}})
    await api.post("/workflows", {"tag": "empty", "workflow": BASE})
    await merge(api, "main", "side@1", base="empty", prefer="ours")
    await merge(api, "side", "main@1", base="empty", prefer="ours")
    await patched(api, "main", put("/m/z", 1))
    await patched(api, "side", put("/x", 1))
    body = (await merge(api, "main", "side")).json()
    assert {each["pointer"]: each["reason"] for each in body["conflicts"]} == {
        "/v": "bases-differ",
    }
    assert (await merge(api, "main", "side", prefer="theirs")).status_code == 200
    merged = await document(api, "main")
    assert (merged["v"], merged["x"], merged["m"]) == (2, 1, {"z": 1})
