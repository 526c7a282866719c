"""Measures which blobs are better off in the database and which in files, size by size.

Run it with `.venv/bin/python -m bench.inline [--seconds 2] [--rounds 3]`. Two servers, one that
keeps everything in the database and one that keeps nothing there, are asked in turns. What counts
is the ratio of requests per CPU-second of all processes of a server, and the waiting time of each
request, which is where the disk shows.
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from blake3 import blake3

from bench.server import Server

SIZES = [1, 4, 16, 32, 64, 128, 256, 512, 1024]
CLIENTS = 4
KIB = 1024


class Figure(NamedTuple):
    """One kind of request, of one size, on one server."""

    per_cpu_second: float
    per_second: float
    p50_ms: float


def run(server: Server, seconds: float, requests: list[list[tuple[str, str, bytes]]]) -> Figure:
    waited: list[float] = []
    stop = time.monotonic() + seconds
    before = server.cpu_seconds()

    def client(mine: list[tuple[str, str, bytes]]) -> None:
        connection = server.connect()
        for method, path, body in mine:
            started = time.monotonic()
            if started > stop:
                break
            connection.request(method, path, body=body, headers=server.headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 300
            waited.append(time.monotonic() - started)

    started = time.monotonic()
    threads = [threading.Thread(target=client, args=(mine,)) for mine in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = server.cpu_seconds() - before
    rate = len(waited) / (time.monotonic() - started)
    return Figure(len(waited) / max(used, 0.01), rate, median(waited) * 1000)


def measure(server: Server, size: int, seconds: float) -> tuple[Figure, Figure]:
    seed = os.urandom(8)
    count = max(20, min(2_000, int(seconds * 200_000_000 / CLIENTS / size)))
    bodies = [
        [blake3(seed + b"%d %d" % (client, n)).digest(size) for n in range(count)]
        for client in range(CLIENTS)
    ]
    puts = [[("POST", "/api/v1/cas", body) for body in mine] for mine in bodies]
    written = run(server, seconds, puts)
    names = [f"/api/v1/cas/blake3:{blake3(mine[0]).hexdigest()}" for mine in bodies]
    gets = [[("GET", name, b"")] * 20_000 for name in names]
    return written, run(server, seconds, gets)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inline = Server(Path(folder) / "inline", blob_inline_bytes_max=2 * 1024 * KIB)
        files = Server(Path(folder) / "files", blob_inline_bytes_max=0)
        try:
            print(f"{'KiB':>5} {'':>5} {'in the database':^29} {'in files':^29}  database/files")
            print(f"{'':>11} {'per CPU-s':>10}{'per s':>9}{'p50 ms':>9} " * 2)
            for kib in SIZES:
                rounds = [
                    (
                        measure(inline, kib * KIB, chosen.seconds),
                        measure(files, kib * KIB, chosen.seconds),
                    )
                    for _ in range(chosen.rounds)
                ]
                for at, what in enumerate(("PUT", "GET")):
                    one, other = ([pair[side][at] for pair in rounds] for side in (0, 1))
                    shown = [
                        Figure(*(median(values) for values in zip(*figures, strict=True)))
                        for figures in (one, other)
                    ]
                    ratio = median(
                        a.per_cpu_second / b.per_cpu_second for a, b in zip(one, other, strict=True)
                    )
                    cells = " ".join(
                        f"{f.per_cpu_second:10.0f}{f.per_second:9.0f}{f.p50_ms:9.2f} "
                        for f in shown
                    )
                    print(f"{kib:>5} {what:>5} {cells} {ratio:6.2f}", flush=True)
        finally:
            inline.end()
            files.end()


if __name__ == "__main__":
    main()
