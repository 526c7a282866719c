"""Pages of an allowed origin can use the API; pages of others cannot, and learn nothing."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import orchestrator.handlers
from orchestrator.handlers.http.cors import ANSWER_HEADERS, METHODS, REQUEST_HEADERS
from orchestrator.handlers.http.edge import Edge
from tests.api import API, Api
from tests.conftest import TOKEN
from tests.handlers.test_openapi import DOCUMENT

FRIEND = "https://friend.example"
SOURCES = [
    path.read_text() for path in Path(str(orchestrator.handlers.__file__)).parent.rglob("*.py")
]
#: Browsers set these by themselves; a page cannot.
OF_THE_BROWSER = {"accept-encoding", "content-length", "expect", "host", "origin"}
OF_THE_BROWSER |= {"transfer-encoding"}
#: Pages may read these of every answer.
ALWAYS_READABLE = {"cache-control", "content-length", "content-type"}
#: These are for the browser and for what is between, not for a page.
NOT_FOR_PAGES = {"connection", "content-security-policy", "vary"}


@pytest.fixture
async def api(make_app: Callable[..., Edge]) -> AsyncIterator[Api]:
    async with Api.on(make_app(allowed_origins=(FRIEND,)), TOKEN) as api:
        yield api


def names(header: str) -> set[str]:
    return {each.strip().lower() for each in header.split(",")}


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,upload-offset",
        "Authorization": "",
    }


@pytest.mark.parametrize("path", ["/workflows/main", "/uploads", "/nowhere"])
async def test_a_preflight_needs_no_token(api: Api, path: str) -> None:
    answer = await api.http.options(API + path, headers=preflight(FRIEND))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-max-age"] == "7200"
    assert names(answer.headers["access-control-allow-methods"]) >= {"patch", "put", "delete"}
    assert names(answer.headers["access-control-allow-headers"]) == names(",".join(REQUEST_HEADERS))


@pytest.mark.parametrize("origin", ["https://evil.example", "http://friend.example", "null", "*"])
async def test_pages_of_other_origins_are_refused_and_cannot_read_why(
    api: Api, origin: str
) -> None:
    for answer in (
        await api.http.options(f"{API}/tags", headers=preflight(origin)),
        await api.get("/tags", headers={"Origin": origin}),
    ):
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


async def test_every_answer_to_an_allowed_page_can_be_read(api: Api) -> None:
    for path, token, status in (
        ("/api/v1/tags", TOKEN, 200),
        ("/api/v1/tags", "wrong", 401),
        ("/api/v1/workflows/none", TOKEN, 404),
        ("/api/v1/nowhere", TOKEN, 404),
        ("/schema/openapi.json", "wrong", 200),
    ):
        headers = {"Origin": FRIEND, "Authorization": f"Bearer {token}"}
        answer = await api.http.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == FRIEND
        exposed = names(answer.headers["access-control-expose-headers"])
        assert exposed == names(",".join(ANSWER_HEADERS))


async def test_an_options_that_is_no_preflight_needs_a_token(api: Api) -> None:
    headers = {"Origin": FRIEND, "Authorization": ""}
    assert (await api.http.options(f"{API}/tags", headers=headers)).status_code == 401


async def test_a_cache_keeps_answers_for_different_pages_apart(
    api: Api, make_app: Callable[..., Edge]
) -> None:
    assert (await api.get("/tags")).headers["vary"] == "Origin"
    async with Api.on(make_app(), TOKEN) as closed:
        assert "vary" not in (await closed.get("/tags")).headers


def test_every_method_of_the_api_is_allowed() -> None:
    methods = {method.upper() for path in DOCUMENT["paths"].values() for method in path}
    assert set(METHODS) >= methods


def test_every_header_that_is_read_is_allowed() -> None:
    read = {
        name.lower()
        for text in SOURCES
        for pair in re.findall(
            r'headers\.get\(\s*"([a-z-]+)"|"([a-z-]+)" (?:not )?in [\w.]*headers', text
        )
        for name in pair
        if name
    }
    described = {
        parameter["name"].lower()
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    assert len(read) > 15
    preflight_itself = {name for name in read if name.startswith("access-control-")}
    missing = (read | described) - names(",".join(REQUEST_HEADERS))
    assert missing - OF_THE_BROWSER - preflight_itself == set()


def test_every_header_that_is_sent_is_exposed() -> None:
    sent = {
        name.lower()
        for text in SOURCES
        for name in re.findall(
            r'"((?:[A-Z][A-Za-z]*-)+[A-Z][A-Za-z0-9]*|ETag|Link|Location|Allow|Vary)"(?::|\])', text
        )
    }
    assert len(sent) > 20
    cors = {name for name in sent if name.startswith("access-control-")}
    missing = sent - names(",".join(ANSWER_HEADERS))
    assert missing - ALWAYS_READABLE - NOT_FOR_PAGES - cors == set()
