"""What a request says, read strictly: times, numbers, media types, messages."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.reading import check_query_text, parse_time
from orchestrator.models.cas import parse_media_type
from tests.api import Api


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # They are few enough.


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", utc(2026, 1, 31, 12)),
        ("2026-01-31t12:00:00.25z", utc(2026, 1, 31, 12, 0, 0, 250_000)),
        ("2026-01-31T12:00:00+01:30", utc(2026, 1, 31, 10, 30)),
        ("2026-01-31T12:00:00-00:00", utc(2026, 1, 31, 12)),
        # The examples of RFC 3339 §5.8.
        ("1990-12-31T23:59:60Z", utc(1991, 1, 1)),
        ("1990-12-31T15:59:60-08:00", utc(1991, 1, 1)),
        ("2016-12-31T23:59:60.5Z", utc(2017, 1, 1, 0, 0, 0, 500_000)),
        ("2015-06-30T23:59:60Z", utc(2015, 7, 1)),
        ("2026-11-29", utc(2026, 11, 29)),
    ],
)
def test_a_time_is_one_of_rfc_3339_or_a_date(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("-90s", timedelta(seconds=90)),
        ("-30m", timedelta(minutes=30)),
        ("-2h", timedelta(hours=2)),
        ("-7d", timedelta(days=7)),
        ("-2w", timedelta(weeks=2)),
    ],
)
def test_a_time_may_be_how_long_ago(text: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    assert before <= parse_time(text) + ago <= datetime.now(UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01T00:00:00+0100",
        "2030-01-01T00:00:00+01",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00Z",
        "2030-02-30",
        "2030-01-01Z",
        "2h",
        "-2",
        "-h",
        "-2h ",
        "-1.5h",
        "-2y",
        "-999999999w",
        "-٢h",
        "2030-01-01T00:00:61Z",
        "2030-01-01T12:00:60Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "9999-12-31T23:59:60Z",
        "2030-13-01T00:00:00Z",
        "2030-01-01T00:00:00.Z",
        "2030-01-01T00:00:00Z ",
        "٢030-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text)


@pytest.mark.parametrize(
    "query",
    [
        "/workflows/main?version=1.0",
        "/workflows/main?version=1e0",
        "/workflows/main?version=01",
        "/workflows/main?version=%2B1",
        "/workflows?limit=1e1",
        "/workflows?limit=5.0",
        "/workflows?limit=%205",
        "/tags/main/history?limit=1.0",
        "/artifacts?limit=1.0",
    ],
)
async def test_a_number_has_one_spelling(api: Api, query: str) -> None:
    await api.create("main", "a")
    refused = await api.get(query)
    assert refused.status_code == 400
    parameter = query.partition("?")[2].partition("=")[0]
    assert refused.json()["errors"][0]["pointer"] == f"/{parameter}"


async def test_the_depth_of_a_walk_has_one_spelling_too(api: Api) -> None:
    lineage = f"/artifacts/{(await api.create('main', 'a'))['artifact_id']}/lineage"
    assert (await api.get(f"{lineage}?depth=10")).status_code == 200
    assert (await api.get(f"{lineage}?depth=1e1")).status_code == 400


@pytest.mark.parametrize(
    "text", ["text/plain", "application/vnd.a+json; charset=utf-8", "a/b;c=d/e", "x-y/z.1 ; q=1"]
)
def test_a_media_type_has_a_slash(text: str) -> None:
    assert parse_media_type(f" {text} ") == text


def test_without_a_media_type_a_blob_is_octets() -> None:
    assert parse_media_type(" ") == "application/octet-stream"


@pytest.mark.parametrize(
    "text", ["no-slash", "/", "a/", "/b", "a/b/c", "a b/c", "a/b c", "a/(b)", ";a/b", "x; y/z"]
)
def test_what_is_no_media_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_media_type(text)


async def test_a_message_may_have_the_sign_of_replacement(api: Api) -> None:
    created = await api.create("main", "a", message="a\ufffdb")
    assert created["message"] == "a\ufffdb"
    headers = {"Content-Type": "application/merge-patch+json"}
    for text, message in (("%EF%BF%BD", "\ufffd"), ("a+b%20c", "a b c")):
        changed = await api.http.patch(
            f"/api/v1/workflows/main?message={text}",
            content=b'{"metadata":{"%s":1}}' % text.encode(),
            headers=headers,
        )
        assert changed.status_code == 200, changed.text
        assert (await api.get("/tags/main")).json()["message"] == message


async def test_a_message_in_a_query_is_utf_8(api: Api) -> None:
    await api.create("main", "a")
    refused = await api.http.patch(
        "/api/v1/workflows/main?message=%ff",
        content=b'{"metadata":{}}',
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/message"
    with pytest.raises(InvalidInput):
        check_query_text(b"message=%C0%AF")
