"""Merges of random histories: that no change of a side is lost without a conflict.

Most are merged by the functions alone, some by a server, which must find the same bases, conflicts
and results. What is counted are merges that have several bases.
"""

import json
import random
import time
from collections import Counter
from typing import Any

import msgspec

from bench.server import Server
from torture.merge_history import BRANCHES, History, Merge, crossed
from torture.run import Run

MERGES, MERGES_SHORT = 100_000, 250
SERVED, SERVED_SHORT = 400, 20
FOUND_MAX = 20
SEVERAL = "with several bases"


def merges(run: Run) -> None:
    """Merge random histories, and say what was lost."""
    began = time.process_time()
    seen = Counter[str]()
    _merge_many(run, seen, MERGES_SHORT if run.short else MERGES, None)
    run.say(f"{(time.process_time() - began) / seen['merges'] * 1e6:.0f} µs of CPU time a merge")
    run.say("by functions: " + _figures(seen))
    seen = Counter[str]()
    _merge_many(run, seen, SERVED_SHORT if run.short else SERVED, run.server())
    run.say("by a server: " + _figures(seen))


def _merge_many(run: Run, seen: Counter[str], count: int, server: Server | None) -> None:
    while seen[SEVERAL] < count and len(run.found) < FOUND_MAX:
        seed = run.random.randrange(2**32)
        chance = random.Random(seed)
        if server is None:
            history = History(chance, fresh=bool(seed % 2))
        else:
            history = ServedHistory(chance, fresh=True, server=server, name=f"history-{seed}")
        for merge in crossed(history):
            _count(seen, merge)
            for sentence in merge.wrong():
                run.fail(f"history {seed}: {sentence}")
        if isinstance(history, ServedHistory):
            for sentence in history.wrong:
                run.fail(f"history {seed} on a server: {sentence}")


def _count(seen: Counter[str], merge: Merge) -> None:
    reasons = {each.reason for each in merge.result.conflicts}
    seen["merges"] += 1
    seen[SEVERAL] += len(merge.bases) > 1
    seen["with more than two"] += len(merge.bases) > 2
    seen["with conflicts"] += bool(reasons)
    seen["where bases differ"] += "bases-differ" in reasons


def _figures(seen: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in seen.items())


class ServedHistory(History):
    """A history that a server goes through, too; `wrong` is where it did something else."""

    def __init__(self, chance: random.Random, *, fresh: bool, server: Server, name: str) -> None:
        self.wrong: list[str] = []
        self._connection, self._headers = server.connect(), server.headers
        self._namespace = name
        self._ids: list[str] = []
        super().__init__(chance, fresh)
        first = {"tag": "b0", "workflow": self.versions[0].document}
        self._ids.append(self._ask("POST", "/workflows", first)["artifact_id"])
        for branch in range(1, BRANCHES):
            self._ask("PUT", f"/tags/b{branch}", {"from": "b0"})

    def edit(self, branch: int) -> None:
        """Replace the whole document by a patch."""
        super().edit(branch)
        patch = [{"op": "replace", "path": "", "value": self.versions[-1].document}]
        self._ids.append(self._ask("PATCH", f"/workflows/b{branch}", patch)["artifact_id"])

    def merge(self, branch: int, theirs: int) -> Merge | None:
        """Merge, and compare; conflicts are settled in a second request."""
        path, body = f"/workflows/b{branch}/merge", {"from": self._ids[theirs]}
        merge = super().merge(branch, theirs)
        answer = self._ask("POST", path, body)
        if merge is None:
            if answer.get("outcome") not in ("up_to_date", "fast_forward"):
                self.wrong.append(f"{answer} where one side contains the other")
            return None
        pointers = [each.pointer for each in merge.result.conflicts]
        found = [each["pointer"] for each in answer.get("conflicts", [])]
        self._expect(sorted(pointers), sorted(found))
        if pointers:
            resolutions = msgspec.to_builtins(merge.settlement.resolutions)
            answer = self._ask("POST", path, {**body, "resolutions": resolutions})
        bases = [self._ids[each.number] for each in merge.bases]
        self._expect(sorted(bases), sorted(answer["base_ids"]))
        self._ids.append(answer["result"]["artifact_id"])
        self._expect(
            self.versions[-1].document, self._ask("GET", f"/workflows/b{branch}")["workflow"]
        )
        return merge

    def _expect(self, expected: object, found: object) -> None:
        if expected != found:
            self.wrong.append(f"{found} instead of {expected}")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        kind = "json-patch+json" if method == "PATCH" else "json"
        headers = {**self._headers, "Content-Type": f"application/{kind}"}
        path = f"/api/v1{path}?namespace={self._namespace}"
        self._connection.request(method, path, content, headers)
        return json.loads(self._connection.getresponse().read())
