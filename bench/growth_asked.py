"""What is asked of a server that was filled, and what must come back; it measures nothing."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from blake3 import blake3

from bench.growth_questions import PAGE, SHORT_PAGE, questions
from bench.server import Server
from tests.growth.shape import MERGED_TAG, Sizes, World

API = "/api/v1"
CLIENTS = 4
ASKED = 500
JSON = {"Content-Type": "application/json"}

Check = Callable[[bytes], bool]


class Ask(NamedTuple):
    """One request, the status of its answer and whether the body is right."""

    method: str
    path: str
    status: int
    check: Check
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Side:
    """One server with its rows: asks for everything once, so that later answers can be compared."""

    def __init__(self, server: Server, world: World) -> None:
        self.server = server
        self._connection = server.connect()
        sizes = world.sizes
        self._every = world.workflow_tags()
        self.names = [self._every[at * len(self._every) // ASKED] for at in range(ASKED)]
        self._known: dict[str, bytes] = {}
        self._counts: defaultdict[tuple[str, int], Iterator[int]] = defaultdict(itertools.count)
        self._hashes = {
            name: self.read(f"/workflows/{name}")["version_hash"] for name in self.names
        }
        for name in self.names:
            self.read(f"/tags/{name}")
        self._made = [self._create("made", n) for n in range(2)]
        for client in range(CLIENTS):
            self._create(f"moved-{client}", 0)
            self._create(f"patched-{client}", 0)
        self._pages = {**questions(world), **self._lineages(sizes)}

    def read(self, path: str) -> Any:
        """The answer as it has to be from now on."""
        return json.loads(self._bytes(path))

    def _bytes(self, path: str) -> bytes:
        if path not in self._known:
            self._connection.request("GET", API + path, headers=self.server.headers)
            answer = self._connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            self._known[path] = body
        return self._known[path]

    def _create(self, tag: str, number: int) -> str:
        asked = _creation(tag, f"{tag} {number}")
        headers = {**self.server.headers, **asked.headers}
        self._connection.request(asked.method, asked.path, body=asked.body, headers=headers)
        answer = self._connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status == 201, said
        return str(said["artifact_id"])

    def _lineages(self, sizes: Sizes) -> dict[str, str]:
        head = self.read(f"/tags/{MERGED_TAG}")["artifact_id"]
        lineage = f"/artifacts/{head}/lineage?depth=10000&limit={PAGE}"
        deep = lineage
        for _ in range(sizes.depth * 3 // PAGE // 2):
            deep = f"{lineage}&cursor={self.read(deep)['next']}"
        return {
            "lineage": lineage,
            "lineage?cursor, deep": deep,
            "lineage?direction=both&include=tags": f"{lineage}&direction=both&include=tags",
        }

    # ------------------------------------------------------------------------------ operations

    def operations(self) -> dict[str, Callable[[int], Ask]]:
        """By name, what a client asks next."""
        pages = {name: self._page(path) for name, path in self._pages.items()}
        return {
            "workflow by tag": self._lookup,
            "workflow by tag, each another": self._lookup_any,
            "workflow by tag, 304": self._unchanged,
            "blob by id": self._blob,
            "tag": self._tag,
            "create workflow": self._creation,
            "move tag": self._move,
            "upload blob": self._upload,
            "patch workflow": self._patch,
            **pages,
        }

    def _next(self, what: str, client: int) -> int:
        return next(self._counts[what, client])

    def _name(self, what: str, client: int) -> str:
        return self.names[(self._next(what, client) * CLIENTS + client) % ASKED]

    def _get(self, path: str) -> Ask:
        return Ask("GET", API + path, 200, self._bytes(path).__eq__)

    def _lookup(self, client: int) -> Ask:
        return self._get(f"/workflows/{self._name('lookup', client)}")

    def _lookup_any(self, client: int) -> Ask:
        # In steps so far apart that one is not asked again soon.
        number = (self._next("any", client) * CLIENTS + client) * 7_919
        name = self._every[number % len(self._every)]
        return Ask("GET", f"{API}/workflows/{name}", 200, lambda body: _is_whole(name, body))

    def _unchanged(self, client: int) -> Ask:
        name = self._name("unchanged", client)
        headers = {"If-None-Match": f'"{self._hashes[name]}"'}
        return Ask("GET", f"{API}/workflows/{name}", 304, b"".__eq__, headers=headers)

    def _blob(self, client: int) -> Ask:
        cas_id = self._hashes[self._name("blob", client)]
        return Ask("GET", f"{API}/cas/{cas_id}", 200, lambda body: _is_named(cas_id, body))

    def _tag(self, client: int) -> Ask:
        return self._get(f"/tags/{self._name('tag', client)}")

    def _page(self, path: str) -> Callable[[int], Ask]:
        # Others that are as many may come in front of them.
        many = _count(self._bytes(path))
        return lambda _: Ask("GET", API + path, 200, lambda said: _count(said) == many)

    def items(self) -> dict[str, int]:
        """How many items each page has that is whole: others looked at as many rows as one may."""
        pages = {name: self._bytes(path) for name, path in self._pages.items()}
        return {name: _count(page) for name, page in pages.items() if _is_whole_page(page)}

    def _creation(self, client: int) -> Ask:
        tag = f"new-{client}-{self._next('create', client)}"
        return _creation(tag, tag)

    def _move(self, client: int) -> Ask:
        version = 1 + self._next("move", client)
        target = self._made[version % 2]
        body = json.dumps({"artifact_id": target, "expected_version": version}).encode()
        wanted = {"version": version + 1, "artifact_id": target}
        path = f"{API}/tags/moved-{client}/move"
        return Ask("POST", path, 200, lambda said: _has(said, wanted), body, JSON)

    def _upload(self, client: int) -> Ask:
        body = blake3(b"%d %d" % (client, self._next("upload", client))).digest(1_024)
        wanted = {"cas_id": f"blake3:{blake3(body).hexdigest()}", "size_bytes": len(body)}
        headers = {"Content-Type": "application/octet-stream"}
        return Ask("POST", f"{API}/cas", 201, lambda said: _has(said, wanted), body, headers)

    def _patch(self, client: int) -> Ask:
        depth = 1 + self._next("patch", client)
        operation = {"op": "add", "path": "/metadata", "value": {"name": f"{client} {depth}"}}
        return Ask(
            "PATCH",
            f"{API}/workflows/patched-{client}",
            200,
            lambda said: _has(said, {"depth": depth, "tag": f"patched-{client}"}),
            json.dumps([operation]).encode(),
            {"Content-Type": "application/json-patch+json"},
        )


def _creation(tag: str, text: str) -> Ask:
    node = {"id": "a", "type": "task", "config": {"text": f"{text} {'x' * 900}"}}
    body = json.dumps({"tag": tag, "workflow": {"nodes": [node], "edges": []}}).encode()
    wanted = {"tag": tag, "tag_version": 1}
    return Ask("POST", f"{API}/workflows", 201, lambda said: _has(said, wanted), body, JSON)


def _has(said: bytes, wanted: dict[str, Any]) -> bool:
    return (
        wanted.items()
        <= {name: value for name, value in json.loads(said).items() if name in wanted}.items()
    )


def _is_named(cas_id: str, content: bytes) -> bool:
    return cas_id == f"blake3:{blake3(content).hexdigest()}"


def _count(said: bytes) -> int:
    page = json.loads(said)
    return len(page.get("items", page.get("moves", ())))


def _is_whole_page(said: bytes) -> bool:
    return _count(said) >= SHORT_PAGE or json.loads(said).get("next") is None


def _is_whole(name: str, said: bytes) -> bool:
    """The stored bytes of the workflow stand in the answer as they are."""
    found = json.loads(said)
    canonical = json.dumps(found["workflow"], sort_keys=True, separators=(",", ":")).encode()
    return bool(found["tag"] == name and _is_named(found["version_hash"], canonical))
