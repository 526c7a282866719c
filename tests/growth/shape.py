"""What a store of a given size holds: rows for every table, made in Python; nothing is written.

Shapes that real stores have and that cost something: chains of a thousand patches, a history with
as many merges, a version with thousands of children, a tag with a tenth of all moves, operations
that thousands of patches share. And what is rare in a store of any size, for those who look for it:
models, deleted tags, and what one person did.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from blake3 import blake3

from orchestrator.documents.manifest import meta_digests, write_manifest

NAMESPACES = ("default", "team-a", "team-b", "team-c")
BUSY_SHARE = 0.75
DOCUMENT_BYTES = 1_024
OPERATIONS = 1_000
START = datetime(2025, 1, 1, tzinfo=UTC)
MILLISECONDS = 15_000  # From one artifact to the next.
#: From the first to the last move of a tag.
MOVING = timedelta(days=180)
BUSY_TAG, MERGED_TAG, DEEP_TAG = (f"flow-{number:07d}" for number in range(3))
#: Who does most, and who does little.
ROBOT, PERSON = "bench", "ann"
#: So many there are of what is rare, in a store of any size.
RARE = 200
#: Where in each group of tags is one that names a model, was deleted, or was moved by a person.
MODELS_PLACE, DELETED_PLACE, PERSONS_PLACE = 5, 6, 7
#: So many tags move in one transaction.
TOGETHER = 10


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many of each; the default is a store that has been in use for years."""

    artifacts: int = 1_000_000
    blobs: int = 1_000_000
    #: Three quarters are in one namespace: 200,000 tags and a million moves.
    tags: int = 268_000
    moves: int = 1_340_000
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
    #: Of one that is named by its manifest.
    name: str | None = None
    meta: dict[str, Any] | None = None
    by: str = ROBOT

    @property
    def manifest(self) -> bytes | None:
        """Its content, if that is one."""
        if self.meta is None:
            return None
        return write_manifest(kind=self.kind, name=self.name, blobs=(), meta=self.meta)


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
    models: list[int] = field(default_factory=list)
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
        milliseconds = int(self.made_at(number).timestamp() * 1_000)
        bits = self._random.getrandbits(74)
        low = 0b10 << 62 | bits & (1 << 62) - 1
        self.ids.append(UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | low))
        self.made.append(made)
        if document is None:
            document, self._documents = self._documents, self._documents + 1
        self.documents.append(document)
        if made.kind not in {"run_snapshot", "model"}:
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
        before = len(self.made)
        while len(self.made) < self.sizes.artifacts:
            done = (len(self.made) - before) / (self.sizes.artifacts - before)
            if len(self.models) < RARE * done:
                self._model()
            self._project()
        while len(self.models) < RARE:
            self._model()

    def _model(self) -> None:
        number = len(self.models)
        meta = {"owner": PERSON, "number": number}
        made = Made(0, "model", name=f"model-{number:03d}", meta=meta, by=PERSON)
        self.models.append(self._add(made))

    def _data_set(self, namespace: int) -> None:
        number = len(self.made)
        meta = {"stage": "trial" if number % 2 else "final", "number": number}
        self._add(Made(namespace, "dataset", name=f"set-{number % 1_000:03d}", meta=meta))

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
        if self._random.random() < 0.3:
            self._data_set(namespace)

    # ------------------------------------------------------------------------------------- rows

    def blobs(self) -> Iterator[tuple[object, ...]]:
        """cas_id, size_bytes, media_type, content. Content that nothing names is leased."""
        manifests = {
            self.documents[number]: content
            for number, made in enumerate(self.made)
            if (content := made.manifest) is not None
        }
        for number in range(self._documents):
            content = manifests.get(number) or document(number)
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
                1 if made.meta is None else None,
                0 if made.meta is None else None,
                made.name,
                "{}" if made.meta is None else msgspec.json.encode(made.meta).decode(),
                made.by,
                self.made_at(number),
            )

    def made_at(self, number: int) -> datetime:
        """When an artifact was made."""
        return START + timedelta(milliseconds=number * MILLISECONDS)

    def members(self) -> Iterator[tuple[object, ...]]:
        """namespace, digest, artifact_id."""
        for number, made in enumerate(self.made):
            for digest in meta_digests(made.meta or {}):
                yield NAMESPACES[made.namespace], digest, self.ids[number]

    def lineage(self) -> Iterator[tuple[object, ...]]:
        """child_id, parent_id, relation."""
        return ((self.ids[child], self.ids[parent], why) for child, parent, why in self.edges)

    def transactions(self) -> Iterator[tuple[object, ...]]:
        """transaction_id, namespace, made_by, made_at."""
        for number in range(self.asked_tags // TOGETHER):
            made_at = self._moved_at(number * TOGETHER, 2)
            by = PERSON if number % (self.asked_tags // TOGETHER // RARE or 1) == 0 else ROBOT
            yield self.transaction(number), NAMESPACES[0], by, made_at

    def transaction(self, number: int) -> UUID:
        """The id of a transaction, with the time of its making in front."""
        milliseconds = int(self._moved_at(number * TOGETHER, 2).timestamp() * 1_000)
        return UUID(int=milliseconds << 80 | 7 << 76 | 0b10 << 62 | number)

    def moves(self) -> Iterator[tuple[object, ...]]:
        """The columns in the order of fill.MOVE, tag by tag."""
        for tag in range(self.sizes.tags):
            yield from self._moves_of(tag)

    def _moves_of(self, tag: int) -> Iterator[tuple[object, ...]]:
        namespace, count = self._namespace_of(tag), self._count(tag)
        last: UUID | None = None
        for seq in range(1, count + 1):
            is_last = seq == count
            number = self._target(tag, seq, is_last=is_last)
            is_deleted = number is None
            target = None if number is None else self.ids[number]
            is_person = is_last and self._rare(tag) == PERSONS_PLACE
            is_together = namespace == 0 and seq == 2
            yield (
                NAMESPACES[namespace],
                f"flow-{tag:07d}",
                seq,
                "create" if last is None else "delete" if is_deleted else "move",
                last,
                target,
                None if last is None else seq - 1,
                None,
                PERSON if is_person else ROBOT,
                self._moved_at(tag, seq),
                self.transaction(tag // TOGETHER) if is_together else None,
            )
            last = target

    def _target(self, tag: int, seq: int, *, is_last: bool) -> int | None:
        """The number of the artifact that a tag named after a move; None if it was deleted."""
        if is_last:
            if (first := {1: self.merged, 2: self.deep}.get(tag)) is not None:
                return first
            place = self._rare(tag)
            if place == MODELS_PLACE:
                return self.models[tag // self._group % len(self.models)]
            if place == DELETED_PLACE:
                return None
        targets = self.targets[self._namespace_of(tag)]
        # A prime, so that tags whose names are close name what was made at any time.
        return targets[(tag * 104_729 + seq % 1_000) % len(targets)]

    @property
    def _group(self) -> int:
        """What is rare is spread over the names: one of each for so many tags."""
        return self.asked_tags // RARE or 1

    def _rare(self, tag: int) -> int | None:
        """The place of a tag in its group, if there is something rare in it."""
        group, place = divmod(tag, self._group)
        return place if self._namespace_of(tag) == 0 and group < RARE else None

    def workflow_tags(self) -> list[str]:
        """Those of the first namespace that name workflows, without the first three."""
        found = []
        for tag in range(3, self.asked_tags):
            number = self._target(tag, self._count(tag), is_last=True)
            if number is not None and self.made[number].kind in {"dag_version", "patch_set"}:
                found.append(f"flow-{tag:07d}")
        return found

    @property
    def asked_tags(self) -> int:
        """Those of the first namespace; a whole number of transactions."""
        return int(self.sizes.tags * BUSY_SHARE) // TOGETHER * TOGETHER

    def _count(self, tag: int) -> int:
        """How many moves a tag has made."""
        busy = self.sizes.moves // 10
        each, more = divmod(self.sizes.moves - busy, self.sizes.tags - 1)
        return busy if tag == 0 else each + (tag <= more)

    def _moved_at(self, tag: int, seq: int) -> datetime:
        """Tags begin at any time within as long as each of them moves."""
        begun = tag * 7_919 % self.sizes.tags / self.sizes.tags
        return START + MOVING * (begun + (seq - 1) / max(1, self._count(tag) - 1))

    def _namespace_of(self, tag: int) -> int:
        if tag < self.asked_tags:
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
