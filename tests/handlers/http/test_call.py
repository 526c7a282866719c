"""What an operation reads of a request: namespace, headers, body, and the key of a repetition."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.core.database import Database
from orchestrator.errors import InvalidInput, TooLarge
from orchestrator.errors_request import UnsupportedMediaType, UnsupportedTransferCoding
from orchestrator.handlers.http.call import Call, check_transfer_coding, headers_of
from orchestrator.models.principal import Actor, Principal

JSON = {"content-type": "application/json"}


class Body:
    """The messages of a server, one for each piece; it counts those that were taken."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        last = len(pieces) - 1
        self._messages: list[Any] = [
            {"type": "http.request", "body": piece, "more_body": at < last or not ends}
            for at, piece in enumerate(pieces)
        ]
        self.taken = 0

    async def __call__(self) -> Any:
        self.taken += 1
        if not self._messages:
            return {"type": "http.disconnect"}
        return self._messages.pop(0)


def call(
    body: Body | None = None,
    headers: dict[str, str] | None = None,
    *,
    namespace: str | None = None,
    query: bytes = b"",
) -> Call:
    scope: Any = {
        "method": "POST",
        "path": "/api/v1/things",
        "query_string": query,
        "user": Principal(name="ann", namespace="home"),
        "auth": Actor("ann", "request-1"),
    }
    return Call(scope, body or Body(b""), headers or {}, namespace)


async def read(body: Body, declared: int | None, bytes_max: int = 100) -> bytes:
    headers = {} if declared is None else {"content-length": str(declared)}
    return await call(body, headers).read(bytes_max)


def test_the_namespace_is_the_one_named_else_the_callers_own() -> None:
    assert call().namespace == "home"
    assert call(namespace="team/a").namespace == "team/a"
    with pytest.raises(InvalidInput):
        call(namespace="Not One")


def test_several_lines_of_one_header_are_one_list() -> None:
    scope: Any = {"headers": [(b"if-match", b'"1"'), (b"if-match", b'"2"'), (b"a", b"\xe9")]}
    assert headers_of(scope) == {"if-match": '"1", "2"', "a": "é"}


@pytest.mark.parametrize("declared", [None, 6])
@pytest.mark.parametrize("pieces", [(b"abcdef",), (b"abc", b"def"), (b"", b"abc", b"def", b"")])
async def test_a_body_is_read_in_as_many_pieces_as_it_comes_in(
    pieces: Sequence[bytes], declared: int | None
) -> None:
    assert await read(Body(*pieces), declared) == b"abcdef"


async def test_the_end_of_a_body_that_is_all_there_is_not_waited_for() -> None:
    body = Body(b"abcdef", ends=False)
    assert await read(body, 6) == b"abcdef"
    assert body.taken == 1


@pytest.mark.parametrize(("body", "declared"), [(Body(b"abc"), 6), (Body(b"abc", ends=False), 6)])
async def test_a_body_that_ends_before_its_length_is_refused(body: Body, declared: int) -> None:
    with pytest.raises(InvalidInput, match="ended early"):
        await read(body, declared)


async def test_a_client_that_goes_away_in_a_body_without_a_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="ended early"):
        await read(Body(b"abc", ends=False), None)


async def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_read() -> None:
    body = Body(b"abcdef")
    with pytest.raises(TooLarge):
        call(body, {"content-length": "6"}).chunks(5)
    assert body.taken == 0


async def test_a_body_without_a_length_is_refused_once_it_is_over_the_limit() -> None:
    body = Body(b"abc", b"def", b"ghi")
    with pytest.raises(TooLarge):
        await read(body, None, bytes_max=5)
    assert body.taken == 2


async def test_an_encoded_body_and_another_type_than_json_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        call(headers={"content-encoding": "gzip"}).chunks(1)
    with pytest.raises(UnsupportedMediaType):
        await call(headers={"content-type": "text/plain"}).read_json(1)
    assert await call(Body(b"{}"), {"content-type": "Application/JSON; charset=utf-8"}).read_json(2)


@pytest.mark.parametrize("given", ["", "x", "-1", "1.0", "5, 5", "9" * 10_000, "1" * 19, "²"])
def test_a_length_that_is_no_number_of_bytes_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(headers={"content-length": given}).chunks(1)
    assert refused.value.errors[0].pointer == "/Content-Length"


def test_zeros_before_a_length_are_no_digits_of_it() -> None:
    for given, length in (("0" * 30 + "5", 5), ("0" * 10_000, 0), ("00", 0), ("7", 7)):
        assert call(headers={"content-length": given}).declared_length == length


@pytest.mark.parametrize("given", ["chunked", "Chunked", " chunked "])
def test_a_body_in_chunks_is_understood(given: str) -> None:
    check_transfer_coding({})
    check_transfer_coding({"transfer-encoding": given})


@pytest.mark.parametrize("given", ["gzip, chunked", "x", "identity", "gzip;q=1, chunked", "gzip"])
def test_a_transfer_coding_that_is_not_known_is_refused(given: str) -> None:
    with pytest.raises(UnsupportedTransferCoding):
        check_transfer_coding({"transfer-encoding": given})


@pytest.mark.parametrize(
    "given", ["", ",", "chunked, chunked", "chunked,", "chunked, GZIP, Chunked"]
)
def test_transfer_codings_that_make_no_sense_are_malformed(given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_transfer_coding({"transfer-encoding": given})
    assert refused.value.errors[0].pointer == "/Transfer-Encoding"


def test_without_a_key_a_request_is_not_one_that_repeats_another() -> None:
    assert call().idempotent(b"x") is None
    with pytest.raises(InvalidInput):
        call(headers={"idempotency-key": "a b"}).idempotent()


def test_whatever_a_request_says_makes_it_another_one() -> None:
    key = {"idempotency-key": "k"}
    first = call(headers=key).idempotent(b"x")
    again = call(headers=key).idempotent(b"x")
    assert first == again
    others = [
        call(headers=key).idempotent(b"y"),
        call(headers=key, query=b"namespace=a").idempotent(b"x"),
        call(headers={**key, "if-match": '"1"'}).idempotent(b"x"),
        call(headers={**key, **JSON}).idempotent(b"x"),
    ]
    assert first is not None
    assert {other.fingerprint != first.fingerprint for other in others if other} == {True}


async def test_what_a_request_does_besides_makes_its_deadline_later() -> None:
    database = Database("postgresql:///none", acquire_seconds_max=3)
    made = call()
    with made.pausing():
        await asyncio.sleep(0.01)
    first = made.deadline(database)
    assert 2 < first - asyncio.get_running_loop().time() <= 3
    with made.pausing():
        await asyncio.sleep(0.05)
    assert 0.05 <= made.deadline(database) - first < 1
