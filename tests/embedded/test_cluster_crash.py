"""The embedded PostgreSQL when something is killed: nothing is lost, nothing is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.embedded.cluster import EmbeddedPostgres
from tests.embedded.clusters import postmaster, query, socket_folder
from tests.processes import is_running, processes_below, wait_until

PARENT = """
import sys
from pathlib import Path
from orchestrator.embedded.cluster import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
sys.stdin.read()
"""

#: What a container is here: processes that see only each other. Whoever is not root keeps their id.
IN_A_CONTAINER = [
    *("unshare", "--pid", "--fork", "--mount-proc"),
    *(() if os.getuid() == 0 else ("--user", "--map-current-user")),
]
#: The first process of a container, which waits for nobody: all that dies stays a zombie.
FIRST = """
import os, signal, subprocess, sys, time
from pathlib import Path
from tests.processes import is_running

def started():
    command = [sys.executable, "-c", sys.argv[2], sys.argv[1]]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)
    assert process.stdout.readline().startswith("postgresql://")
    return process

def others():
    return {int(each.name) for each in Path("/proc").glob("[0-9]*")} - {1}

assert os.getpid() == 1
killed = started()
dead = others()
for number in (signal.SIGSTOP, signal.SIGKILL):
    for pid in sorted(dead):  # Parents first: none waits for another one.
        os.kill(pid, number)
while any(map(is_running, others())):  # PostgreSQL may have started more.
    time.sleep(0.01)
assert others() >= dead, "they stay"
started()
"""


@contextmanager
def parent_of(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that started the cluster there, and the cluster's URL."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        yield parent, parent.stdout.readline().strip()


def test_after_an_unexpected_end_it_starts_again_at_the_same_url(stopped: Path) -> None:
    postgres = EmbeddedPostgres(stopped)
    try:
        url = postgres.start()
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        os.kill(postmaster(stopped), signal.SIGKILL)
        postgres.wait()
        assert postgres.start() == url
        assert query(url, "SELECT value FROM kept") == 1
    finally:
        postgres.stop()


def test_it_is_gone_soon_after_its_parent_was_killed_and_nothing_is_lost(stopped: Path) -> None:
    with parent_of(stopped) as (parent, url):
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        family = processes_below(parent.pid)
        assert len(family) > 5
        parent.kill()
        assert wait_until(lambda: not any(map(is_running, family)))
    postgres = EmbeddedPostgres(stopped)
    try:
        assert query(postgres.start(), "SELECT value FROM kept") == 1
        assert not socket_folder(url).exists()
    finally:
        postgres.stop()


def test_what_is_left_of_a_dead_supervisor_is_ended_first(stopped: Path) -> None:
    lost = EmbeddedPostgres(stopped)
    lost.start()
    stale = postmaster(stopped)
    found = EmbeddedPostgres(stopped)
    try:
        found.start()
        assert not is_running(stale)
        assert postmaster(stopped) != stale
    finally:
        found.stop()
        lost.stop()


def test_the_pid_of_a_dead_postmaster_may_have_been_used_again(stopped: Path) -> None:
    postgres = EmbeddedPostgres(stopped)
    other = subprocess.Popen(["sleep", "60"])
    owner = (stopped / "data").stat()
    file = stopped / "data/postmaster.pid"
    file.write_text(f"{other.pid}\n{stopped}/data\n1\n5432\n/tmp\n\n\nready   \n")
    os.chown(file, owner.st_uid, owner.st_gid)
    try:
        assert query(postgres.start(), "SELECT 1") == 1
        assert other.poll() is None
    finally:
        postgres.stop()
        other.kill()
        other.wait()


def test_a_dead_postmaster_that_nobody_waited_for_does_not_keep_the_next_one_from_starting(
    stopped: Path,
) -> None:
    with parent_of(stopped) as (parent, url):
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        family = processes_below(parent.pid)
        parent.send_signal(signal.SIGSTOP)  # It reaps nobody: they stay zombies.
        for pid in family[1:]:
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not any(map(is_running, family[1:])))
        postgres = EmbeddedPostgres(stopped)
        try:
            assert query(postgres.start(), "SELECT value FROM kept") == 1
        finally:
            postgres.stop()
            parent.kill()


def test_where_the_first_process_waits_for_nobody_a_start_after_a_crash_succeeds(
    stopped: Path,
) -> None:
    subprocess.run(
        [*IN_A_CONTAINER, sys.executable, "-c", FIRST, stopped, PARENT], check=True, timeout=60
    )


def test_a_crash_while_the_cluster_is_made_does_not_block_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert wait_until(lambda: any(folder.glob("initdb-*/data/base")))
        family = processes_below(parent.pid)
        parent.kill()
    assert not (folder / "data").exists()
    for _ in range(2):
        postgres = EmbeddedPostgres(folder)
        try:
            assert query(postgres.start(), "SELECT 1") == 1
        finally:
            postgres.stop()
        assert wait_until(lambda: not any(map(is_running, family)))
    assert not list(folder.glob("initdb-*"))
