"""Compressed answers: who gets one, what it is called, and what is never compressed."""

import gzip
from collections.abc import AsyncIterator, Callable

import pytest
import zstandard
from blake3 import blake3

from orchestrator.core.threads import Threads
from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.encoding import CODINGS, Encodings, chosen
from orchestrator.handlers.http.reply import PIECE_BYTES, json_answer
from tests.api import API, Api
from tests.conftest import TOKEN

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body),
    "gzip": gzip.decompress,
}
#: More than a kilobyte, and more than what a thread compresses.
IDS = [f"node-{number}" for number in range(40)]
MANY = [f"node-{number:04}" for number in range(700)]
#: The fast path, the framework, and a list.
READS = ["/workflows/main", "/workflows/main?version=1", "/artifacts?kind=dag_version", "/tags"]


async def raw(
    api: Api, where: str, accepted: str | None, method: str = "GET"
) -> tuple[dict[str, str], bytes]:
    """Headers and bytes as they come."""
    headers = {"Accept-Encoding": accepted} if accepted is not None else {"Accept-Encoding": ""}
    async with api.http.stream(method, API + where, headers=headers) as answer:
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.status_code == 200
    return dict(answer.headers), body


@pytest.fixture
async def filled(api: Api) -> Api:
    for number in range(8):
        await api.create("main" if number == 0 else f"other-{number}", *IDS, f"end-{number}")
    return api


@pytest.mark.parametrize(
    ("accepted", "large", "small"),
    [
        ("", None, None),
        ("identity", None, None),
        ("br", None, None),
        ("*", None, None),
        ("zstd", "zstd", None),
        ("gzip", "gzip", None),
        ("GZIP", "gzip", None),
        ("gzip, deflate, br, zstd", "zstd", None),
        ("gzip;q=1.0, zstd;q=0.5", "gzip", None),
        ("gzip ; q = 0.8 , zstd;q=0", "gzip", None),
        ("gzip;q=0, zstd;q=0.000", None, None),
        ("gzip;q=0.5, identity", None, None),
        ("gzip;q=0.5, identity;q=0.4", "gzip", None),
        ("gzip, identity;q=0", "gzip", "gzip"),
        ("gzip, *;q=0", "gzip", "gzip"),
        ("zstd, identity, *;q=0", "zstd", None),
        ("identity;q=0", None, None),
        ("br, identity;q=0", None, None),
        ("gzip;q=x", None, None),
        ("gzip;q=2", None, None),
        (",,gzip,", "gzip", None),
    ],
)
def test_who_asks_for_what(accepted: str, large: str | None, small: str | None) -> None:
    assert chosen(accepted, is_large=True) == large
    assert chosen(accepted, is_large=False) == small


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("where", READS)
async def test_a_compressed_answer_is_the_same_answer(filled: Api, coding: str, where: str) -> None:
    plain, content = await raw(filled, where, None)
    packed, body = await raw(filled, where, coding)
    assert len(body) < len(content) / 2
    assert UNPACK[coding](body) == content
    assert packed["content-encoding"] == coding
    assert packed["content-length"] == str(len(body))
    assert packed["etag"] == f'{plain["etag"][:-1]};{coding}"'
    assert "content-encoding" not in plain
    assert plain["vary"] == packed["vary"] == "Accept-Encoding"
    differ = {"content-encoding", "content-length", "etag", "x-correlation-id"}
    assert {k: v for k, v in packed.items() if k not in differ} == {
        k: v for k, v in plain.items() if k not in differ
    }
    head, nothing = await raw(filled, where, coding, "HEAD")
    assert nothing == b""
    assert {**head, "x-correlation-id": ""} == {**packed, "x-correlation-id": ""}


