"""A write gets the same answer on the short way and on the long way, and leaves the same."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.api import API, Api
from tests.handlers.http.two_ways import BLOB, DIFFERENT, JSON, LARGE, Pair, essence

CREATE = b'{"tag":"new","workflow":{"nodes":[{"id":"n","type":"task"}]}}'
NOBODY = str(UUID(int=7))


async def in_pieces() -> AsyncIterator[bytes]:
    for at in range(0, len(CREATE), 7):
        yield CREATE[at : at + 7]


async def shorter_than_said() -> AsyncIterator[bytes]:
    yield CREATE[:-1]


def document(size: int) -> bytes:
    return CREATE.replace(b'"n"', b'"' + b"n" * size + b'"')


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1_000):
        yield content[at : at + 1_000]


WRITES: dict[str, tuple[str, Any, dict[str, str]]] = {
    "ok": ("/workflows", CREATE, JSON),
    "with a charset": ("/workflows", CREATE, {"Content-Type": "Application/JSON; charset=utf-8"}),
    "in pieces": ("/workflows", in_pieces, JSON),
    "in its namespace": ("/workflows?namespace=NAMESPACE", CREATE, JSON),
    "in a bad namespace": ("/workflows?namespace=_", CREATE, JSON),
    "two namespaces": ("/workflows?namespace=a&namespace=b", CREATE, JSON),
    "unknown parameter": ("/workflows?x=1", CREATE, JSON),
    "wrong type": ("/workflows", CREATE, {"Content-Type": "text/plain"}),
    "no type": ("/workflows", CREATE, {}),
    "encoded": ("/workflows", CREATE, {**JSON, "Content-Encoding": "gzip"}),
    "bad json": ("/workflows", b"{", JSON),
    "empty": ("/workflows", b"", JSON),
    "a key twice": ("/workflows", b'{"tag":"a","tag":"a"}', JSON),
    "unknown member": ("/workflows", b'{"tag":"a","workflow":{},"x":1}', JSON),
    "missing member": ("/workflows", b'{"tag":"a"}', JSON),
    "bad tag": ("/workflows", b'{"tag":"-","workflow":{"nodes":[]}}', JSON),
    "broken rule": ("/workflows", CREATE.replace(b'"n"', b'""'), JSON),
    "no workflow": ("/workflows", b'{"tag":"a","workflow":[]}', JSON),
    "long message": ("/workflows", CREATE[:-1] + b',"message":"' + b"m" * 4_097 + b'"}', JSON),
    "too large": ("/workflows", document(4_000), JSON),
    "too large in pieces": ("/workflows", lambda: _pieces(document(4_000)), JSON),
    "too large a workflow": ("/workflows", document(3_000), JSON),
    "if-none-match": ("/workflows", CREATE, {**JSON, "If-None-Match": "*"}),
    "if-none-match of one": ("/workflows", CREATE, {**JSON, "If-None-Match": '"x"'}),
    "if-match of none": ("/workflows", CREATE, {**JSON, "If-Match": '"x"'}),
    "there already": (
        "/workflows",
        CREATE.replace(b"new", b"other"),
        {**JSON, "If-None-Match": "*"},
    ),
    "stale": (
        "/workflows",
        CREATE.replace(b"new", b"main")[:-1] + b',"expected_version":1}',
        JSON,
    ),
    "expected": (
        "/workflows",
        CREATE.replace(b"new", b"main")[:-1] + b',"expected_version":2}',
        JSON,
    ),
    "with a key": ("/workflows", CREATE, {**JSON, "Idempotency-Key": "KEY"}),
    "with a bad key": ("/workflows", CREATE, {**JSON, "Idempotency-Key": "two words"}),
    "artifact": ("/artifacts", b'{"kind":"m","meta":{"n":1},"tag":"m"}', JSON),
    "artifact without a tag": ("/artifacts", b'{"kind":"m","meta":{"n":1}}', JSON),
    "artifact with a parent": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1},"parents":[{"tag":"main"}]}',
        JSON,
    ),
    "artifact of a reserved kind": ("/artifacts", b'{"kind":"report","meta":{"n":1}}', JSON),
    "artifact if absent": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1},"tag":"main"}',
        {**JSON, "If-None-Match": "*"},
    ),
    "artifact with a key": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1}}',
        {**JSON, "Idempotency-Key": "KEY"},
    ),
    "artifact with a parameter": ("/artifacts?x=1", b'{"kind":"m","meta":{"n":1}}', JSON),
    "move": ("/tags/main/move", "OTHER", JSON),
    "move at its version": ("/tags/main/move", "OTHER,2", JSON),
    "move with a slash": ("/tags/with%2Fslash/move", "OTHER", JSON),
    "move in its namespace": ("/tags/main/move?namespace=NAMESPACE", "OTHER", JSON),
    "move in another namespace": ("/tags/main/move?namespace=nobody", "OTHER", JSON),
    "move with a parameter": ("/tags/main/move?x=1", "OTHER", JSON),
    "move to where it is": ("/tags/other/move", "OTHER", JSON),
    "stale move": ("/tags/main/move", "OTHER,1", JSON),
    "move to nothing": ("/tags/main/move", b'{"artifact_id":"%s"}' % NOBODY.encode(), JSON),
    "move of nothing": ("/tags/nope/move", "OTHER", JSON),
    "move of a bad name": ("/tags/-/move", "OTHER", JSON),
    "move of no utf-8": ("/tags/%ff/move", "OTHER", JSON),
    "move to no id": ("/tags/main/move", b'{"artifact_id":"x"}', JSON),
    "move at version nought": ("/tags/main/move", "OTHER,0", JSON),
    "move without a type": ("/tags/main/move", "OTHER", {}),
    "move if match": ("/tags/main/move", "OTHER", {**JSON, "If-Match": '"2"'}),
    "move if no match": ("/tags/main/move", "OTHER", {**JSON, "If-Match": '"1"'}),
    "move if any": ("/tags/main/move", "OTHER", {**JSON, "If-Match": "*"}),
    "move if absent": ("/tags/main/move", "OTHER", {**JSON, "If-None-Match": "*"}),
    "move with a key": ("/tags/main/move", "OTHER", {**JSON, "Idempotency-Key": "KEY"}),
    "move too large": ("/tags/main/move", b" " * 65_537, JSON),
    "blob": ("/cas", b"new bytes", {"Content-Type": "text/plain"}),
    "blob without a type": ("/cas", b"new bytes", {}),
    "blob with a bad type": ("/cas", b"new bytes", {"Content-Type": "é"}),
    "blob known": ("/cas", BLOB, {"Content-Type": "image/png"}),
    "blob empty": ("/cas", b"", {}),
    "blob large": ("/cas", LARGE + b"x", {}),
    "blob in pieces": ("/cas", in_pieces, {}),
    "blob too large": ("/cas", b"x" * 10_001, {}),
    "blob too large in pieces": ("/cas", lambda: _pieces(b"x" * 10_001), {}),
    "blob encoded": ("/cas", b"x", {"Content-Encoding": "gzip"}),
    "blob with a key": ("/cas", b"new bytes", {"Idempotency-Key": "KEY"}),
    "blob with a wrong digest": ("/cas", b"x", {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}),
    "blob with a bad digest": ("/cas", b"x", {"Repr-Digest": "sha-256=:AAAA:"}),
    "blob second name": ("/cas", b"seconds", {"Want-Repr-Digest": "sha-256=1"}),
    "blob in its namespace": ("/cas?namespace=NAMESPACE", b"new bytes", {}),
    "blob in a bad namespace": ("/cas?namespace=-", b"x", {}),
    "blob with a parameter": ("/cas?x=1", b"x", {}),
    "shorter than it says": ("/workflows", shorter_than_said, {**JSON, "Content-Length": "61"}),
    "blob shorter than it says": ("/cas", shorter_than_said, {"Content-Length": "99"}),
}


async def target(api: Api, given: str) -> bytes:
    """A move to the version that the tag `other` names; after a comma the version expected."""
    _, comma, expected = given.partition(",")
    wanted = (await api.get("/tags/other")).json()["artifact_id"]
    expectation = f',"expected_version":{expected}' if comma else ""
    return f'{{"artifact_id":"{wanted}"{expectation}}}'.encode()


@pytest.mark.parametrize("case", WRITES, ids=[case.replace(" ", "-") for case in WRITES])
async def test_both_ways_answer_a_write_alike(pair: Pair, case: str) -> None:
    where, content, headers = WRITES[case]
    key = uuid4().hex
    for _ in range(2):  # The second time it is there already.
        answers = []
        for namespace, api in pair.ways.items():
            body = await target(api, content) if isinstance(content, str) else content
            # Keys belong to the caller, who is the same in both namespaces.
            own = {each: value.replace("KEY", key + namespace) for each, value in headers.items()}
            answers.append(
                await api.http.post(
                    API + where.replace("NAMESPACE", namespace),
                    content=body() if callable(body) else body,
                    headers=[(each.encode(), value.encode()) for each, value in own.items()],
                )
            )
        assert essence(answers[0]) == essence(answers[1])
    states = [
        [
            DIFFERENT.sub("*", (await api.get(at)).text)
            for at in ("/tags", "/tags/main/history", "/artifacts")
        ]
        for api in pair.ways.values()
    ]
    assert states[0] == states[1], "what they leave is the same too"


@pytest.mark.parametrize("where", ["/workflows", "/cas"])
async def test_a_body_that_ends_early_is_refused_both_ways(pair: Pair, where: str) -> None:
    # Also one that is whole in itself.
    headers = {**JSON, "Content-Length": str(len(CREATE) + 1)}
    for content in (shorter_than_said, in_pieces):
        for answer in await pair.ask("POST", API + where, content=content, headers=headers):
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["rule"] == "length"
