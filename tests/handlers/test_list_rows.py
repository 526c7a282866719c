"""Lists that look at few rows: pages end early, and are together what is asked for."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.handlers.http.edge import Edge
from orchestrator.service import tag_search
from tests.api import Api
from tests.conftest import TOKEN

#: Since this time there are moves; before it there are none.
LONG_AGO = "2020-01-01"


@pytest.fixture
async def filled(make_app: Callable[..., Edge]) -> AsyncIterator[Api]:
    """Tags that were moved, deleted, restored, and moved together; models and annotations."""
    async with Api.on(make_app(), TOKEN) as api:
        for tag, node in (("a/1", "x"), ("b", "x"), ("a/1", "y"), ("a/2", "y"), ("c", "z")):
            await api.create(tag, node, message=f"{tag} {node}")
        for number in range(3):
            model = {
                "kind": "model",
                "name": f"m{number}",
                "meta": {"n": number % 2},
                "tag": f"m/{number % 2}",
            }
            assert (await api.post("/artifacts", model)).status_code == 201
        await api.delete("/tags/a%2F1")
        await api.delete("/tags/b")
        await api.post("/tags/b/undo")
        operations = [{"op": "create", "tag": f"t{n}", "from": "c"} for n in range(3)]
        for _ in range(2):
            done = await api.post("/transactions", {"operations": operations})
            await api.post(f"/transactions/{done.json()['transaction_id']}/revert")
        yield api


def questions(between: str) -> dict[str, list[dict[str, object]]]:
    """By list, what may be asked; `between` is a time in the middle."""
    of_tags: list[dict[str, object]] = [
        {},
        {"prefix": "a/"},
        {"prefix": "m", "moved_by": "admin"},
        {"moved_by": "admin"},
        {"since": between},
        {"until": between, "moved_by": "nobody"},
        {"since": LONG_AGO, "until": "9999-12-31", "prefix": "b"},
        {"at": between, "kind": "dag_version"},
        {"at": LONG_AGO},
    ]
    of_artifacts: list[dict[str, object]] = [
        {},
        {"kind": "model", "created_by": "admin"},
        {"prefix": "m", "meta.n": "0"},
        {"meta.n": "0", "kind": "dag_version"},
        {"until": between},
    ]
    return {
        "tags": [
            *of_tags,
            {"kind": "model"},
            {"deleted": True},
            {"deleted": True, "at": between},
        ],
        "workflows": of_tags,
        "moves": [
            *(each for each in of_tags if "at" not in each),
            {"kind": "model"},
            {"kind": "model", "prefix": "m/1"},
            {"moved_by": "admin", "prefix": "a/1", "since": LONG_AGO},
        ],
        "artifacts": of_artifacts,
        "transactions": [{}, {"made_by": "admin"}],
    }


async def listed(api: Api, where: str, **asked: object) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 2, **asked, **({"cursor": cursor} if cursor else {})}
        page = await api.get(f"/{where}?{urlencode(query)}")
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        cursor = page.json()["next"]
    return items


@pytest.mark.parametrize(("rows_max", "rare_max"), [(2, 0), (1, 1_000)])
async def test_pages_that_end_early_are_together_the_whole_list(
    filled: Api,
    make_app: Callable[..., Edge],
    monkeypatch: pytest.MonkeyPatch,
    rows_max: int,
    rare_max: int,
) -> None:
    moves = await listed(filled, "moves")
    asked = questions(moves[len(moves) // 2]["moved_at"])
    whole = {
        (where, urlencode(query)): await listed(filled, where, **query)
        for where, queries in asked.items()
        for query in queries
    }
    assert sum(map(bool, whole.values())) > len(whole) / 2
    monkeypatch.setattr(tag_search, "RARE_MAX", rare_max)
    monkeypatch.setattr(tag_search, "RARE_KIND_MAX", rare_max)
    async with Api.on(make_app(list_rows_max=rows_max), TOKEN) as api:
        for where, queries in asked.items():
            for query in queries:
                found = await listed(api, where, **query)
                assert found == whole[where, urlencode(query)], (where, query)


async def test_what_is_too_much_to_count_is_counted_in_part(
    filled: Api, make_app: Callable[..., Edge]
) -> None:
    async def counts(api: Api, where: str, **asked: object) -> tuple[Any, Any]:
        page = (await api.get(f"/{where}?{urlencode({'total': 'true', **asked})}")).json()
        return page.get("total"), page.get("total_at_least")

    found = await listed(filled, "moves")
    asked = questions(found[len(found) // 2]["moved_at"])
    for where, queries in asked.items():
        for query in queries:
            number = len(await listed(filled, where, **query))
            assert await counts(filled, where, **query) == (number, None), (where, query)
    async with Api.on(make_app(list_rows_max=2), TOKEN) as api:
        for where in asked:
            assert await counts(api, where) == (None, 1 if where in {"tags", "workflows"} else 2), (
                where
            )
        assert await counts(api, "tags", kind="model") == (2, None)
        assert await counts(api, "moves", kind="model") == (3, None)
        assert await counts(api, "moves", prefix="m") == (3, None)
        assert await counts(api, "moves", prefix="m", since=LONG_AGO) == (None, 0)
        assert await counts(api, "artifacts", kind="dag_version", created_by="x") == (0, None)
