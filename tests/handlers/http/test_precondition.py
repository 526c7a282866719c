"""`If-Match` on reads: what somebody has not seen is not read (RFC 9110 §13.1.1)."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api


async def things(api: Api) -> dict[str, str]:
    """For each read that has an entity tag: its path and that tag."""
    created = await api.create("main", "a")
    blob = await api.http.post("/api/v1/cas", content=b"abc")
    cas_id = blob.json()["cas_id"]
    artifact = f"/artifacts/{created['artifact_id']}"
    artifact_etag = (await api.get(artifact)).headers["etag"].strip('"')
    return {
        "/workflows/main": created["version_hash"],
        "/workflows/main?version=1": created["version_hash"],
        "/workflows/main/versions/0": created["version_hash"],
        "/tags/main": "1",
        artifact: artifact_etag,
        f"/cas/{cas_id}": cas_id,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_there_must_be_what_was_demanded(api: Api, method: str) -> None:
    async def status(where: str, given: str, **headers: str) -> tuple[int, Any]:
        answer = await api.http.request(
            method, f"/api/v1{where}", headers={"If-Match": given, **headers}
        )
        return answer.status_code, answer

    for where, etag in (await things(api)).items():
        for given in (f'"{etag}"', f'"x", "{etag}"', "*"):
            assert (await status(where, given))[0] == 200, (where, given)
        for given in ('"x"', f'W/"{etag}"'):
            code, answer = await status(where, given)
            assert code == 412, (where, given)
            if method == "GET":
                assert answer.json()["condition"] == f"If-Match: {given}"
        # It goes before the other precondition.
        assert (await status(where, '"x"', **{"If-None-Match": f'"{etag}"'}))[0] == 412
        assert (await status(where, "*", **{"If-None-Match": f'"{etag}"'}))[0] == 304
        for malformed in ("x", "", " "):
            assert (await status(where, malformed))[0] == 400
            unread = {"If-None-Match": malformed}
            assert (await status(where, "*", **unread))[0] == 400, (where, malformed)


async def test_the_refusal_says_what_is_there_instead(api: Api) -> None:
    created = await api.create("main", "a")
    refused = await api.get("/workflows/main", headers={"If-Match": '"x"'})
    assert refused.json()["current_version"] == 1
    assert refused.json()["current_version_hash"] == created["version_hash"]
    tag = await api.get("/tags/main", headers={"If-Match": '"7"'})
    assert tag.json()["current_version"] == 1
    assert tag.json()["current_artifact_id"] == created["artifact_id"]


async def test_what_is_not_there_is_not_found_whatever_was_demanded(api: Api) -> None:
    for where in ("/workflows/main", "/tags/main", f"/cas/blake3:{'0' * 64}"):
        assert (await api.get(where, headers={"If-Match": '"x"'})).status_code == 404


async def test_a_header_and_a_body_that_expect_versions_must_both_be_right(api: Api) -> None:
    target = (await api.create("main", "a"))["artifact_id"]
    other = (await api.create("other", "b"))["artifact_id"]
    both = {"If-Match": '"1", "2"'}
    body = {"artifact_id": other, "expected_version": 2}
    assert (await api.post("/tags/main/move", body, headers=both)).status_code == 412
    body["expected_version"] = 1
    assert (await api.post("/tags/main/move", body, headers=both)).status_code == 200
    body = {"artifact_id": target, "expected_version": 2}
    assert (await api.post("/tags/main/move", body, headers={"If-Match": '"1"'})).status_code == 412


async def test_what_a_tag_shall_name_and_is_not_there_is_no_failed_precondition(api: Api) -> None:
    await api.create("main", "a")
    nothing = {"artifact_id": str(uuid4())}
    refused = await api.post("/tags/main/move", nothing, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["kind"]) == (404, "artifact")
