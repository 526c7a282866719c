"""A PostgreSQL of somebody else whose disk fills up: once there is room, all goes on by itself.

The disk is a file system in memory, which needs the right to mount one. Each round fills it while
the server is written to, until writes fail or PostgreSQL crashes, and then makes room again.
"""

import asyncio
import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from bench.server import Server
from orchestrator.core.database import connect
from orchestrator.core.database_error import DRIVER_ERRORS
from orchestrator.server.postgres import PostgresSupervisor
from torture.asking import API, OK, ask, check_tags
from torture.run import Run

ROUNDS, ROUNDS_SHORT = 30, 3
DISK_MIB = 256
#: PostgreSQL asks for so much at once when it needs another file of its log.
WAL_BYTES = 16 << 20
#: PostgreSQL must be started again, which is tried with pauses of up to 5 s.
BACK_SECONDS_MAX = 15.0
FULL_SECONDS = (0.5, 6.0)
WRITERS = 4
CREATED = 201
CONFIGURATION = "max_wal_size = 48MB\nmin_wal_size = 32MB\ncheckpoint_timeout = 30s\n"


def full_disk(run: Run) -> None:
    """Fill the disk, make room, and look whether everything is served and there again."""
    with ExitStack() as stack:
        disk = run.folder / "disk"
        if not _mounted(disk, stack):
            run.fail("a file system in memory cannot be mounted: run it as root")
            return
        supervisor = PostgresSupervisor(disk / "postgres")
        stack.callback(supervisor.stop)
        supervisor.start()
        url = supervisor.url.result(60)
        with (disk / "postgres/data/postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        asyncio.run(_execute(url, "SELECT pg_reload_conf()"))
        server = run.server(
            database_url=url, disk_free_bytes_min=0, database_statement_seconds_max=5
        )
        filling = Filling(run, server, disk, url)
        for number in range(ROUNDS_SHORT if run.short else ROUNDS):
            filling.round(number)
        run.say(f"{len(filling.acknowledged)} acknowledged writes; answers: {filling.answers}")


def _mounted(disk: Path, stack: ExitStack) -> bool:
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(command, check=False).returncode:
        return False
    stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=False)
    return True


class Filling:
    """One server on one disk."""

    def __init__(self, run: Run, server: Server, disk: Path, url: str) -> None:
        self._run = run
        self._server = server
        self._ballast = disk / "ballast"
        self._disk = disk
        self._url = url
        self.acknowledged: list[str] = []
        self.answers: Counter[int] = Counter()

    def round(self, number: int) -> None:
        """Fill, wait, make room, wait until a write succeeds."""
        with self._written_to(number):
            time.sleep(self._run.random.uniform(0.1, 0.5))
            self._fill(self._run.random.choice((0, 65_536, WAL_BYTES // 2)))
            if self._run.random.getrandbits(1):
                self._use_log()
            time.sleep(self._run.random.uniform(*FULL_SECONDS))
            self._ballast.unlink()
            began = time.monotonic()
            for path, status in (("/health/ready", OK), ("", CREATED)):
                while self._ask(path, f"back-{number}-{time.monotonic_ns()}") != status:
                    if time.monotonic() > began + BACK_SECONDS_MAX:
                        self._run.fail(f"round {number}: {path or 'a write'} does not come back")
                        break
                    time.sleep(0.05)
            seconds = time.monotonic() - began
        self._run.say(f"round {number}: served again {seconds:.2f} s after there was room")
        check_tags(self._run, self._server, self.acknowledged, f"round {number}")

    def _fill(self, leave_bytes: int) -> None:
        """Take what is free, also what is freed meanwhile."""
        with self._ballast.open("wb") as file, suppress(OSError):
            while (room := _free(self._disk) - leave_bytes) > 0:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room)

    def _use_log(self) -> None:
        """Let PostgreSQL need more files of its log, which ends it if there is no room."""
        with suppress(*DRIVER_ERRORS):
            asyncio.run(_execute(self._url, *["SELECT pg_switch_wal()", "CHECKPOINT"] * 6))

    @contextmanager
    def _written_to(self, number: int) -> Iterator[None]:
        """Several clients write all the time."""
        ending = threading.Event()

        def write(writer: int) -> None:
            for at in count():
                if ending.is_set():
                    return
                status = self._ask("", f"round-{number:03}-{writer}-{at:06}")
                self.answers[status] += 1
                if status != CREATED:
                    time.sleep(0.02)

        writers = [threading.Thread(target=write, args=(each,)) for each in range(WRITERS)]
        for each in writers:
            each.start()
        try:
            yield
        finally:
            ending.set()
            for each in writers:
                each.join()

    def _ask(self, path: str, tag: str) -> int:
        """The status for a path, or of a new workflow."""
        if path:
            return ask(self._server, "GET", path)[0]
        nodes = [{"id": f"{tag}-{at}", "type": "task"} for at in range(20)]
        status, _ = ask(
            self._server,
            "POST",
            f"{API}/workflows",
            json.dumps({"tag": tag, "workflow": {"nodes": nodes, "edges": []}}),
        )
        if status == CREATED:
            self.acknowledged.append(tag)
        return status


async def _execute(url: str, *statements: str) -> None:
    conn = await connect(url, statement_seconds_max=5)
    try:
        for each in statements:
            await conn.execute(each)
    finally:
        conn.terminate()


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