@pytest.mark.parametrize("coding", [None, *CODINGS])
@pytest.mark.parametrize("now", [None, *CODINGS])
async def test_who_has_an_answer_in_any_encoding_is_not_sent_it_again(
    filled: Api, coding: str | None, now: str | None
) -> None:
    for where in READS:
        tag = (await raw(filled, where, coding))[0]["etag"]
        again = await filled.get(
            where, headers={"If-None-Match": tag, "Accept-Encoding": now or ""}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (tag, "Accept-Encoding")
        same = await filled.get(where, headers={"If-Match": tag})
        assert same.status_code == 200


@pytest.mark.parametrize("coding", CODINGS)
async def test_the_tag_of_a_compressed_answer_is_a_precondition_of_writes(
    filled: Api, coding: str
) -> None:
    workflow = (await raw(filled, "/workflows/main", coding))[0]["etag"]
    assert workflow.endswith(f';{coding}"')
    patched = await filled.http.patch(
        f"{API}/workflows/main",
        json={"metadata": {"owner": "payments"}},
        headers={"If-Match": workflow, "Content-Type": "application/merge-patch+json"},
    )
    assert patched.status_code == 200
    stale = await filled.delete("/workflows/main", headers={"If-Match": workflow})
    assert stale.status_code == 412
    headers = {"Accept-Encoding": f"{coding}, identity;q=0"}
    tag = (await filled.get("/tags/main", headers=headers)).headers["etag"]
    assert tag == f'"2;{coding}"'
    gone = await filled.delete("/tags/main", headers={"If-Match": tag})
    assert gone.status_code == 200


async def test_a_small_answer_is_compressed_only_for_those_who_refuse_it_as_it_is(
    filled: Api,
) -> None:
    headers, body = await raw(filled, "/tags/main", "gzip, zstd")
    assert headers.keys().isdisjoint({"content-encoding", "vary"})
    packed, content = await raw(filled, "/tags/main", "gzip, identity;q=0")
    assert gzip.decompress(content) == body
    assert packed["content-encoding"] == "gzip"


async def test_what_is_compressed_in_a_thread_is_the_same(api: Api) -> None:
    await api.create("main", *MANY)
    _, content = await raw(api, "/workflows/main", None)
    assert len(content) > 32 * 1024
    for coding in CODINGS:
        assert UNPACK[coding]((await raw(api, "/workflows/main", coding))[1]) == content


async def test_a_long_answer_is_compressed_on_its_way(api: Api) -> None:
    await api.create("main", *(f"{name}-{number}" for name in MANY for number in range(4)))
    for where in ("/workflows/main", "/workflows/main?version=1", "/workflows/main/versions/0"):
        plain, content = await raw(api, where, "identity")
        assert len(content) == int(plain["content-length"]) > 3 * PIECE_BYTES
        assert plain["vary"] == "Accept-Encoding"
        for coding in CODINGS:
            packed, body = await raw(api, where, coding)
            assert zstandard_or_gzip(coding, body) == content
            assert len(body) < len(content) / 3
            assert (packed["content-encoding"], packed["vary"]) == (coding, "Accept-Encoding")
            assert "content-length" not in packed
            assert packed["etag"] == f'{plain["etag"][:-1]};{coding}"'
            assert (await raw(api, where, coding))[1] == body, "a strong entity tag means that"
            same = await api.get(where, headers={"If-None-Match": packed["etag"]})
            assert same.status_code == 304


def zstandard_or_gzip(coding: str, body: bytes) -> bytes:
    """Of a frame that does not say how long it is."""
    if coding == "gzip":
        return gzip.decompress(body)
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


ALL = {"Accept-Encoding": "gzip, zstd"}


async def test_what_may_hold_a_secret_or_is_no_answer_to_a_read_is_never_compressed(
    filled: Api,
) -> None:
    """A created thing's answer, a refusal, and the state of an upload, which nobody may store."""
    node = {"id": "n", "type": "task", "config": {"text": "x" * 2_000}}
    created = await filled.post(
        "/workflows",
        {"tag": "x" * 200, "workflow": {"nodes": [node]}, "message": "m" * 2_000},
        headers=ALL,
    )
    assert created.status_code == 201
    refused = await filled.get(f"/workflows/{'y' * 200}?{'z' * 2_000}=1", headers=ALL)
    assert refused.status_code == 400
    begun = await filled.http.post(
        f"{API}/uploads",
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Length": "5",
            "Upload-Metadata": "name " + "QUFB" * 500,
        },
    )
    state = await filled.http.get(begun.headers["location"], headers=ALL)
    assert state.headers["cache-control"] == "no-store"
    assert len(created.content) > 1_024
    assert len(refused.content) > 1_024
    for answer in (created, refused, state):
        assert "content-encoding" not in answer.headers


async def test_blobs_go_as_they_are_stored(filled: Api) -> None:
    content = b'{"a":"' + b"b" * 5_000 + b'"}'
    name = f"blake3:{blake3(content).hexdigest()}"
    await filled.http.put(
        f"{API}/cas/{name}", content=content, headers={"Content-Type": "application/json"}
    )
    for more in ({}, {"Range": "bytes=0-1999"}, {"Want-Repr-Digest": "sha-256=1"}):
        for _ in range(2):  # From the database, and from memory.
            found = await filled.get(f"/cas/{name}", headers={**ALL, **more})
            assert "content-encoding" not in found.headers
            assert found.headers["etag"] == f'"{name}"'
            assert found.content == content[: 2_000 if "Range" in more else None]


@pytest.fixture
async def uncompressed(make_app: Callable[..., Edge]) -> AsyncIterator[Api]:
    async with Api.on(make_app(compressed_answer_bytes_min=0), TOKEN) as api:
        yield api


async def test_a_server_can_be_told_not_to(uncompressed: Api) -> None:
    await uncompressed.create("main", *IDS)
    headers, _ = await raw(uncompressed, "/workflows/main", "gzip, identity;q=0")
    assert headers.keys().isdisjoint({"content-encoding", "vary"})


def test_the_same_answer_has_the_same_bytes_whenever_it_is_compressed() -> None:
    no_time = bytes(4)
    assert CODINGS["gzip"](b"x")[4:8] == no_time


async def test_what_nobody_may_store_is_not_compressed() -> None:
    encodings = Encodings(Threads(1, name="test"), bytes_min=1, cache_bytes_max=1_000)
    for value, is_compressed in (("no-store", False), ("no-cache", True)):
        answer = json_answer({"token": "x" * 2_000}, headers={"Cache-Control": value})
        sent = await encodings.of(answer, "gzip")
        assert ("Content-Encoding" in sent.headers) == is_compressed


async def test_what_was_compressed_is_kept_and_the_memory_for_it_has_a_limit() -> None:
    packed: list[bytes] = []
    real = CODINGS["gzip"]

    def counting(body: bytes) -> bytes:
        packed.append(body)
        return real(body)

    encodings = Encodings(
        Threads(1, name="test"), bytes_min=1, cache_bytes_max=40_000, codings={"gzip": counting}
    )
    answers = [json_answer({"n": number}) for number in range(60)]
    for answer in [answers[0], answers[0], *answers, answers[-1], answers[0]]:
        assert (await encodings.of(answer, "gzip")).headers["Content-Encoding"] == "gzip"
    # The first was dropped for those after it, and is compressed a second time.
    assert packed == [*(answer.body for answer in answers), answers[0].body]
