"""The program that bench.limit_app is, and how it is asked: by lookups, and for commits."""

import json
import sys
from dataclasses import replace

from bench.material import cas_id, document
from bench.ours_api import TAGS, same
from bench.program import Answer, Program
from bench.task import Figure, Reads, Task, timed
from bench.work import Work

WARM_SECONDS = 0.2


class Limit(Program):
    """Not a peer: what would be left if the product did nothing but ask its database."""

    name = "asgi-select"
    also = ("commit",)
    ready_path = "/lookup-0"

    @classmethod
    def missing(cls) -> str | None:
        return None

    def command(self, port: int) -> list[str]:
        folder = str(self.folder / "data")
        return [sys.executable, "-m", "bench.limit_app", "--folder", folder, "--port", str(port)]

    def task(self, work: Work, contender: str) -> Task:
        if contender == "commit":
            return Commits(self, work.connections)
        return _lookup(self, work)


class Commits:
    """Rows of 1 KiB, each in a transaction of its own, written by the program itself."""

    def __init__(self, limit: Limit, connections: int) -> None:
        self._limit = limit
        self._connections = connections

    def warm(self) -> None:
        self.round(WARM_SECONDS)

    def round(self, seconds: float) -> Figure:
        path = f"/commit?connections={self._connections}&seconds={seconds}"
        before = self._limit.cpu_seconds()
        answer = self._limit.wanted("GET", path, 200)
        used = self._limit.cpu_seconds() - before
        took = json.loads(answer.body)
        return replace(timed(took, seconds), cpu_seconds=used, pss_mib=self._limit.pss_mib())


def _lookup(limit: Limit, work: Work) -> Reads:
    contents = [document(f"lookup-{number}") for number in range(TAGS)]

    def look(index: int) -> Answer:
        answer = limit.wanted("GET", f"/lookup-{index}", 200)
        same(f"document {index}", answer.body, contents[index])
        same(f"the ETag of {index}", answer.headers["ETag"], f'"{cas_id(contents[index])}"')
        return answer

    requests = [limit.raw("GET", f"/lookup-{number}") for number in range(TAGS)]
    return Reads(limit, requests, look, work.connections)
