"""Random operations on the server and on a model of it in plain Python agree at every step."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api
from tests.conftest import TOKEN
from tests.handlers.patching import patch

pytestmark = pytest.mark.slow

NODES = "abcde"
TAGS = ("main", "side", "release")
STEPS = 200

#: What a version says, as far as the model cares: the timeout of each node.
Timeouts = tuple[int | None, ...]


@dataclass(eq=False)
class Version:
    """A version: what it says, and the versions whose changes it contains."""

    timeouts: Timeouts
    parents: list["Version"] = field(default_factory=list)
    depth: int = 0

    def contained(self) -> set["Version"]:
        found, level = {self}, {self}
        while level:
            level = {parent for each in level for parent in each.parents} - found
            found |= level
        return found


@dataclass
class Tag:
    """A tag as a list of positions, each with the one it was made from."""

    positions: list[tuple[Version, int | None]] = field(default_factory=list)
    at: int | None = None
    version: int = 0
    is_deleted: bool = False

    @property
    def target(self) -> Version | None:
        return None if self.at is None or self.is_deleted else self.positions[self.at][0]

    def move(self, target: Version) -> None:
        if target is self.target:
            return
        self.positions.append((target, self.at))
        self.at = len(self.positions) - 1
        self.version += 1
        self.is_deleted = False

    def undo(self) -> bool:
        if self.is_deleted:
            return self._step(self.at)
        parent = None if self.at is None else self.positions[self.at][1]
        return self._step(parent)

    def redo(self) -> bool:
        children = [n for n, (_, made_from) in enumerate(self.positions) if made_from == self.at]
        return self._step(children[-1] if children and self.at is not None else None)

    def _step(self, to: int | None) -> bool:
        if to is None:
            return False
        self.at = to
        self.version += 1
        self.is_deleted = False
        return True

    def delete(self) -> bool:
        if self.target is None:
            return False
        self.is_deleted = True
        self.version += 1
        return True


class Model:
    """The reference: no hashes, no database, no HTTP."""

    def __init__(self) -> None:
        self.tags = {name: Tag() for name in TAGS}
        self.whole: dict[Timeouts, Version] = {}

    def create(self, name: str, timeouts: Timeouts) -> None:
        tag = self.tags[name]
        version = self.whole.get(timeouts)
        if version is None:
            parents = [tag.target] if tag.target else []
            version = self.whole[timeouts] = Version(timeouts, parents)
        tag.move(version)

    def patch(self, name: str, node: int, value: int | None) -> bool:
        tag = self.tags[name]
        if tag.target is None:
            return False
        said = list(tag.target.timeouts)
        said[node] = value
        if tuple(said) != tag.target.timeouts:
            tag.move(Version(tuple(said), [tag.target], tag.target.depth + 1))
        return True

    def compact(self, name: str) -> bool:
        tag = self.tags[name]
        if tag.target is None or tag.target.depth == 0:
            return False
        said = tag.target.timeouts
        version = self.whole.setdefault(said, Version(said, [tag.target]))
        tag.move(version)
        return True

    def merge(self, name: str, other: str) -> str | None:
        """The outcome; None where the model cannot tell which ancestor is nearest."""
        tag, theirs = self.tags[name], self.tags[other].target
        ours = tag.target
        if ours is None or theirs is None:
            return "missing"
        common = ours.contained() & theirs.contained()
        inner = {parent for each in common for parent in each.parents}
        nearest = [each for each in common if each not in inner]
        if len(nearest) > 1:
            return None
        if not nearest:
            return "unrelated"
        if nearest[0] is theirs:
            return "up_to_date"
        if nearest[0] is ours:
            tag.move(theirs)
            return "fast_forward"
        return self._merge(tag, nearest[0], ours, theirs)

    def _merge(self, tag: Tag, base: Version, ours: Version, theirs: Version) -> str:
        said: list[int | None] = []
        for old, our, their in zip(base.timeouts, ours.timeouts, theirs.timeouts, strict=True):
            if old not in {our, their} and our != their:
                return "conflict"
            said.append(our if our != old else their)
        tag.move(Version(tuple(said), [ours, theirs], ours.depth + 1))
        return "merged"


def workflow(timeouts: Timeouts) -> dict[str, Any]:
    nodes = [
        {"id": id_, "type": "task"} | ({} if value is None else {"timeout_ms": value})
        for id_, value in zip(NODES, timeouts, strict=True)
    ]
    return {"nodes": nodes}


class Run:
    """Does each operation on both, and compares."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api, self.model, self.random = api, Model(), random.Random(seed)

    async def step(self) -> None:
        name, other = self.random.choice(TAGS), self.random.choice(TAGS)
        acts: list[tuple[int, Callable[[], Any]]] = [
            (2, lambda: self.create(name)),
            (8, lambda: self.patch(name)),
            (6, lambda: self.walk(name, "undo")),
            (5, lambda: self.walk(name, "redo")),
            (2, lambda: self.delete(name)),
            (2, lambda: self.branch(name, other)),
            (4, lambda: self.merge(name, other)),
            (1, lambda: self.compact(name)),
        ]
        weights = [weight for weight, _ in acts]
        await self.random.choices([act for _, act in acts], weights)[0]()
        for each in TAGS:
            await self.compare(each)

    async def create(self, name: str) -> None:
        timeouts = tuple(self.random.choice([None, 1, 2]) for _ in NODES)
        self.model.create(name, timeouts)
        body = {"tag": name, "workflow": workflow(timeouts)}
        assert (await self.api.post("/workflows", body)).status_code == 201

    async def patch(self, name: str) -> None:
        node, value = self.random.randrange(len(NODES)), self.random.randrange(1, 6)
        done = self.model.patch(name, node, value)
        operation = {"op": "add", "path": f"/nodes/{node}/timeout_ms", "value": value}
        response = await patch(self.api, name, [operation])
        assert response.status_code == (200 if done else 404), response.text

    async def walk(self, name: str, direction: str) -> None:
        tag = self.model.tags[name]
        exists = tag.version > 0
        done = getattr(tag, direction)()
        response = await self.api.post(f"/tags/{name}/{direction}")
        assert response.status_code == (200 if done else 409 if exists else 404)

    async def delete(self, name: str) -> None:
        done = self.model.tags[name].delete()
        response = await self.api.delete(f"/workflows/{name}")
        assert response.status_code == (200 if done else 404)

    async def branch(self, name: str, other: str) -> None:
        target = self.model.tags[other].target
        if target is not None:
            self.model.tags[name].move(target)
        response = await self.api.put(f"/tags/{name}", {"from": other})
        assert response.status_code == (404 if target is None else response.status_code)
        assert response.status_code in {200, 201, 404}

    async def merge(self, name: str, other: str) -> None:
        expected = self.model.merge(name, other)
        if expected is None:
            return
        response = await self.api.post(f"/workflows/{name}/merge", {"from": other})
        refusals = {"missing": 404, "unrelated": 409, "conflict": 409}
        assert response.status_code == refusals.get(expected, 200), (expected, response.text)
        if expected not in refusals:
            assert response.json()["outcome"] == expected

    async def compact(self, name: str) -> None:
        exists = self.model.tags[name].target is not None
        done = self.model.compact(name)
        response = await self.api.post(f"/workflows/{name}/compact", {"move": True})
        assert response.status_code == (200 if done else 409 if exists else 404)

    async def compare(self, name: str) -> None:
        tag = self.model.tags[name]
        response = await self.api.get(f"/workflows/{name}")
        if tag.target is None:
            assert response.status_code == 404
            return
        body = response.json()
        assert body["workflow"] == workflow(tag.target.timeouts)
        assert (body["tag_version"], body["depth"]) == (tag.version, tag.target.depth)


@pytest.mark.parametrize("seed", range(4))
async def test_two_hundred_random_operations_agree_with_the_model_at_every_step(
    make_app: Callable[..., Edge], seed: int
) -> None:
    async with Api.on(make_app(access_log=False, log_level="warning"), TOKEN) as api:
        run = Run(api, seed)
        for _ in range(STEPS):
            await run.step()
        for name in TAGS:
            versions = run.model.tags[name].version
            if versions:
                found = (await api.get(f"/tags/{name}/history", params={"limit": 1000})).json()
                assert [item["seq"] for item in found["items"]] == list(range(versions, 0, -1))
