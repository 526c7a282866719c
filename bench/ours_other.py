"""What only our server is asked to do: small reads beside large writes, patches, starts."""

import http.client
import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench.load import WrongAnswers
from bench.material import cas_id, document, large, large_document
from bench.ours_api import BYTES, CAS, WORKFLOWS, create_workflows, same, workflow_of
from bench.program import Program
from bench.stream import send
from bench.task import Figure, Reads, timed

UPLOADERS = 2
IDLE_SECONDS = 1.0
WARM_SECONDS = 0.3
PATCH = {"Content-Type": "application/json-patch+json"}


class WhileUploading:
    """The reads, while two clients upload 64 MiB that are new, one after the other."""

    def __init__(self, ours: Program, reads: Reads) -> None:
        self._ours = ours
        self._reads = reads

    def warm(self) -> None:
        self.round(WARM_SECONDS)

    def round(self, seconds: float) -> Figure:
        stop = threading.Event()
        with ThreadPoolExecutor(UPLOADERS) as pool:
            uploads = [pool.submit(self._upload_until, stop) for _ in range(UPLOADERS)]
            try:
                figure = self._reads.round(seconds)
            finally:
                stop.set()
            for each in uploads:
                each.result()
        # Most of what the processes used, they used for the uploads.
        return replace(figure, cpu_seconds=None)

    def _upload_until(self, stop: threading.Event) -> None:
        connection = self._ours.connect()
        while True:
            content = large(secrets.token_hex(8))
            headers = {**self._ours.headers, **BYTES}
            answer = send(connection, "POST", CAS, headers, content)
            same("the name of an upload", json.loads(answer.body).get("cas_id"), cas_id(content))
            if stop.is_set():
                break
        connection.close()


class Patches:
    """Each connection patches a workflow of its own."""

    def __init__(self, ours: Program, connections: int) -> None:
        self._ours = ours
        self._tags = [f"patch-{secrets.token_hex(6)}" for _ in range(connections)]
        self._done = dict.fromkeys(self._tags, 0)
        create_workflows(ours, {tag: large_document(tag) for tag in self._tags})

    def warm(self) -> None:
        self.round(WARM_SECONDS)

    def round(self, seconds: float) -> Figure:
        before = self._ours.cpu_seconds()
        started = time.perf_counter()
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(len(self._tags)) as pool:
            took = list(pool.map(lambda tag: self._patch(tag, deadline), self._tags))
        passed = time.perf_counter() - started
        used = self._ours.cpu_seconds() - before
        for tag, number in self._done.items():
            found = workflow_of(self._ours, tag)
            same(f"the version of {tag}", found["tag_version"], 1 + number)
            same(f"the depth of {tag}", found["depth"], number)
            same(f"what {tag} has", found["workflow"]["nodes"][number % 400]["timeout_ms"], number)
        each = [one for some in took for one in some]
        return replace(timed(each, passed), cpu_seconds=used, pss_mib=self._ours.pss_mib())

    def _patch(self, tag: str, deadline: float) -> list[float]:
        connection = self._ours.connect()
        took: list[float] = []
        while not took or time.monotonic() < deadline:
            self._done[tag] += 1
            number = self._done[tag]
            path = f"/nodes/{number % 400}/timeout_ms"
            body = json.dumps([{"op": "add", "path": path, "value": number}]).encode()
            headers = {**self._ours.headers, **PATCH}
            started = time.perf_counter()
            answer = send(connection, "PATCH", f"{WORKFLOWS}/{tag}", headers, body)
            took.append(time.perf_counter() - started)
            if answer.status != 200:
                raise WrongAnswers(f"a patch was answered with {answer.status} {answer.body!r}")
        connection.close()
        return took


class Restart:
    """The server ends, and starts again on its data."""

    def __init__(self, ours: Program) -> None:
        self._ours = ours
        self._document = document("start")
        create_workflows(ours, {"start": self._document})

    def warm(self) -> None:
        self._ours.stop()
        self._ours.start()

    def round(self, seconds: float) -> Figure:
        del seconds  # A start takes what it takes.
        self._ours.stop()
        started = time.perf_counter()
        self._ours.start()
        took = time.perf_counter() - started
        try:
            self._ours.wanted("GET", "/health/ready", 200)
        except (OSError, http.client.HTTPException) as error:
            raise WrongAnswers(f"not ready after all: {error}") from error
        found = workflow_of(self._ours, "start")
        same("the document after the start", found["workflow"], json.loads(self._document))
        time.sleep(IDLE_SECONDS)
        return Figure(start_seconds=took, pss_mib=self._ours.pss_mib())
