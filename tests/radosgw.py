"""A real S3 server for tests, Ceph's radosgw from Debian's packages; a mock it is not.

One monitor, one storage daemon in memory and one gateway, on loopback, in a temporary folder. The
first test of a run that asks starts them, the other workers find them, and a supervisor ends them
with the run's first process, however that one ends.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.request import Request, urlopen
from uuid import uuid4

import msgspec
import obstore
import pytest
from obstore.store import S3Store

FOLDER_VARIABLE = "TEST_RADOSGW_FOLDER"
PACKAGES = "ceph-mon ceph-osd radosgw"
PROGRAMS = (
    "ceph",
    "ceph-authtool",
    "ceph-mon",
    "ceph-osd",
    "monmaptool",
    "radosgw",
    "radosgw-admin",
)
BUCKET = "tests"
_START_SECONDS = 60
_PR_SET_PDEATHSIG = 1

Daemon: TypeAlias = "subprocess.Popen[bytes]"

_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}
public addr = 127.0.0.1
run dir = {folder}
log file = {folder}/$name.log
mon data = {folder}/mon
mon data avail crit = 0
osd data = {folder}/osd
rgw data = {folder}/rgw
keyring = {folder}/keyring
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default pg num = 1
mon cluster log to file = false
osd pool default pg autoscale mode = off
rgw rados pool pg num min = 1
paxos propose interval = 0.05
"""


class Gateway(msgspec.Struct, frozen=True):
    """Where the server is, and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str
    folder: str

    def environ(self) -> dict[str, str]:
        """The variables by which a client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def index(self, prefix: str) -> list[str]:
        """The names in the bucket's index, those of unfinished uploads included."""
        command = ["bucket", "list", f"--bucket={BUCKET}", "--max-entries=100000"]
        entries = json.loads(_run(Path(self.folder), "radosgw-admin", *command))
        return [each["name"] for each in entries if prefix in each["name"]]

    @contextlib.contextmanager
    def another(self) -> Iterator[tuple["Gateway", Daemon]]:
        """A second gateway to the same cluster, which a test may kill."""
        port = _free_port()
        process = _spawn_gateway(Path(self.folder), port)
        try:
            other = msgspec.structs.replace(self, endpoint=f"http://127.0.0.1:{port}")
            _await_answer(other.endpoint, time.monotonic() + 30)
            yield other, process
        finally:
            process.kill()
            process.wait()


# ---------------------------------------------------------------------- pytest's side


def pytest_configure(config: pytest.Config) -> None:
    """The run's first process names the folder; its workers inherit the name."""
    if FOLDER_VARIABLE not in os.environ:
        folder = tempfile.mkdtemp(prefix="orchestrator-radosgw-")
        os.environ[FOLDER_VARIABLE] = folder
        (Path(folder) / "owner").write_text(str(os.getpid()))


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = Path(os.environ[FOLDER_VARIABLE])
    if (folder / "owner").read_text() == str(os.getpid()):
        stop(folder)


@pytest.fixture(scope="session")
def radosgw() -> Gateway:
    """The run's server, started if nobody has started it."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        message = (
            f"A real S3 server needs {', '.join(missing)}: run tests/install-programs, or "
            f"apt-get install --no-install-recommends {PACKAGES}"
        )
        if "CI" in os.environ:
            pytest.fail(message)
        pytest.skip(message)
    return start(Path(os.environ[FOLDER_VARIABLE]))


@pytest.fixture
def s3_url(radosgw: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of its own in the server's bucket, and the variables that say where that is."""
    for name, value in radosgw.environ().items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid4().hex}"


