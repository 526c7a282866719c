"""A folder that looks like a fresh checkout, and a shell in it that runs the blocks of a page."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.docs.page import ROOT
from tests.warm.client import Warm, put_stand_in
from tools.environment import SERVE, Environment

HELPERS = Path(__file__).parent
BACKGROUND = (sys.executable, str(HELPERS / "background.py"))
#: A second on a machine with nothing else to do.
BLOCK_SECONDS_MAX = 180.0
END_SECONDS_MAX = 20.0
MARK = "~~ the block ended with"
SERVER = re.compile(r"((?:\./dev|orchestrator) serve\b)([^\n&]*)&?$", re.MULTILINE)
PORT = re.compile(r"--port (\d+)")
#: The database that pages name, and its stand-in.
DATABASE = "postgresql://orchestrator:secret@db.example:5432/orchestrator"
#: Folders that pages name as a reader would have them; each run has its own.
PLACES = ("/mnt/backup", "/srv/orchestrator", "/tmp/drill")
#: Not part of a checkout, or made here.
NOT_LINKED = {".git", ".venv", ".orchestrator", "dev"}


def make_checkout(folder: Path) -> Path:
    """All files of the checkout by links; `dev` is a copy, because it follows links to its own."""
    root = folder / "orchestrator"
    root.mkdir(mode=0o700, parents=True)
    for path in ROOT.iterdir():
        if path.name not in NOT_LINKED:
            (root / path.name).symlink_to(path)
    (root / "dev").write_bytes((ROOT / "dev").read_bytes())
    (root / "dev").chmod(0o755)
    _make_environment(root / ".venv")
    # Else `dev` would install into the environment of this test run, by way of the links.
    assert Environment(root, ".venv", SERVE).is_ready(), "run these tests by ./dev test"
    return root


def _make_environment(venv: Path) -> None:
    """The environment of this test run, under the stamp that `dev` looks for."""
    (venv / "bin").mkdir(parents=True)
    for path in Path(sys.prefix).iterdir():
        if path.name != "bin" and not path.name.startswith("dev-"):
            (venv / path.name).symlink_to(path)
    for path in Path(sys.prefix, "bin").iterdir():
        (venv / "bin" / path.name).symlink_to(path)
    for path in (ROOT / ".venv").glob("dev-*"):
        text = path.read_text().replace(str(ROOT), str(venv.parent))
        (venv / path.name).write_text(text)
    (venv / "bin" / "orchestrator").unlink()
    put_stand_in(venv / "bin")


class Checkout:
    """The shell of one page. When it is left, nothing that it started goes on."""

    def __init__(self, folder: Path, database_url: str, warm: Warm) -> None:
        self._folder = folder
        self._database_url = database_url
        self.root = make_checkout(folder)
        self._ports: dict[str, str] = {}
        self._environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("ORCHESTRATOR_", "COV_", "COVERAGE_", "PYTEST_"))
        }
        self._environ |= {"LC_ALL": "C.UTF-8", "DOCS_FOLDER": str(folder)}
        self._environ |= warm.variables()
        self._shell = subprocess.Popen(
            ["/bin/sh"],
            cwd=self.root,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # Some pages are for installed packages. Not by PATH: what `serve` prints depends on that.
        self._send('orchestrator() { .venv/bin/orchestrator "$@"; }')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        subprocess.run([*BACKGROUND, "end"], env=self._environ, check=False)
        try:
            self._shell.wait(0.5)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, signal.SIGKILL)  # A block is under way.
            self._shell.wait()
        self._shell.stdout.close()
        deadline = time.monotonic() + END_SECONDS_MAX
        while left := self._processes():
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"processes were left: {left}")
            time.sleep(0.02)

    def _processes(self) -> list[int]:
        """Those that name our folder in their words or their environment, or are in it."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                said += bytes((entry / "cwd").readlink())
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if bytes(self._folder) in said and state not in ("Z", "X"):
                found.append(int(entry.name))
        return found

    def _send(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{text}\n".encode())
        self._shell.stdin.flush()

    def run(self, script: str) -> tuple[int, str]:
        """The exit code of a block and what it printed, in the words of the page."""
        block = self._folder / "block"
        block.write_text(self._to_run(script))
        self._send(f". {block} </dev/null\nprintf '%s %s\\n' '{MARK}' \"$?\"")
        printed = self._printed()
        ports = self._folder / "ports"
        if ports.exists():
            self._ports = dict(line.split() for line in ports.read_text().splitlines())
        output, _, code = printed.rpartition(MARK)
        return int(code), self._as_written(output)

    def _printed(self) -> str:
        assert self._shell.stdout is not None
        deadline = time.monotonic() + BLOCK_SECONDS_MAX
        printed = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._shell.stdout, selectors.EVENT_READ)
            while not re.search(rf"{MARK} \d+\n\Z".encode(), printed):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"the block takes too long; so far: {printed.decode()}")
                piece = os.read(self._shell.stdout.fileno(), 65_536)
                if not piece:
                    raise AssertionError(f"the block ended the shell: {printed.decode()}")
                printed += piece
        return printed.decode()

    def _to_run(self, script: str) -> str:
        """With the ports and folders of this run; a server that is started goes on behind."""

        def start(found: re.Match[str]) -> str:
            port = PORT.search(found[2])
            options = PORT.sub("", found[2])
            return f"{' '.join(BACKGROUND)} start {port[1] if port else 8080} {found[1]}{options}"

        for written, real in self._ports.items():
            script = script.replace(f":{written}", f":{real}")
        for place in PLACES:
            script = script.replace(place, f"{self._folder}{place}")
        script = script.replace(DATABASE, self._database_url)
        return SERVER.sub(start, script)

    def _as_written(self, output: str) -> str:
        for written, real in self._ports.items():
            output = output.replace(f":{real}", f":{written}")
        return output.replace(f"{self.root}/", "").replace(str(self._folder), "")
