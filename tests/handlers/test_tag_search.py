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
        "transaction_id": None,
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
    first = (await listed(api, "moves"))[0]
    together = await moves(api, transaction_id=first["transaction_id"])
    assert sorted(together) == [(tag, 1) for tag in names]
    assert await moves(api, transaction_id=first["to_id"]) == []
    assert await moves(api, transaction_id=first["transaction_id"], prefix="t3") == [("t3", 1)]
    assert (await api.get("/moves?transaction_id=x")).status_code == 400


async def test_the_moves_of_another_namespace_are_not_shown(api: Api) -> None:
    await api.create("main", "a")
    assert await listed(api, "moves", namespace="elsewhere") == []


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=-2", "prefix=%00", "moved_by=%00", "cursor=W10", "limit=0"]
)
async def test_a_question_about_moves_that_cannot_be_read_is_400(api: Api, query: str) -> None:
    assert (await api.get(f"/moves?{query}")).status_code == 400


@pytest.mark.parametrize("where", ["tags", "moves", "workflows"])
async def test_a_beginning_that_is_longer_than_any_name_is_refused_by_its_name(
    api: Api, where: str
) -> None:
    assert (await api.get(f"/{where}?prefix={'a' * 200}")).status_code == 200
    refused = await api.get(f"/{where}?prefix={'a' * 201}")
    assert refused.status_code == 400
    assert "200" in refused.json()["detail"]
    assert refused.json()["errors"][0]["pointer"] == "/prefix"


async def test_a_move_is_found_by_the_version_of_its_tag(api: Api) -> None:
    await some_moves(api)
    for name, version in ALL[1:]:
        assert (await api.get(f"/tags/{path(name)}?version={version}")).status_code == 200


async def tags(api: Api, where: str = "tags", **asked: object) -> list[tuple[str, int]]:
    """Names and versions; a list of workflows has other words for them."""
    name, version = ("name", "version") if where == "tags" else ("tag", "tag_version")
    return [(each[name], each[version]) for each in await listed(api, where, **asked)]


async def test_tags_are_listed_by_beginning_person_time_and_kind(api: Api) -> None:
    times = await some_moves(api)
    model = {"kind": "model", "name": "m", "meta": {"a": 1}, "tag": "model/1"}
    assert (await api.post("/artifacts", model)).status_code == 201
    assert await tags(api) == [("a/2", 1), ("b", 1), ("model/1", 1)]
    assert await tags(api, where="workflows") == [("a/2", 1), ("b", 1)]
    assert await tags(api, kind="model") == [("model/1", 1)]
    assert await tags(api, kind="dag_version", prefix="a") == [("a/2", 1)]
    assert await tags(api, where="workflows", kind="model") == []
    assert await tags(api, deleted=True) == [("a/1", 3)]
    for where in ("tags", "workflows"):
        assert await tags(api, where=where, prefix="b") == [("b", 1)]
        assert await tags(api, where=where, prefix="B") == []
        assert await tags(api, where=where, since=times[3], prefix="a") == [("a/2", 1)]
        assert await tags(api, where=where, until=times[3]) == [("b", 1)]
        assert await tags(api, where=where, moved_by="ann") == []
        assert await tags(api, where=where, moved_by="admin", prefix="a") == [("a/2", 1)]


async def test_a_beginning_is_exact_whatever_follows_it(api: Api) -> None:
    names = ["a", "a-b", "a.b", "a/b", "a_b", "aZ", "az", "A", "b"]
    artifact_id = (await api.create("source", "s"))["artifact_id"]
    operations = [{"op": "create", "tag": tag, "artifact_id": artifact_id} for tag in names]
    assert (await api.post("/transactions", {"operations": operations})).status_code == 200
    for prefix in ("a", "a-", "a.", "a/", "a_", "A", "a/b", "c", ""):
        found = {name for name, _ in await tags(api, prefix=prefix)} - {"source"}
        assert found == {name for name in names if name.startswith(prefix)}


async def test_a_list_says_how_many_there_are_if_it_is_asked(api: Api) -> None:
    times = await some_moves(api)
    for where in ("tags", "workflows"):
        assert "total" not in (await api.get(f"/{where}")).json()
        page = (await api.get(f"/{where}?total=true&limit=1")).json()
        assert (len(page["items"]), page["total"]) == (1, 2)
        rest = (await api.get(f"/{where}?total=true&limit=1&cursor={page['next']}")).json()
        assert (len(rest["items"]), rest["total"], rest["next"]) == (1, 2, None)
        past = {"total": "true", "limit": 1, "at": times[3]}
        assert (await api.get(f"/{where}?{urlencode(past)}")).json()["total"] == 3
        assert (await api.get(f"/{where}?total=true&prefix=b")).json()["total"] == 1


