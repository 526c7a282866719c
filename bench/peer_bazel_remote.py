"""bazel-remote as a peer: a store of blobs by SHA-256. Where it is in PATH; this was not tried."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence

from bench.material import MEGABYTES, blob, cas_id, large
from bench.new_blobs import NewBlobs
from bench.ours_api import BYTES, same
from bench.ours_write import LARGE_UPLOADS_MAX
from bench.program import Answer, Program
from bench.stream import Downloads, send
from bench.task import Calls, Reads, Task, Writes
from bench.work import Work

BLOBS = 300


class BazelRemote(Program):
    """Plain files, no compression, no access log."""

    name = "bazel-remote"
    executable = "bazel-remote"
    ready_path = "/status"

    def command(self, port: int) -> list[str]:
        return [
            self.executable,
            *("--dir", str(self.folder / "data"), "--max_size", "100"),
            *("--http_address", f"127.0.0.1:{port}", "--grpc_address", "none"),
            *("--storage_mode", "uncompressed", "--access_log_level", "none"),
        ]

    def task(self, work: Work, contender: str) -> Task:
        del contender
        return TASKS[work.name](self, work)


def path_of(content: bytes | bytearray) -> str:
    return f"/cas/{hashlib.sha256(content).hexdigest()}"


def _blobs(size: int) -> Callable[[Program, Work], Reads]:
    def task(program: Program, work: Work) -> Reads:
        contents = [blob(f"blob-{number}", size) for number in range(BLOBS)]
        for content in contents:
            program.wanted("PUT", path_of(content), 200, body=content, headers=BYTES)

        def look(index: int) -> Answer:
            answer = program.wanted("GET", path_of(contents[index]), 200)
            same(f"blob {index}", answer.body, contents[index])
            return answer

        requests = [program.raw("GET", path_of(content)) for content in contents]
        return Reads(program, requests, look, work.connections)

    return task


def _download(program: Program, work: Work) -> Downloads:
    content = large("download")
    answer = send(program.connect(), "PUT", path_of(content), BYTES, content)
    same("the answer to an upload", answer.status, 200)
    return Downloads(program, path_of(content), cas_id(content), work.connections)


def _large_uploads(program: Program, _: Work) -> Calls:
    def upload() -> float:
        content = large(secrets.token_hex(8))
        path = path_of(content)
        connection = program.connect()
        started = time.perf_counter()
        answer = send(connection, "PUT", path, BYTES, content)
        took = time.perf_counter() - started
        connection.close()
        same("the answer to an upload", answer.status, 200)
        return took

    return Calls(upload, program, MEGABYTES, LARGE_UPLOADS_MAX)


class Uploads(NewBlobs):
    """A PUT for each blob."""

    statuses: Sequence[int] = (200,)

    def requests(self, contents: Sequence[bytes]) -> list[bytes]:
        return [self.program.raw("PUT", path_of(each), each, BYTES) for each in contents]

    def path(self, content: bytes) -> str:
        return path_of(content)


TASKS: dict[str, Callable[[Program, Work], Task]] = {
    "blob-1k": _blobs(1024),
    "blob-64k": _blobs(64 * 1024),
    "download-64m-1": _download,
    "download-64m-8": _download,
    "upload-64m": _large_uploads,
    "upload-1k": lambda program, work: Writes(program, Uploads(program), work.connections),
}
