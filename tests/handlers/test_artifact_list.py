"""Lists of artifacts: every filter against what it should let through, page by page."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from orchestrator.handlers.http.paging import encoded
from tests.api import Api
from tests.handlers.artifacts import create

SOME = {"some": "thing"}


async def listed(api: Api, limit: int = 2, **filters: str) -> list[str]:
    """The names of what a list shows, in its order."""
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {**filters, "limit": str(limit), **({"cursor": cursor} if cursor else {})}
        page = await api.get(f"/artifacts?{urlencode(query)}")
        assert page.status_code == 200, page.text
        assert len(page.json()["items"]) <= limit
        names += [each["name"] for each in page.json()["items"]]
        cursor = page.json()["next"]
    return names


async def test_artifacts_are_listed_by_kind_name_and_beginning_of_a_name(api: Api) -> None:
    for kind, name in (("model", "b/2"), ("model", "a"), ("scan", "b/1"), ("model", "b/10")):
        await create(api, kind=kind, name=name, meta=SOME)
    await create(api, kind="scan", name="a", meta={"n": 1})
    assert await listed(api) == ["a", "b/10", "b/1", "a", "b/2"]
    assert await listed(api, kind="model") == ["b/10", "a", "b/2"]
    assert await listed(api, name="a") == ["a", "a"]
    assert await listed(api, name="a", kind="scan") == ["a"]
    assert await listed(api, prefix="b/") == ["b/1", "b/10", "b/2"]
    assert await listed(api, prefix="b/1", kind="scan") == ["b/1"]
    assert await listed(api, prefix="c") == []
    assert await listed(api, created_by="admin", kind="scan") == ["a", "b/1"]
    assert await listed(api, created_by="ann") == []


async def test_a_beginning_of_a_name_is_compared_by_code_points(api: Api) -> None:
    names = ["é", "é1", "z", "\U0010ffff", "\U0010ffffx", "\ud7ff", "\ue000", "A", "a"]
    for name in names:
        await create(api, name=name, meta=SOME)
    assert await listed(api, prefix="") == sorted(names)
    for prefix in names:
        expected = sorted(name for name in names if name.startswith(prefix))
        assert await listed(api, prefix=prefix) == expected


async def test_artifacts_are_listed_by_time(api: Api) -> None:
    made = [await create(api, name=name, meta=SOME) for name in "abc"]
    times = [datetime.fromisoformat(each["created_at"]) for each in made]
    at = [each.isoformat().replace("+00:00", "Z") for each in times]
    later = (times[1] + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    assert await listed(api, since=at[1]) == ["c", "b"]
    assert await listed(api, since=later) == ["c"]
    assert await listed(api, until=at[1]) == ["a"]
    assert await listed(api, since=at[1], until=later) == ["b"]
    assert await listed(api, since="1970-01-01T00:00:00Z", until="9999-12-31T23:59:59Z") == [
        "c",
        "b",
        "a",
    ]
    assert await listed(api, since="-1h", until="9999-12-31") == ["c", "b", "a"]
    assert await listed(api, until="-1h") == []


META: list[dict[str, Any]] = [
    {"stage": "prod", "n": 5},
    {"stage": "prod", "n": "5"},
    {"stage": "test", "n": 5.5, "ok": True},
    {"n": None, "ok": "true", "stage": ["prod"]},
    {"a.b": "dotted", "": "empty", "n": {"n": 5}, "stage": ""},
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"meta.stage": "prod"}, [1, 0]),
        ({"meta.n": "5"}, [1, 0]),
        ({"meta.n": "5.0"}, [0]),
        ({"meta.n": "5.5"}, [2]),
        ({"meta.n": "null"}, [3]),
        ({"meta.ok": "true"}, [3, 2]),
        ({"meta.stage": ""}, [4]),
        ({"meta.a.b": "dotted"}, [4]),
        ({"meta.": "empty"}, [4]),
        ({"meta.stage": "prod", "meta.n": "5"}, [1, 0]),
        ({"meta.stage": "prod", "meta.ok": "true"}, []),
        ({"meta.stage": "prod", "kind": "scan"}, []),
        ({"meta.stage": "prod", "prefix": "1"}, [1]),
        ({"meta.n": "{"}, []),
        ({"meta.nothing": "x"}, []),
    ],
)
async def test_a_member_of_meta_is_compared_as_text_and_as_json(
    api: Api, asked: dict[str, str], found: list[int]
) -> None:
    for at, meta in enumerate(META):
        await create(api, name=str(at), meta=meta)
    assert await listed(api, limit=1, **asked) == [str(at) for at in found]


@pytest.mark.parametrize(
    "query",
    [
        "kind=Model",
        "since=yesterday",
        "until=2026-13-01",
        "metadata.a=1",
        "meta.a=1&meta.a=2",
        "&".join(f"meta.{n}=1" for n in range(11)),
        "prefix=a&cursor=W10",
        "prefix=a&cursor=" + encoded(("\0", UUID(int=0))),
        "name=%00",
        "prefix=%00",
        "created_by=%00",
    ],
)
async def test_a_question_that_cannot_be_read_is_400(api: Api, query: str) -> None:
    assert (await api.get(f"/artifacts?{query}")).status_code == 400
