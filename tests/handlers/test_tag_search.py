"""Questions about the tags of a namespace: every filter, page by page."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.api import Api, path


async def listed(api: Api, where: str, **asked: object) -> list[dict[str, Any]]:
    """What all pages of a list show."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 2, **asked, **({"cursor": cursor} if cursor else {})}
        page = await api.get(f"/{where}?{urlencode(query)}")
        assert page.status_code == 200, page.text
        assert len(page.json()["items"]) <= int(str(query["limit"]))
        items += page.json()["items"]
        cursor = page.json()["next"]
    return items


async def moves(api: Api, **asked: object) -> list[tuple[str, int]]:
    return [(each["name"], each["version"]) for each in await listed(api, "moves", **asked)]


async def some_moves(api: Api) -> list[str]:
    """Five moves of three tags, the last one a deletion; their times, oldest first."""
    for tag, node in (("a/1", "x"), ("b", "x"), ("a/1", "y"), ("a/2", "y")):
        await api.create(tag, node, message=f"{tag} {node}")
    await api.delete("/tags/a%2F1")
    found = await listed(api, "moves")
    return [each["moved_at"] for each in reversed(found)]


ALL = [("a/1", 3), ("a/2", 1), ("a/1", 2), ("b", 1), ("a/1", 1)]


async def test_the_moves_of_a_namespace_are_listed_newest_first(api: Api, namespace: str) -> None:
    await some_moves(api)
    for limit in (1, 2, 5, 100):
        assert await moves(api, limit=limit) == ALL
    deleted, _, moved, *_ = await listed(api, "moves")
    tag = (await api.get("/tags/a%2F2")).json()
    first = (await api.get("/tags/b")).json()
    assert moved.pop("moved_at") < deleted.pop("moved_at")
    assert moved == {
        "namespace": namespace,
        "name": "a/1",
        "version": 2,
        "action": "move",
        "from_id": first["artifact_id"],
        "to_id": tag["artifact_id"],
        "kind": "dag_version",
        "version_hash": tag["version_hash"],
        "message": "a/1 y",
        "moved_by": "admin",
    }
    assert (deleted["action"], deleted["to_id"]) == ("delete", None)
    assert (deleted["kind"], deleted["version_hash"]) == (None, None)


async def test_moves_are_listed_by_tag_person_and_time(api: Api) -> None:
    times = await some_moves(api)
    assert await moves(api, prefix="a/") == [each for each in ALL if each[0] != "b"]
    assert await moves(api, prefix="a/2") == [("a/2", 1)]
    assert await moves(api, prefix="A") == []
    assert await moves(api, prefix="%") == []
    assert await moves(api, moved_by="admin") == ALL
    assert await moves(api, moved_by="ann") == []
    later = datetime.fromisoformat(times[2]) + timedelta(microseconds=1)
    assert await moves(api, since=times[2]) == ALL[:3]
    assert await moves(api, since=later.isoformat()) == ALL[:2]
    assert await moves(api, until=times[2]) == ALL[3:]
    assert await moves(api, since=times[2], until=later.isoformat()) == [ALL[2]]
    assert await moves(api, since="-1h", until="9999-12-31") == ALL
    assert await moves(api, until="-1h") == []
    assert await moves(api, since="0001-01-01", prefix="b") == [("b", 1)]


async def test_moves_that_were_made_together_are_listed_once_each(api: Api) -> None:
    artifact_id = (await api.create("main", "a"))["artifact_id"]
    names = [f"t{number}" for number in range(7)]
    operations = [{"op": "create", "tag": tag, "artifact_id": artifact_id} for tag in names]
    assert (await api.post("/transactions", {"operations": operations})).status_code == 200
    found = await moves(api, limit=2)
    assert sorted(found) == sorted([("main", 1), *((tag, 1) for tag in names)])


async def test_the_moves_of_another_namespace_are_not_shown(api: Api) -> None:
    await api.create("main", "a")
    assert await listed(api, "moves", namespace="elsewhere") == []


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=-2", "prefix=%00", "moved_by=%00", "cursor=W10", "limit=0"]
)
async def test_a_question_about_moves_that_cannot_be_read_is_400(api: Api, query: str) -> None:
    assert (await api.get(f"/moves?{query}")).status_code == 400


async def test_a_move_is_found_by_the_version_of_its_tag(api: Api) -> None:
    await some_moves(api)
    for name, version in ALL[1:]:
        assert (await api.get(f"/tags/{path(name)}?version={version}")).status_code == 200
