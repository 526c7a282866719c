"""OCI registries as peers, and how they are asked to do each work.

Debian's docker-registry was measured. It syncs what it stores: strace counts eleven calls of fsync
for a blob of 1 KiB. `registry` (distribution 3) and `zot` are started in the same
way where they are in PATH, which was not tried.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from bench.load import send_all
from bench.material import KIB_DOCUMENT_BYTES, MEGABYTES, blob, cas_id, large
from bench.new_blobs import NewBlobs
from bench.ours_api import BYTES, TAGS, same
from bench.ours_write import LARGE_UPLOADS_MAX, sample
from bench.program import Answer, Program
from bench.stream import Downloads, send
from bench.task import Calls, Reads, Task, Writes
from bench.work import Work

BLOBS = 300
REPOSITORY = "/v2/bench"
MANIFESTS = f"{REPOSITORY}/manifests"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b"{}"


class DockerRegistry(Program):
    """Distribution 2 in its fastest configuration: no log, no tokens, descriptors in memory."""

    name = "docker-registry"
    executable = "docker-registry"
    package: ClassVar[str | None] = "docker-registry"
    ready_path = "/v2/"

    def command(self, port: int) -> list[str]:
        path = self.folder / "config.yml"
        path.write_text(
            "version: 0.1\n"
            "log: {accesslog: {disabled: true}, level: error}\n"
            "storage:\n"
            f"  filesystem: {{rootdirectory: {self.folder / 'data'}}}\n"
            "  cache: {blobdescriptor: inmemory}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n"
        )
        return [self.executable, "serve", str(path)]

    def task(self, work: Work, contender: str) -> Task:
        del contender
        return TASKS[work.name](self, work)


class Distribution(DockerRegistry):
    """Distribution 3 takes the same configuration."""

    name = "registry"
    executable = "registry"
    package = None

    def environment(self) -> dict[str, str]:
        return {"OTEL_TRACES_EXPORTER": "none"}


class Zot(DockerRegistry):
    """Without extensions, deduplication and the garbage collector."""

    name = "zot"
    executable = "zot"
    package = None

    def command(self, port: int) -> list[str]:
        path = self.folder / "config.json"
        storage = {"rootDirectory": str(self.folder / "data"), "dedupe": False, "gc": False}
        http = {"address": "127.0.0.1", "port": str(port)}
        path.write_text(json.dumps({"storage": storage, "http": http, "log": {"level": "error"}}))
        return [self.executable, "serve", str(path)]


def digest(content: bytes | bytearray) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest(name: str) -> bytes:
    """Of 1 KiB as our documents; it refers to one small blob, which must be there."""
    config = {"mediaType": "application/json", "size": len(CONFIG), "digest": digest(CONFIG)}
    made = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [],
        "annotations": {"name": name, "note": ""},
    }
    made["annotations"] = {"name": name, "note": "x" * (KIB_DOCUMENT_BYTES - len(_json(made)))}
    return _json(made)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def push(program: Program, content: bytes | bytearray) -> float:
    """In two requests; returns how long they took."""
    name = digest(content)
    connection = program.connect()
    started = time.perf_counter()
    place = send(connection, "POST", f"{REPOSITORY}/blobs/uploads/", {}, b"").headers["Location"]
    path = place.removeprefix(f"http://{program.address}")
    joined = "&" if "?" in path else "?"
    answer = send(connection, "PUT", f"{path}{joined}digest={name}", BYTES, content)
    took = time.perf_counter() - started
    connection.close()
    same(f"the answer to a push of {name}", answer.status, 201)
    same("the digest of a push", answer.headers["Docker-Content-Digest"], name)
    return took


def put_manifests(program: Program, manifests: dict[str, bytes]) -> None:
    """Each under its tag, with the blob that they all refer to."""
    push(program, CONFIG)
    requests = [put_request(program, tag, content) for tag, content in manifests.items()]
    send_all(program.address, requests, 201)


def put_request(program: Program, tag: str, content: bytes) -> bytes:
    return program.raw("PUT", f"{MANIFESTS}/{tag}", content, {"Content-Type": MANIFEST})


def get_manifest(program: Program, tag: str, content: bytes) -> Answer:
    answer = program.wanted("GET", f"{MANIFESTS}/{tag}", 200, headers={"Accept": MANIFEST})
    same(f"the manifest {tag}", answer.body, content)
    return answer


def _lookup(program: Program, work: Work) -> Reads:
    contents = [manifest(f"lookup-{number}") for number in range(TAGS)]
    put_manifests(program, {f"lookup-{n}": content for n, content in enumerate(contents)})
    given = {"Accept": MANIFEST}
    requests = [program.raw("GET", f"{MANIFESTS}/lookup-{n}", headers=given) for n in range(TAGS)]
    return Reads(
        program,
        requests,
        lambda index: get_manifest(program, f"lookup-{index}", contents[index]),
        work.connections,
    )


def _blobs(size: int) -> Callable[[Program, Work], Reads]:
    def task(program: Program, work: Work) -> Reads:
        contents = [blob(f"blob-{number}", size) for number in range(BLOBS)]
        for content in contents:
            push(program, content)
        paths = [f"{REPOSITORY}/blobs/{digest(content)}" for content in contents]

        def look(index: int) -> Answer:
            answer = program.wanted("GET", paths[index], 200)
            same(f"blob {index}", answer.body, contents[index])
            return answer

        return Reads(program, [program.raw("GET", path) for path in paths], look, work.connections)

    return task


def _download(program: Program, work: Work) -> Downloads:
    content = large("download")
    push(program, content)
    path = f"{REPOSITORY}/blobs/{digest(content)}"
    return Downloads(program, path, cas_id(content), work.connections)


def _large_uploads(program: Program, _: Work) -> Calls:
    def upload() -> float:
        return push(program, large(secrets.token_hex(8)))

    return Calls(upload, program, MEGABYTES, LARGE_UPLOADS_MAX)


class Pushes(NewBlobs):
    """Two requests for each blob: a POST, and a PUT to where its answer points."""

    statuses: Sequence[int] = (202, 201)
    script = "push"

    def requests(self, contents: Sequence[bytes]) -> list[bytes]:
        post = self.program.raw("POST", f"{REPOSITORY}/blobs/uploads/", b"")
        return [post, *map(self._put, contents)]

    def verify(self, sent: int) -> None:
        super().verify(sent - 1)  # The first one is the POST.

    def path(self, content: bytes) -> str:
        return f"{REPOSITORY}/blobs/{digest(content)}"

    def _put(self, content: bytes) -> bytes:
        return self.program.raw("PUT", f"LOCATION&digest={digest(content)}", content, BYTES)


class Manifests:
    """Manifests that are all new, under tags that are all new."""

    statuses: Sequence[int] = (201,)
    script = "replay"

    def __init__(self, program: Program) -> None:
        self._program = program
        self._prefix = ""
        push(program, CONFIG)

    def take(self, count: int) -> list[bytes]:
        self._prefix = f"create-{secrets.token_hex(6)}"
        return [self._request(f"{self._prefix}-{number}") for number in range(count)]

    def _request(self, tag: str) -> bytes:
        return put_request(self._program, tag, manifest(tag))

    def verify(self, sent: int) -> None:
        for index in sample(sent):
            tag = f"{self._prefix}-{index}"
            get_manifest(self._program, tag, manifest(tag))


class Moves:
    """Each of 1,000 tags in turn, to and fro between two manifests that are there."""

    statuses: Sequence[int] = (201,)
    script = "replay"

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sides = [manifest("a"), manifest("b")]
        self._position = TAGS  # In the first pass they came to the first manifest.
        tags = [f"move-{number}" for number in range(TAGS)]
        put_manifests(program, {"b": self._sides[1], **dict.fromkeys(tags, self._sides[0])})

    def take(self, count: int) -> list[bytes]:
        return [
            put_request(self._program, f"move-{n % TAGS}", self._side(n))
            for n in range(self._position, self._position + count)
        ]

    def verify(self, sent: int) -> None:
        for index in sample(min(sent, TAGS)):
            position = self._position + sent - 1 - index
            get_manifest(self._program, f"move-{position % TAGS}", self._side(position))
        self._position += sent

    def _side(self, position: int) -> bytes:
        return self._sides[position // TAGS % 2]


TASKS: dict[str, Callable[[Program, Work], Task]] = {
    "lookup": _lookup,
    "blob-1k": _blobs(1024),
    "blob-64k": _blobs(64 * 1024),
    "download-64m-1": _download,
    "download-64m-8": _download,
    "upload-64m": _large_uploads,
    "upload-1k": lambda program, work: Writes(program, Pushes(program), work.connections, 201),
    "create": lambda program, work: Writes(program, Manifests(program), work.connections),
    "create-1": lambda program, work: Writes(program, Manifests(program), work.connections),
    "move": lambda program, work: Writes(program, Moves(program), work.connections),
}
