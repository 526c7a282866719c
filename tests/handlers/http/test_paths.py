"""What holds for every path: HEAD, OPTIONS, 405, and one spelling."""

from collections.abc import Mapping
from time import perf_counter
from uuid import UUID, uuid4

import pytest

from orchestrator.handlers.http.edge import PUBLIC_PATHS
from orchestrator.handlers.http.paths import Declared, Paths
from tests.api import API, Api
from tests.conftest import TOKEN
from tests.handlers.http.test_edge import ROUTES

READABLE = sorted({path for method, path in ROUTES if method == "GET"} - {"/schema/{path}"})
ALL = sorted({path for _, path in ROUTES} - {"/schema/{path}"})
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
WORKFLOW = f"{API}/workflows/main"
#: A path with a word that a tag may have for its name, and the path of tags.
BESIDE = {f"{API}/workflows/validate": f"{API}/workflows/{{tag}}"}
#: What an answer has of its own, however equal the requests are.
OWN_HEADERS = {"x-correlation-id", "date"}


async def filled(api: Api, path: str) -> str:
    """The path of something that is there."""
    if "{" not in path:
        return path
    await api.create("main", "a")
    blob = await api.http.post(f"{API}/cas", content=b"x")
    transaction = await api.post("/transactions", {"operations": [{"op": "delete", "tag": "main"}]})
    created = await api.create("main", "a")
    upload = await api.http.post(
        f"{API}/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    )
    return path.format(
        tag="main",
        name="main",
        seq="0",
        node_id="a",
        transaction_id=transaction.json()["transaction_id"],
        artifact=created["artifact_id"],
        cas_id=blob.json()["cas_id"],
        upload_id=upload.headers["location"].partition("?")[0].rpartition("/")[2],
    )


def told(headers: Mapping[str, str], name: str = "allow") -> set[str]:
    return set(headers[name].split(", "))


@pytest.mark.parametrize("path", READABLE)
async def test_a_head_is_a_get_without_the_body(api: Api, path: str) -> None:
    path = await filled(api, path)
    headers = {"Tus-Resumable": "1.0.0"}
    head = await api.http.head(path, headers=headers)
    get = await api.http.get(path, headers=headers)
    assert (head.status_code, head.content) == (get.status_code, b"")
    if "/uploads/" in path or path == "/metrics":
        return  # The first has a HEAD of its own, and to ask for the second changes it.
    assert {k: v for k, v in head.headers.items() if k not in OWN_HEADERS} == {
        k: v for k, v in get.headers.items() if k not in OWN_HEADERS
    }


@pytest.mark.parametrize("path", sorted(PUBLIC_PATHS))
async def test_a_public_path_answers_a_head_without_a_token(api: Api, path: str) -> None:
    head = await api.http.head(path, headers={"Authorization": ""})
    assert head.status_code in {200, 302}


async def test_a_refused_head_has_no_body_either(api: Api) -> None:
    for path, authorization, status in (
        (f"{API}/workflows/nope", f"Bearer {TOKEN}", 404),
        ("/nowhere", f"Bearer {TOKEN}", 404),
        (f"{API}/gc", f"Bearer {TOKEN}", 405),
        (f"{API}/tags", "", 401),
    ):
        head = await api.http.head(path, headers={"Authorization": authorization})
        assert (head.status_code, head.content) == (status, b"")


async def test_a_head_keeps_its_name_in_the_metrics(api: Api) -> None:
    await api.http.head("/health/live")
    lines = (await api.http.get("/metrics")).text
    assert 'method="HEAD",route="/health/live",status="200"' in lines


@pytest.mark.parametrize("path", ALL)
async def test_options_and_the_405_tell_the_same_and_all_of_it(api: Api, path: str) -> None:
    same = {path, BESIDE.get(path)}
    known = {method for method, known in ROUTES if known in same} | {"OPTIONS"}
    known |= {"HEAD"} if "GET" in known else set()
    path = await filled(api, path)
    options = await api.http.options(path)
    assert (options.status_code, options.content) == (204, b"")
    assert told(options.headers) == known
    refused = await api.http.request("TRACE", path)
    assert refused.status_code == 405
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["allow"] == options.headers["allow"]
    assert refused.headers.get("accept-patch") == options.headers.get("accept-patch")


async def test_options_take_what_other_methods_take(api: Api) -> None:
    for path in (WORKFLOW, f"{API}/uploads", f"{API}/uploads/{uuid4()}", f"{API}/cas", "/health"):
        for query in ("?namespace=team/a", "?at=now", "?a=1&a=2"):
            assert (await api.http.options(path + query)).status_code == 204


async def test_an_upload_that_is_told_no_method_is_told_all(api: Api) -> None:
    path = await filled(api, f"{API}/uploads/{{upload_id}}")
    refused = await api.http.post(path, headers={"Tus-Resumable": "1.0.0"})
    assert refused.status_code == 405
    assert refused.headers.get_list("allow") == ["DELETE, GET, HEAD, OPTIONS, PATCH, POST"]


async def test_who_sends_another_patch_is_told_which_are_read(api: Api) -> None:
    await api.create("main", "a")
    kind = {"Content-Type": "application/xml"}
    refused = await api.http.patch(WORKFLOW, content=b"<x/>", headers=kind)
    assert refused.status_code == 415
    assert told(refused.headers, "accept-patch") == {JSON_PATCH, MERGE_PATCH}
    assert told((await api.http.options(WORKFLOW)).headers, "accept-patch") == {
        JSON_PATCH,
        MERGE_PATCH,
    }
    upload = await api.http.options(f"{API}/uploads/{uuid4()}")
    assert upload.headers["accept-patch"] == "application/offset+octet-stream"
    other = await api.http.post(f"{API}/workflows", content=b"<x/>", headers=kind)
    assert other.status_code == 415
    assert "accept-patch" not in other.headers


@pytest.mark.parametrize(
    "path",
    [
        "//health",
        "/health/",
        "/schema/",
        "/schema/x",
        f"{API}/tags/",
        "/api//v1/tags",
        f"{API}//tags",
        f"{WORKFLOW}/",
        f"{API}/workflows//main",
        f"{API}/workflows//versions",
        f"{API}/cas/",
        f"{API}/workflows/main/versions/0/",
        f"{API}/workflows/main/versions//0",
    ],
)
async def test_a_path_has_one_spelling(api: Api, path: str) -> None:
    await api.create("main", "a")
    for method in ("GET", "HEAD", "OPTIONS"):
        # As a whole address: of a path alone the client takes two slashes for a host.
        refused = await api.http.request(method, f"http://test{path}")
        assert refused.status_code == 404, method
        assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/nope", ""),
        (f"{API}/nope", ""),
        ("/schema/x", ""),
        (f"{API}/cas/missing/", "slash at its end"),
        (f"{API}/tags/a/", "slash at its end"),
        (f"{API}//tags", "empty segment"),
        (f"{API}/tags/a/b", "%2F"),
        (f"{API}/tags/a/b/history", "%2F"),
        (f"{API}/workflows/a/b/versions/0", "%2F"),
        (f"{API}/workflows/a/nope", "%2F"),
        (f"{API}/workflows/release/v1/fixed/versions", "%2F"),
        (f"{API}/workflows/a/verisons", f"There is {API}/workflows/a/versions."),
        (f"{API}/tags/a/histroy", f"There is {API}/tags/a/history."),
        (f"{API}/workflows/a/versions/0/nodes", ""),
        (f"{API}/tags/a/history/x", ""),
        (f"{API}/tags/-a/b", ""),
        (f"{API}/tags/a/{'b' * 400}", ""),
        (f"{API}/artifacts/{UUID(int=7)}/nope", ""),
        (f"{API}/cas/blake3:abc/nope", ""),
        (f"{API}/uploads/{UUID(int=7)}/nope", ""),
    ],
)
async def test_who_misses_a_path_is_told_what_he_may_have_meant(
    api: Api, path: str, hint: str
) -> None:
    detail = (await api.http.get(f"http://test{path}")).json()["detail"]
    assert detail.startswith("There is no such route.")
    assert hint in detail
    assert hint or detail == "There is no such route."


