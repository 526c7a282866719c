"""What holds for every request: authentication, hosts, origins, ids, deadlines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from orchestrator.core.threads import Threads
from orchestrator.handlers.http.edge import PUBLIC_PATHS, Edge
from orchestrator.handlers.http.encoding import Encodings
from orchestrator.handlers.http.fast_path import FastPath
from orchestrator.handlers.http.origin import Origins
from orchestrator.handlers.http.paths import Paths
from orchestrator.handlers.http.request_body import BodyLimits
from orchestrator.routes.openapi_document import WORDED
from tests.api import API, Api
from tests.conftest import TOKEN, logged, settings_for

#: What the test does not come to.
NOTHING: Any = None


def routes() -> list[tuple[str, str]]:
    from orchestrator.app import create_app  # noqa: PLC0415

    inner = create_app(settings_for("postgresql://nowhere/x")).app
    assert isinstance(inner, Litestar)
    # The framework keeps them in sets; processes that share the tests must agree on an order.
    return sorted(
        (method, handler.opt.get(WORDED, route.path_format))
        for route in inner.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
    )


ROUTES = routes()


def test_the_public_routes_exist_and_are_few() -> None:
    assert {path for _, path in ROUTES} >= PUBLIC_PATHS
    assert len(PUBLIC_PATHS) == 7


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_needs_a_token_unless_it_is_listed_as_public(
    api: Api, method: str, path: str
) -> None:
    path = path.replace("{", "").replace("}", "")
    response = await api.http.request(method, path, headers={"Authorization": ""})
    if path in PUBLIC_PATHS:
        assert response.status_code not in {401, 403}
    else:
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "authorization",
    [
        *("", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", TOKEN, "Bearer é"),
        *(f"Bearer {TOKEN}{end}" for end in ("x", "=", "\xa0", "\x85", "\x1c", " x", ", Bearer")),
        *(f"Bearer{space}{TOKEN}" for space in ("\t", " \xa0", "\xa0")),
    ],
)
async def test_anything_but_the_token_is_401(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    response = await api.get("/tags", headers=headers)
    assert response.status_code == 401
    assert response.json()["error"] == "not authenticated"


async def test_an_unknown_path_tells_nothing_without_a_token(api: Api) -> None:
    response = await api.http.get("/nope", headers={"Authorization": ""})
    assert response.status_code == 401
    assert (await api.http.get("/nope")).status_code == 404


async def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    response = await api.get("/tags", headers={"Authorization": f"bearer {TOKEN}"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("test", 200), ("test:8080", 200), ("TEST", 200), ("evil.example", 403), ("test.evil", 403)],
)
async def test_a_request_for_another_host_is_refused(api: Api, host: str, status: int) -> None:
    for path in ("/api/v1/tags", "/health"):
        assert (await api.http.get(path, headers={"Host": host})).status_code == status


async def test_any_host_is_served_when_none_is_listed(make_app: Callable[..., Edge]) -> None:
    async with Api.on(make_app(allowed_hosts=()), TOKEN) as api:
        assert (await api.get("/tags", headers={"Host": "any.example"})).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://test", 200),
        ("https://friend.example", 200),
        ("https://test", 403),
        ("http://evil.example", 403),
        ("null", 403),
    ],
)
async def test_a_page_of_another_origin_is_refused(
    make_app: Callable[..., Edge], origin: str, status: int
) -> None:
    async with Api.on(make_app(allowed_origins=("https://friend.example",)), TOKEN) as api:
        assert (await api.get("/tags", headers={"Origin": origin})).status_code == status


async def test_no_answer_can_be_framed_or_names_the_server(api: Api) -> None:
    for path in ("/schema", "/schema/openapi.json", "/health/live", f"{API}/tags", "/nowhere"):
        headers = (await api.http.get(path)).headers
        assert "frame-ancestors 'none'" in headers.get_list("content-security-policy")
        assert "server" not in headers


async def test_what_may_change_is_asked_for_again(api: Api) -> None:
    await api.create("main", "a")
    for path in ("/schema", "/schema/openapi.json", "/", "/health", f"{API}/nowhere"):
        assert (await api.http.get(path)).headers["cache-control"] == "no-cache"
    found = await api.get("/workflows/main")
    assert found.headers["cache-control"] == "no-cache"
    same = await api.get("/workflows/main", headers={"If-None-Match": found.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (304, "no-cache")
    blob = await api.get(f"/cas/{found.json()['cas_id']}")
    assert blob.headers.get_list("cache-control") == ["private, max-age=31536000, immutable"]


async def test_a_correlation_id_is_accepted_returned_and_in_every_line(
    capfdbinary: pytest.CaptureFixture[bytes], api: Api
) -> None:
    response = await api.post(
        "/workflows",
        {"tag": "main", "workflow": {"nodes": [{"id": "secret-node", "type": "t"}]}},
        headers={"X-Correlation-ID": "job-7/x"},
    )
    assert response.headers["x-correlation-id"] == "job-7/x"
    lines = [json.loads(line) for line in logged(capfdbinary).splitlines()]
    assert {line["correlation_id"] for line in lines} == {"job-7/x"}
    assert [line["message"] for line in lines] == [
        "stored content",
        "created DAG version artifact",
        "created tag",
        "request",
    ]
    assert all("timestamp" in line and line["level"] == "info" for line in lines)
    text = json.dumps(lines)
    assert "secret-node" not in text
    assert TOKEN not in text
    assert "INSERT" not in text


@pytest.mark.parametrize("given", [None, "has space", "x" * 129, 'quo"te', "é"])
async def test_without_a_harmless_correlation_id_one_is_made(api: Api, given: str | None) -> None:
    headers = {} if given is None else {"X-Correlation-ID": given.encode()}
    made = (await api.get("/tags", headers=headers)).headers["x-correlation-id"]
    assert len(made) == 32
    assert made.isalnum()


async def test_a_request_id_serves_as_correlation_id(api: Api) -> None:
    response = await api.get("/tags", headers={"X-Request-ID": "r-1"})
    assert response.headers["x-correlation-id"] == "r-1"


async def test_a_refused_request_has_a_correlation_id_too(api: Api) -> None:
    response = await api.get("/tags", headers={"Authorization": ""})
    assert response.headers["x-correlation-id"]


async def test_the_access_log_can_be_switched_off(
    make_app: Callable[..., Edge], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with Api.on(make_app(access_log=False), TOKEN) as api:
        await api.get("/tags")
    assert logged(capfdbinary) == b""


async def test_a_body_that_does_not_arrive_is_408(make_app: Callable[..., Edge]) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    async with Api.on(make_app(body_seconds_max=0.05), TOKEN) as api:
        for path, kind in (("workflows", "application/json"), ("cas", "text/plain")):
            response = await api.http.post(
                f"/api/v1/{path}", content=stalling(), headers={"Content-Type": kind}
            )
            assert response.status_code == 408
            assert response.headers["connection"] == "close"
            assert response.json()["deadline_seconds"] == 0.05


async def test_a_path_is_routed_as_it_was_sent(api: Api) -> None:
    assert (await api.get("/tags/a%2Fhistory")).json()["error"] == "tag not found"
    unencoded = await api.get("/tags/a/b")
    assert unencoded.status_code == 404
    assert "%2F" in unencoded.json()["detail"]


async def test_a_method_that_a_route_does_not_have_is_405(api: Api) -> None:
    response = await api.http.request("PATCH", "/api/v1/cas")
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert response.headers["content-type"] == "application/problem+json"


async def test_every_request_has_one_host(api: Api) -> None:
    for path in ("/health", "/api/v1/tags", "/api/v1/workflows/main"):
        for hosts in ([b""], [b"test", b"test"], [b"a b"], [b"me@test"], [b"test:65536"]):
            headers = [(b"Host", host) for host in hosts]
            assert (await api.http.get(path, headers=headers)).status_code == 400


async def test_a_body_in_a_coding_that_is_not_known_is_refused(api: Api) -> None:
    for path in ("/api/v1/cas", "/api/v1/cas/missing"):
        for given, status in (("gzip, chunked", 501), ("chunked, chunked", 400)):
            headers = {"Transfer-Encoding": given}
            response = await api.http.post(path, content=b"x", headers=headers)
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"
            # Nobody knows where that body ends and the next request begins.
            assert response.headers["connection"] == "close"


async def test_other_protocols_are_passed_on_untouched() -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    edge = Edge(
        inner,
        NOTHING,
        fast_path=FastPath([]),
        paths=Paths([]),
        admission=NOTHING,
        origins=Origins(allowed_hosts=(), allowed_origins=()),
        body_limits=BodyLimits(
            window_seconds=1,
            window_bytes_min=1,
            total_seconds_max=1,
            refused_bytes_max=1,
            refused_seconds_max=1,
        ),
        encodings=Encodings(Threads(1, name="test"), bytes_min=0, cache_bytes_max=0),
        send_seconds_max=1,
        access_log=True,
    )
    scope: Any = {"type": "lifespan"}
    await edge(scope, NOTHING, NOTHING)
    assert seen == [scope]
