"""How our server is asked to do each work that stores something, and what must be true then."""

import json
import random
import secrets
import time
from collections.abc import Sequence

from bench.load import WrongAnswers
from bench.material import MEGABYTES, cas_id, document, large
from bench.ours_api import (
    ARTIFACTS,
    BYTES,
    CAS,
    JSON,
    TAG_PATH,
    WORKFLOWS,
    create_workflows,
    same,
    transact,
    workflow_of,
)
from bench.program import Program
from bench.stream import send
from bench.task import Calls

LARGE_UPLOADS_MAX = 6
TAGS_MOVED = 5_000


def sample(size: int, count: int = 10) -> list[int]:
    """The first, the last, and some between."""
    return sorted({0, size - 1, *random.sample(range(size), min(count, size))})


def large_uploads(ours: Program) -> Calls:
    def upload() -> float:
        content = large(secrets.token_hex(8))
        name = cas_id(content)
        connection = ours.connect()
        started = time.perf_counter()
        answer = send(connection, "POST", CAS, {**ours.headers, **BYTES}, content)
        took = time.perf_counter() - started
        connection.close()
        if answer.status != 201 or json.loads(answer.body)["cas_id"] != name:
            raise WrongAnswers(f"an upload was answered with {answer.status} {answer.body!r}")
        return took

    return Calls(upload, ours, MEGABYTES, LARGE_UPLOADS_MAX)


class Creates:
    """POST of documents that are all new, under tags that are all new."""

    statuses: Sequence[int] = (201,)
    script = "replay"

    def __init__(self, ours: Program) -> None:
        self._ours = ours
        self._prefix = ""

    def take(self, count: int) -> list[bytes]:
        self._prefix = f"create-{secrets.token_hex(6)}"
        return [self._request(f"{self._prefix}-{number}") for number in range(count)]

    def _request(self, tag: str) -> bytes:
        body = b'{"tag":"%b","workflow":%b}' % (tag.encode(), document(tag))
        return self._ours.raw("POST", WORKFLOWS, body, JSON)

    def verify(self, sent: int) -> None:
        for index in sample(sent):
            tag = f"{self._prefix}-{index}"
            content = document(tag)
            found = workflow_of(self._ours, tag)
            same(f"the document of {tag}", found["workflow"], json.loads(content))
            same(f"the hash of {tag}", found["version_hash"], cas_id(content))
            same(f"the version of {tag}", found["tag_version"], 1)


class Artifacts:
    """POST of artifacts that are all new, each with the same blob and under a tag of its own."""

    statuses: Sequence[int] = (201,)
    script = "replay"

    def __init__(self, ours: Program) -> None:
        self._ours = ours
        self._prefix = ""
        content = document("artifact")
        self._blob = cas_id(content)
        send(ours.connect(), "POST", CAS, {**ours.headers, **BYTES}, content)

    def take(self, count: int) -> list[bytes]:
        self._prefix = f"artifact-{secrets.token_hex(6)}"
        return [self._request(f"{self._prefix}-{number}") for number in range(count)]

    def _request(self, tag: str) -> bytes:
        described = {
            "kind": "model",
            "name": tag,
            "cas_id": self._blob,
            "meta": {"stage": "trial"},
            "tag": tag,
        }
        return self._ours.raw("POST", ARTIFACTS, json.dumps(described).encode(), JSON)

    def verify(self, sent: int) -> None:
        for index in sample(sent):
            tag = f"{self._prefix}-{index}"
            named = json.loads(self._ours.wanted("GET", f"{TAG_PATH}/{tag}", 200).body)
            path = f"{ARTIFACTS}/{named['artifact_id']}"
            found = json.loads(self._ours.wanted("GET", path, 200).body)
            same(f"the name of {tag}", found["name"], tag)
            same(f"the blob of {tag}", [each["cas_id"] for each in found["blobs"]], [self._blob])


class Moves:
    """Each of 5,000 tags in turn, to and fro between two artifacts, with the version expected."""

    statuses: Sequence[int] = (200,)
    script = "replay"

    def __init__(self, ours: Program) -> None:
        self._ours = ours
        self._prefix = f"move-{secrets.token_hex(6)}"
        documents = {f"{self._prefix}-{side}": document(f"{self._prefix}-{side}") for side in "ab"}
        made = create_workflows(ours, documents)
        self._artifacts = [one["artifact_id"] for one in made]
        self._versions = [1] * TAGS_MOVED
        self._position = 0
        operation = '{"op":"create","tag":"%s","artifact_id":"%s"}'
        transact(
            ours,
            [
                (operation % (self._tag(index), self._artifacts[0])).encode()
                for index in range(TAGS_MOVED)
            ],
        )

    def take(self, count: int) -> list[bytes]:
        versions = list(self._versions)
        requests = []
        for position in range(self._position, self._position + count):
            index = position % TAGS_MOVED
            body = b'{"artifact_id":"%b","expected_version":%d}' % (
                self._artifacts[versions[index] % 2].encode(),
                versions[index],
            )
            path = f"{TAG_PATH}/{self._tag(index)}/move"
            requests.append(self._ours.raw("POST", path, body, JSON))
            versions[index] += 1
        return requests

    def verify(self, sent: int) -> None:
        moved = [(self._position + number) % TAGS_MOVED for number in range(sent)]
        self._position += sent
        for index in moved:
            self._versions[index] += 1
        for number in sample(sent):
            self._verify_one(moved[number])

    def _verify_one(self, index: int) -> None:
        version = self._versions[index]
        path = f"{TAG_PATH}/{self._tag(index)}/history?limit=1000"
        moves = json.loads(self._ours.wanted("GET", path, 200).body)["items"]
        same(f"the history of tag {index}", [one["seq"] for one in moves], [*range(version, 0, -1)])
        for one in moves:
            artifact = self._artifacts[(one["seq"] - 1) % 2]
            same(f"move {one['seq']} of tag {index}", one["to_id"], artifact)

    def _tag(self, index: int) -> str:
        return f"{self._prefix}-{index}"
