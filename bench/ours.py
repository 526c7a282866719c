"""Our server as it is shipped, and how it is asked to do each work that reads."""

import json
from collections.abc import Callable

from bench import ours_other, ours_upload, ours_write
from bench.load import WrongAnswers
from bench.material import LARGE_BYTES, blob, cas_id, document, large
from bench.ours_api import BYTES, CAS, TAGS, WORKFLOWS, create_workflows
from bench.program import Answer, Program
from bench.server import Server
from bench.stream import Downloads, send
from bench.task import Reads, Task, Writes
from bench.work import OURS, Work

BLOBS = 300


class Ours(Program):
    """`orchestrator serve` with its defaults: tokens are checked, each request is logged."""

    name = OURS
    also = ("ours-200",)
    _server: Server | None = None

    @classmethod
    def missing(cls) -> str | None:
        return None

    def start(self) -> None:
        """Also again, on the data that is there."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._server = Server(self.folder / "data", stderr=log, log_level="info")
        self.address, self.headers = self._server.address, self._server.headers

    def stop(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None

    def pid(self) -> int:
        assert self._server is not None
        return self._server.process.pid

    def task(self, work: Work, contender: str) -> Task:
        if contender == "ours-200":
            return _lookup(self, work)
        return TASKS[work.name](self, work)


def _lookup(ours: Ours, work: Work) -> Reads:
    documents = _seeded(ours)

    def look(index: int) -> Answer:
        content = documents[index]
        answer = ours.wanted("GET", f"{WORKFLOWS}/lookup-{index}", 200)
        if answer.headers["ETag"] != f'"{cas_id(content)}"':
            raise WrongAnswers(f"the ETag of lookup-{index} is {answer.headers['ETag']}")
        if not answer.body.endswith(b'"workflow":' + content + b"}"):
            raise WrongAnswers(f"lookup-{index} has another document: {answer.body!r}")
        return answer

    requests = [ours.raw("GET", f"{WORKFLOWS}/lookup-{n}") for n in range(TAGS)]
    return Reads(ours, requests, look, work.connections)


def _lookup_304(ours: Ours, work: Work) -> Reads:
    known = [{"If-None-Match": f'"{cas_id(content)}"'} for content in _seeded(ours)]

    def look(index: int) -> Answer:
        given = known[index]
        answer = ours.wanted("GET", f"{WORKFLOWS}/lookup-{index}", 304, headers=given)
        if answer.body or answer.headers["ETag"] != given["If-None-Match"]:
            raise WrongAnswers(f"lookup-{index}: {answer.headers['ETag']} {answer.body!r}")
        return answer

    requests = [
        ours.raw("GET", f"{WORKFLOWS}/lookup-{n}", headers=given) for n, given in enumerate(known)
    ]
    return Reads(ours, requests, look, work.connections)


def _seeded(ours: Ours) -> list[bytes]:
    documents = [document(f"lookup-{number}") for number in range(TAGS)]
    create_workflows(ours, {f"lookup-{n}": content for n, content in enumerate(documents)})
    return documents


def _blobs(size: int) -> Callable[[Ours, Work], Reads]:
    def task(ours: Ours, work: Work) -> Reads:
        contents = [blob(f"blob-{number}", size) for number in range(BLOBS)]
        names = [cas_id(content) for content in contents]
        connection = ours.connect()
        for content, name in zip(contents, names, strict=True):
            answer = send(connection, "POST", CAS, {**ours.headers, **BYTES}, content)
            if json.loads(answer.body).get("cas_id") != name:
                raise WrongAnswers(f"an upload was answered with {answer.body!r}")
        connection.close()

        def look(index: int) -> Answer:
            answer = ours.wanted("GET", f"{CAS}/{names[index]}", 200)
            if answer.body != contents[index]:
                raise WrongAnswers(f"{names[index]} has other bytes")
            return answer

        requests = [ours.raw("GET", f"{CAS}/{name}") for name in names]
        return Reads(ours, requests, look, work.connections)

    return task


def _download(ours: Ours, work: Work) -> Downloads:
    content = large("download")
    name = cas_id(content)
    answer = send(ours.connect(), "POST", CAS, {**ours.headers, **BYTES}, content)
    if json.loads(answer.body).get("size_bytes") != LARGE_BYTES:
        raise WrongAnswers(f"an upload was answered with {answer.body!r}")
    return Downloads(ours, f"{CAS}/{name}", name, work.connections)


def _mixed(ours: Ours, work: Work) -> ours_other.WhileUploading:
    reads = _lookup(ours, work)
    reads.pause_ms = 10
    return ours_other.WhileUploading(ours, reads)


TASKS: dict[str, Callable[[Ours, Work], Task]] = {
    "lookup": _lookup,
    "lookup-304": _lookup_304,
    "blob-1k": _blobs(1024),
    "blob-64k": _blobs(64 * 1024),
    "download-64m-1": _download,
    "download-64m-8": _download,
    "upload-64m": lambda ours, _: ours_write.large_uploads(ours),
    "upload-1k": lambda ours, work: Writes(ours, ours_upload.Uploads(ours), work.connections),
    "create": lambda ours, work: Writes(ours, ours_write.Creates(ours), work.connections),
    "artifact": lambda ours, work: Writes(ours, ours_write.Artifacts(ours), work.connections),
    "create-1": lambda ours, work: Writes(ours, ours_write.Creates(ours), work.connections),
    "move": lambda ours, work: Writes(ours, ours_write.Moves(ours), work.connections),
    "mixed": _mixed,
    "patch": lambda ours, work: ours_other.Patches(ours, work.connections),
    "patch-4": lambda ours, work: ours_other.Patches(ours, work.connections),
    "start": lambda ours, _: ours_other.Restart(ours),
}
