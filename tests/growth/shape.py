"""What a store of a given size holds: rows for every table, made in Python; nothing is written.

Shapes that real stores have and that cost something: chains of a thousand patches, a history with
as many merges, a version with thousands of children, a tag with a tenth of all moves, operations
that thousands of patches share.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from blake3 import blake3

NAMESPACES = ("default", "team-a", "team-b", "team-c")
BUSY_SHARE = 0.75
DOCUMENT_BYTES = 1_024
OPERATIONS = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)
MILLISECONDS = 8  # From one artifact to the next.
BUSY_TAG, MERGED_TAG, DEEP_TAG = (f"flow-{number:07d}" for number in range(3))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many of each; the default is a store that has been in use for years."""

    artifacts: int = 1_000_000
    blobs: int = 1_000_000
    tags: int = 200_000
    moves: int = 1_000_000
    keys: int = 100_000
    #: How deep the long chains are, and how many merges the merged one has.
    depth: int = 1_000


class Made(NamedTuple):
    """An artifact before it has an id; others are named by their number."""

    namespace: int
    kind: str
    base: int | None = None
    previous: int | None = None
    depth: int = 0


@dataclass
class World:
    """Everything that refers to something else, in the order in which it was made."""

    sizes: Sizes
    made: list[Made] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)
    #: By number of the artifact: which document is its version.
    documents: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    #: What tags may name, by namespace.
    targets: list[list[int]] = field(default_factory=lambda: [[] for _ in NAMESPACES])
    merged: int = 0
    deep: int = 0
    star: int = 0

    def __post_init__(self) -> None:
        """Decide who stands on whom."""
        self._random = random.Random(7)
        self._documents = 0
        self._lay_out()

    def _add(self, made: Made, document: int | None = None) -> int:
        number = len(self.made)
        milliseconds = int(START.timestamp() * 1_000) + number * MILLISECONDS
        bits = self._random.getrandbits(74)
        low = 0b10 << 62 | bits & (1 << 62) - 1
        self.ids.append(UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | low))
        self.made.append(made)
        if document is None:
            document, self._documents = self._documents, self._documents + 1
        self.documents.append(document)
        if made.kind != "run_snapshot":
            self.targets[made.namespace].append(number)
        return number

    def _patch(self, below: int) -> int:
        under = self.made[below]
        chained = under.kind == "patch_set"
        base, previous = (under.base, below) if chained else (below, None)
        made = Made(under.namespace, "patch_set", base, previous, under.depth + 1)
        number = self._add(made)
        self.edges.append((number, below, "patch_of"))
        return number

    def _lay_out(self) -> None:
        depth = self.sizes.depth
        self.merged = self._add(Made(0, "dag_version"))
        for _ in range(depth):
            theirs, ours = self._patch(self.merged), self._patch(self.merged)
            self.edges.append((ours, theirs, "merged_from"))
            self.merged = ours
        for _ in range(3):
            self.deep = self._add(Made(0, "dag_version"))
            for _ in range(depth):
                self.deep = self._patch(self.deep)
        self.star = self._add(Made(0, "dag_version"))
        for _ in range(depth * 10):
            self._patch(self.star)
        while len(self.made) < self.sizes.artifacts:
            self._project()

    def _project(self) -> None:
        busy = self._random.random() < BUSY_SHARE
        namespace = 0 if busy else self._random.randrange(1, len(NAMESPACES))
        head = self._add(Made(namespace, "dag_version"))
        for _ in range(self._random.randrange(3)):
            newer = self._add(Made(namespace, "dag_version"))
            self.edges.append((newer, head, "revision_of"))
            head = newer
        for _ in range(self._random.randrange(4)):
            head = self._patch(head)
        if self._random.random() < 0.5:
            self._add(Made(namespace, "run_snapshot"), self.documents[head])

    # ------------------------------------------------------------------------------------- rows

    def blobs(self) -> Iterator[tuple[object, ...]]:
        """cas_id, size_bytes, media_type, content. Content that nothing names is leased."""
        for number in range(self._documents):
            content = document(number)
            self.hashes.append(name_of(content))
            yield self.hashes[-1], len(content), "application/json", content
        for number in range(OPERATIONS):
            content = operations(number)
            yield name_of(content), len(content), "application/json-patch+json", content
        for number in range(self.uploads):
            content = upload(number)
            yield name_of(content), len(content), "text/plain", content

    @property
    def uploads(self) -> int:
        return max(0, self.sizes.blobs - self._documents - OPERATIONS)

    def leases(self) -> Iterator[tuple[object, ...]]:
        """cas_id, namespace, media_type, expires_at."""
        expiry = datetime.now(UTC) + timedelta(days=7)
        for number in range(self.uploads):
            yield name_of(upload(number)), NAMESPACES[0], "text/plain", expiry

    def artifacts(self) -> Iterator[tuple[object, ...]]:
        """The columns in the order of fill.ARTIFACT. Needs the hashes of `blobs`."""
        shared = [name_of(operations(number)) for number in range(OPERATIONS)]
        for number, made in enumerate(self.made):
            version = self.hashes[self.documents[number]]
            patch = made.kind == "patch_set"
            yield (
                self.ids[number],
                NAMESPACES[made.namespace],
                made.kind,
                # All children of the star have the same operations.
                shared[0 if made.base == self.star else number % OPERATIONS] if patch else version,
                version,
                b"\x01" + number.to_bytes(32) if made.kind == "run_snapshot" else None,
                None if made.base is None else self.ids[made.base],
                None if made.previous is None else self.ids[made.previous],
                made.depth,
                int(patch),
                1,
                0,
                "bench",
                START + timedelta(milliseconds=number * MILLISECONDS),
            )

    def lineage(self) -> Iterator[tuple[object, ...]]:
        """child_id, parent_id, relation."""
        return ((self.ids[child], self.ids[parent], why) for child, parent, why in self.edges)

    def moves(self) -> Iterator[tuple[object, ...]]:
        """The columns in the order of fill.MOVE, tag by tag."""
        sizes = self.sizes
        busy = sizes.moves // 10
        each, more = divmod(sizes.moves - busy, sizes.tags - 1)
        for tag in range(sizes.tags):
            namespace = self._namespace_of(tag)
            targets = self.targets[namespace]
            count = busy if tag == 0 else each + (tag <= more)
            first = {1: self.merged, 2: self.deep}.get(tag)
            last = None
            for seq in range(1, count + 1):
                number = targets[(tag * 13 + seq % 1_000) % len(targets)]
                if first is not None and seq == count:
                    number = first
                target = self.ids[number]
                action = "create" if last is None else "move"
                yield (
                    NAMESPACES[namespace],
                    f"flow-{tag:07d}",
                    seq,
                    action,
                    last,
                    target,
                    None if last is None else seq - 1,
                    None,
                    "bench",
                    START + timedelta(minutes=seq),
                )
                last = target

    def _namespace_of(self, tag: int) -> int:
        if tag < self.sizes.tags * BUSY_SHARE:
            return 0
        return 1 + tag % (len(NAMESPACES) - 1)

    def keys(self) -> Iterator[tuple[object, ...]]:
        """principal, key, fingerprint, status, headers, body, expires_at."""
        now = datetime.now(UTC)
        for number in range(self.sizes.keys):
            expiry = now + timedelta(days=1, milliseconds=number)
            fingerprint = blake3(b"%d" % number).digest()
            yield f"user-{number % 50}", f"key-{number}", fingerprint, 201, "[]", b"{}", expiry


def document(number: int) -> bytes:
    """A workflow in canonical form."""
    head = b'{"edges":[],"metadata":{"name":"flow %d"},"nodes":[{"config":{"text":"' % number
    tail = b'"},"id":"a","type":"task"}]}'
    return head + b"x" * (DOCUMENT_BYTES - len(head) - len(tail)) + tail


def operations(number: int) -> bytes:
    return b'[{"op":"add","path":"/metadata/description","value":"%d"}]' % number


def upload(number: int) -> bytes:
    return b"uploaded %d\n" % number


def name_of(content: bytes) -> bytes:
    """The cas id as a row has it."""
    return b"\x01" + blake3(content).digest()