def start(folder: Path) -> Gateway:
    """Start the server of this folder, or wait until whoever starts it has done so."""
    ready = folder / "ready.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            log = (folder / "supervisor.log").open("wb")
            process = subprocess.Popen(
                [sys.executable, __file__, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest; the supervisor sees it go.
            )
            (folder / "supervisor").write_text(str(process.pid))
            deadline = time.monotonic() + _START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise RuntimeError((folder / "supervisor.log").read_text()[-4000:])
                time.sleep(0.05)
    return msgspec.json.decode(ready.read_bytes(), type=Gateway)


def stop(folder: Path) -> None:
    """End the server, if it was started, and remove the folder."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        supervisor = int((folder / "supervisor").read_text())
        watched = os.pidfd_open(supervisor)
        os.kill(supervisor, signal.SIGTERM)
        select.select([watched], [], [], 20)
        os.close(watched)
    shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------- the supervisor's side


def _run(folder: Path, *command: str) -> bytes:
    """One program to its end; what it says goes into the error if it fails."""
    program, *arguments = command
    done = subprocess.run(
        [program, f"--conf={folder}/ceph.conf", *arguments], capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.decode()[-2000:]}")
    return done.stdout


def _die_with_parent() -> None:
    """Between fork and exec: the daemon gets SIGKILL when the process that started it is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _spawn(folder: Path, *command: str) -> Daemon:
    program, *arguments = command
    with (folder / "daemons.log").open("ab") as log:
        return subprocess.Popen(
            [program, "-f", f"--conf={folder}/ceph.conf", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - Started from a single thread.
        )


def _spawn_gateway(folder: Path, port: int) -> Daemon:
    options = [f"--keyring={folder}/keyring", f"--rgw-frontends=beast endpoint=127.0.0.1:{port}"]
    return _spawn(folder, "radosgw", "--name", "client.admin", *options)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_answer(endpoint: str, deadline: float) -> None:
    while True:
        with contextlib.suppress(OSError):
            urlopen(endpoint, timeout=5).close()
            return
        if time.monotonic() > deadline:
            raise TimeoutError(endpoint)
        time.sleep(0.05)


def _boot(folder: Path, daemons: list[Daemon]) -> Gateway:
    """Bring the cluster up; every daemon dies with this process."""
    fsid, monitor, port = str(uuid4()), _free_port(), _free_port()
    configuration = _CONFIGURATION.format(fsid=fsid, monitor=monitor, folder=folder)
    (folder / "ceph.conf").write_text(configuration)
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    keyring, monitors = f"{folder}/keyring", f"{folder}/monmap"
    (folder / "keyring").touch()
    for name in ("mon.", "osd.0", "client.admin"):
        rights = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"]
        _run(folder, "ceph-authtool", keyring, "--gen-key", "-n", name, *rights)
    address = f"[v2:127.0.0.1:{monitor}]"
    _run(folder, "monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monitors)
    _run(folder, "ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--keyring", keyring)
    daemons.append(_spawn(folder, "ceph-mon", "-i", "a"))
    disk = str(uuid4())
    _run(folder, "ceph", "osd", "new", disk)
    _run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
    daemons.append(_spawn(folder, "ceph-osd", "-i", "0"))
    daemons.append(_spawn_gateway(folder, port))
    gateway = Gateway(
        endpoint=f"http://127.0.0.1:{port}",
        access_key=secrets.token_hex(10),
        secret_key=secrets.token_hex(20),
        folder=str(folder),
    )
    _await_answer(gateway.endpoint, time.monotonic() + _START_SECONDS)
    keys = [f"--access-key={gateway.access_key}", f"--secret-key={gateway.secret_key}"]
    _run(folder, "radosgw-admin", "user", "create", "--uid=test", "--display-name=test", *keys)
    _make_bucket(gateway)
    return gateway


def _make_bucket(gateway: Gateway) -> None:
    """The client has no call for it, but signs any request."""
    store = S3Store(
        BUCKET,
        endpoint=gateway.endpoint,
        access_key_id=gateway.access_key,
        secret_access_key=gateway.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    url = obstore.sign(store, "PUT", "", timedelta(minutes=1))
    with urlopen(Request(url, method="PUT"), timeout=30):
        pass


def _supervise(folder: Path) -> None:
    """Boot, tell, and wait for the end of the run's first process or for SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    owner = os.pidfd_open(int((folder / "owner").read_text()))
    daemons: list[Daemon] = []
    try:
        gateway = _boot(folder, daemons)
        partial = folder / "ready.partial"
        partial.write_bytes(msgspec.json.encode(gateway))
        partial.rename(folder / "ready.json")
        select.select([owner], [], [])
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]))
