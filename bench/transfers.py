"""Measures memory and rates of large transfers on a real server; it starts its own and cleans up.

Run it with `.venv/bin/python -m bench.transfers [--streams 8] [--mib 4096] [--data-dir DIR]`. Each
stream uploads content of its own, then all are downloaded at once. Memory is the proportional set
size (PSS) of all processes of the server, PostgreSQL included, sampled ten times a second.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from blake3 import blake3

from bench.server import Server

MIB = 1024 * 1024
BASE = os.urandom(MIB)


def content(stream: int, mib: int) -> Iterator[bytes]:
    """The same for the same stream; no two pieces are alike, and none can be compressed."""
    for number in range(mib):
        yield BASE[stream * 64 + 32 :] + b"%16d%16d" % (stream, number) + BASE[: stream * 64]


class Peak:
    """The highest memory of a server while the block runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.mib = 0.0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            self.mib = max(self.mib, self._server.pss_mib())


def upload(server: Server, stream: int, mib: int) -> str:
    connection = server.connect()
    hasher = blake3()

    def pieces() -> Iterator[bytes]:
        for piece in content(stream, mib):
            hasher.update(piece)
            yield piece

    headers = {**server.headers, "Content-Length": str(mib * MIB)}
    connection.request("POST", "/api/v1/cas", body=pieces(), headers=headers)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    assert answer.status == 201, said
    assert said["cas_id"] == f"blake3:{hasher.hexdigest()}", "the answer names other bytes"
    connection.close()
    return str(said["cas_id"])


def download(server: Server, cas_id: str, mib: int) -> None:
    connection = server.connect()
    connection.request("GET", f"/api/v1/cas/{cas_id}", headers=server.headers)
    answer = connection.getresponse()
    assert answer.status == 200
    hasher, size = blake3(), 0
    while piece := answer.read(MIB):
        hasher.update(piece)
        size += len(piece)
    assert size == mib * MIB
    assert cas_id == f"blake3:{hasher.hexdigest()}", "other bytes came"
    connection.close()


def measured(
    what: str, server: Server, idle: float, works: list[Callable[[], object]], mib: int
) -> list[object]:
    started = time.monotonic()
    with Peak(server) as peak, ThreadPoolExecutor(len(works)) as pool:
        results = list(pool.map(lambda work: work(), works))
    seconds = time.monotonic() - started
    rate = len(works) * mib / seconds
    print(
        f"{what:<9}{len(works)} x {mib} MiB in {seconds:6.1f} s  {rate:7.0f} MiB/s"
        f"   peak {peak.mib:6.1f} MiB, {peak.mib - idle:+6.1f} above idle",
        flush=True,
    )
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        server = Server(chosen.data_dir or Path(temporary) / "data")
        try:
            download(server, upload(server, 63, 8), 8)  # What is loaded once is loaded now.
            time.sleep(2)
            idle = server.pss_mib()
            print(f"idle      {idle:.1f} MiB")
            streams = range(chosen.streams)
            ups = [lambda s=s: upload(server, s, chosen.mib) for s in streams]
            names = measured("upload", server, idle, ups, chosen.mib)  # type: ignore[arg-type]  # The default of a lambda has no type.
            downs = [lambda n=n: download(server, str(n), chosen.mib) for n in names]
            measured("download", server, idle, downs, chosen.mib)  # type: ignore[arg-type]  # The default of a lambda has no type.
        finally:
            server.end()


if __name__ == "__main__":
    main()