async def test_a_route_is_no_name(api: Api) -> None:
    """Where a name could stand."""
    for method in ("GET", "HEAD"):
        answer = await api.http.request(method, f"http://test{API}/cas/missing")
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


def test_a_path_of_very_many_segments_is_looked_for_as_fast_as_another() -> None:
    paths = Paths([Declared("/a/{tag}", ("GET",)), Declared("/a/{tag}/b", ("GET",))])
    long = "/a" * 200_000
    started = perf_counter()
    assert paths.find(long) is None
    assert paths.nowhere(long).status == 404
    assert perf_counter() - started < 1


def test_a_path_that_is_written_out_goes_before_one_with_a_name() -> None:
    paths = Paths(
        [
            Declared("/cas/{cas_id}", ("GET",)),
            Declared("/cas/missing", ("POST",)),
            Declared("/cas/{cas_id}", ("PUT",)),
            Declared("/a/{tag}/versions/{seq}", ("GET",)),
            Declared("/a/{tag}/other/all", ("GET",)),
        ]
    )
    found = {
        path: place.path if (place := paths.find(path)) else None
        for path in ("/cas/missing", "/cas/x", "/cas/", "/cas", "/a/b/versions/1", "/a/b/other/all")
    }
    assert found == {
        "/cas/missing": "/cas/missing",
        "/cas/x": "/cas/{cas_id}",
        "/cas/": None,
        "/cas": None,
        "/a/b/versions/1": "/a/{tag}/versions/{seq}",
        "/a/b/other/all": "/a/{tag}/other/all",
    }
    place = paths.find("/cas/x")
    assert place is not None
    assert place.methods == ["GET", "HEAD", "OPTIONS", "PUT"]