async def test_the_tags_of_a_namespace_are_listed_as_they_were(api: Api) -> None:
    times = await some_moves(api)
    await api.create("a/1", "z")
    assert await tags(api) == [("a/1", 4), ("a/2", 1), ("b", 1)]
    expected = [
        [("a/1", 1)],
        [("a/1", 1), ("b", 1)],
        [("a/1", 2), ("b", 1)],
        [("a/1", 2), ("a/2", 1), ("b", 1)],
        [("a/2", 1), ("b", 1)],
    ]
    for at, there in zip(times, expected, strict=True):
        for where in ("tags", "workflows"):
            assert await tags(api, where=where, at=at) == there
            assert await tags(api, where=where, at=at, limit=1) == there
    assert await tags(api, at=times[4], deleted=True) == [("a/1", 3)]
    assert await tags(api, at="-1h") == []
    (then,) = await listed(api, "tags", at=times[2], prefix="a/1")
    version = (await api.get("/tags/a%2F1?version=2")).json()
    assert then == version


async def test_the_past_of_a_tag_that_moved_often_is_found(api: Api) -> None:
    for number in range(40):
        await api.create("main", f"n{number % 3}")
    history = await listed(api, "tags/main/history", limit=100)
    for move in history:
        assert await tags(api, at=move["moved_at"]) == [("main", move["version"])]


async def test_the_history_of_a_tag_says_what_each_move_led_to(api: Api) -> None:
    await some_moves(api)
    deleted, moved, created = await listed(api, "tags/a%2F1/history", limit=10)
    for move in (moved, created):
        past = (await api.get(f"/tags/a%2F1?version={move['version']}")).json()
        assert move["seq"] == move["version"]
        assert (move["kind"], move["version_hash"]) == (past["kind"], past["version_hash"])
    assert (deleted["kind"], deleted["version_hash"], deleted["to_id"]) == (None, None, None)


@pytest.mark.parametrize("where", ["tags", "workflows"])
@pytest.mark.parametrize("query", ["at=soon", "since=1", "kind=Model", "prefix=%00", "total=2"])
async def test_a_question_about_tags_that_cannot_be_read_is_400(
    api: Api, where: str, query: str
) -> None:
    assert (await api.get(f"/{where}?{query}")).status_code == 400


async def test_a_tag_says_where_undo_and_redo_lead(api: Api) -> None:
    made = [
        (await api.create("main", node, message=f"add {node}"))["artifact_id"] for node in "abc"
    ]

    def to(version: int) -> dict[str, Any]:
        message = f"add {'abc'[version - 1]}"
        return {"version": version, "artifact_id": made[version - 1], "message": message}

    async def stands() -> tuple[Any, Any, Any]:
        tag = (await api.get("/tags/main")).json()
        return tag["cursor"], tag.get("undo_to"), tag.get("redo_to")

    assert await stands() == (3, to(2), None)
    await api.post("/tags/main/undo")
    assert await stands() == (2, to(1), to(3))
    await api.post("/tags/main/undo")
    assert await stands() == (1, None, to(2))
    await api.post("/tags/main/redo")
    assert await stands() == (2, to(1), to(3))
    past = (await api.get("/tags/main?version=2")).json()
    assert past["cursor"] == 2
    assert not {"undo_to", "redo_to"} & past.keys()


async def test_every_answer_about_a_tag_says_where_it_stands(api: Api) -> None:
    ids = [(await api.create("main", node))["artifact_id"] for node in "abc"]
    cursors = [1, 2, 3]
    for step in ("undo", "undo", "redo", "delete", "undo", "redo", "redo", "move"):
        if step == "delete":
            answer = await api.delete("/tags/main")
        else:
            body = {"artifact_id": ids[0]} if step == "move" else None
            answer = await api.post(f"/tags/main/{step}", body)
        cursors += [answer.json()["cursor"]] if answer.status_code == 200 else []
    assert cursors == [1, 2, 3, 2, 1, 2, 2, 2, 3, 10]
    history = await listed(api, "tags/main/history")
    assert [each["cursor"] for each in reversed(history)] == cursors
    for move in history:
        if move["action"] != "delete":
            past = (await api.get(f"/tags/main?version={move['version']}")).json()
            then = await listed(api, "tags", at=move["moved_at"])
            assert [past["cursor"]] == [each["cursor"] for each in then] == [move["cursor"]]
    assert [each["cursor"] for each in await listed(api, "tags")] == [10]


async def test_a_tag_and_a_list_say_in_which_transaction_it_moved_last(api: Api) -> None:
    made = (await api.create("main", "a"))["artifact_id"]
    operations = [{"op": "create", "tag": tag, "artifact_id": made} for tag in ("x", "y")]
    done = (await api.post("/transactions", {"operations": operations})).json()
    items = await listed(api, "tags")
    wanted = [None, done["transaction_id"], done["transaction_id"]]
    assert [each["transaction_id"] for each in items] == wanted
    for item in items:
        details = (await api.get(f"/tags/{item['name']}")).json()
        assert {**details, **item} == details
        assert (await api.get(f"/tags/{item['name']}?version=1")).json() == item
    reverted = (await api.post(f"/transactions/{done['transaction_id']}/revert")).json()
    (x, y) = reverted["results"]
    assert (x["cursor"], y["cursor"]) == (None, None)
    deleted = await listed(api, "tags", deleted=True)
    assert [(each["cursor"], each["transaction_id"]) for each in deleted] == [
        (None, reverted["transaction_id"])
    ] * 2
