"""Makes an environment what the lock files ask for, once; it runs nothing of the product.

It needs Python 3.11 or newer and nothing else. `.venv` is ours alone: it is thrown away and made
again when that is simpler than to mend it.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tools.say import Failed, say

if TYPE_CHECKING:
    from tools.sources import Sources

#: What serving needs, and what tests, lint and everything else need.
SERVE = ("requirements.lock",)
DEVELOP = ("requirements.lock", "requirements-dev.lock")
#: What makes the wheel; only deploy/Dockerfile installs it.
BUILD = "requirements-build.lock"
#: Everything in the lowest version that pyproject.toml allows.
LOWEST = ("requirements-lowest.lock",)
#: Everything in the newest version that it allows: of that there is no lock file.
NEWEST = ()
#: What no lock file names, although Litestar asks for it: they make up examples; ours are written.
LEFT_OUT = ("faker", "polyfactory")
#: The lock file that names the installer.
INSTALLER = "requirements-dev.lock"
#: Counted up when an environment is made in another way, so that older ones are made again.
WAY = 2

#: The command. A shell starts it by the path of its Python, which may be too long for `#!`, or have
#: a space in it. Latin-1 reads any path: the path may be in an encoding that is not ours.
COMMAND = """\
#!/bin/sh
# -*- coding: latin-1 -*-
'''exec' {python} "$0" "$@"
' '''
import sys
from orchestrator.cli.main import main
sys.exit(main())
"""


def cache_folder() -> Path | None:
    """Find where downloads are kept for the next time; None if we may not write there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    place = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    return cache / "orchestrator-dev" if os.access(place, os.W_OK) else None


class Environment:
    """A folder like `.venv`, for one Python and some lock files."""

    def __init__(self, root: Path, folder: str, locks: Sequence[str]) -> None:
        self._root = root
        self._venv = root / folder
        self._locks = locks

    @property
    def python(self) -> str:
        """The path of its Python."""
        return str(self._venv / "bin" / "python")

    def program(self, name: str) -> str:
        """Find the path of one of its programs."""
        return str(self._venv / "bin" / name)

    def is_ready(self) -> bool:
        """Tell whether it is complete, and made from the lock files as they are now."""
        found = self._found()
        return (
            bool(self._locks)
            and found[:1] == self._head()
            and set(self._lines(self._locks)) <= set(found)
        )

    def make(self) -> None:
        """Make it ready; whoever comes second waits, and then finds the work done."""
        folder = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self.is_ready() or not os.access(self.python, os.X_OK):
                self._make(folder)
        except subprocess.CalledProcessError as error:
            raise self._explained("see above") from error
        except OSError as error:
            raise Failed(f"The installation failed: {error}.") from error
        finally:
            os.close(folder)

    def _make(self, lock: int) -> None:
        # Imported here: an environment that is ready has no use for these.
        import venv  # noqa: PLC0415

        from tools.uv import Pin, install_uv  # noqa: PLC0415

        if self._venv.exists() and os.geteuid() not in {0, self._venv.stat().st_uid}:
            owned = f"{self._venv} belongs to another user and is out of date"
            raise Failed(f"{owned}: remove it, then run again.")
        started = time.monotonic()
        before = self._found()
        # From here on a crash means that it is made again from the start.
        self._stamp.unlink(missing_ok=True)
        reused = before[:1] == self._head() and _says("ready", self.python, "-c", "print('ready ')")
        if not reused:
            version = ".".join(map(str, sys.version_info[:2]))
            say(f"Making {self._venv.relative_to(self._root)} with Python {version} (once) ...")
            venv.create(self._venv, clear=True, symlinks=True)
        try:
            pin = Pin((self._root / INSTALLER).read_text(encoding="utf-8"))
            if not _says(pin.version, self.program("uv"), "--version"):
                install_uv(pin, self._sources, cache_folder(), self._venv / "bin")
        except (Failed, ValueError, OSError) as error:
            raise self._explained(str(error)) from error
        self._install(lock)
        self._link()
        # What was installed from a lock file that is unchanged is still there.
        there = [line for line in self._lines(DEVELOP) if reused and line in before]
        lines = dict.fromkeys([*self._head(), *self._lines(self._locks), *there])
        new = self._stamp.with_suffix(".new")
        new.write_bytes(os.fsencode("\n".join(lines)))
        new.replace(self._stamp)
        say(f"Installed in {time.monotonic() - started:.1f} s.")

    def _install(self, lock: int) -> None:
        words = [
            "--no-deps",
            "--require-hashes",
            *(f"--requirements={name}" for name in self._locks),
        ]
        texts = [(self._root / name).read_text(encoding="utf-8") for name in self._locks]
        count = len(set(re.findall(r"^[a-z0-9][^ =]*(?===)", "\n".join(texts), re.MULTILINE)))
        if not self._locks:
            words = ["--upgrade", "-r", "pyproject.toml", "--extra", "embedded", "--group", "dev"]
        say(f"Installing {count or 'the newest'} packages from {self._sources.place()} ...")
        uv = (self.program("uv"), "pip", "install", "--quiet", "--compile-bytecode")
        self._run(lock, *uv, "--python", self.python, *words)

    def _link(self) -> None:
        """Make the sources importable, and the command.

        The line of the .pth file is relative: Python reads it in the encoding of the locale, and
        does not start at all if the path has a letter that the locale lacks.
        """
        (site,) = self._venv.glob("lib/python*/site-packages")
        (site / "orchestrator.pth").write_text(os.path.relpath(self._root, site) + "\n")
        command = self._venv / "bin" / "orchestrator"
        command.write_bytes(os.fsencode(COMMAND.format(python=shlex.quote(self.python))))
        command.chmod(0o755)

    @cached_property
    def _sources(self) -> "Sources":
        # Imported here: an environment that is ready has no use for it.
        from tools.sources import Sources  # noqa: PLC0415

        return Sources(os.environ)

    @property
    def _stamp(self) -> Path:
        return self._venv / "dev-stamp"

    def _head(self) -> list[str]:
        """Say what makes it another environment. Scripts in it hold the path: it must not move."""
        python = "{}.{}".format(*sys.version_info)
        return [f"{WAY} {python} {self._root}"]

    def _lines(self, locks: Sequence[str]) -> list[str]:
        """Make a line for each lock file: its name and what is in it."""
        files = [self._root / name for name in locks]
        return [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]

    def _found(self) -> list[str]:
        with contextlib.suppress(OSError):
            return os.fsdecode(self._stamp.read_bytes()).split("\n")
        return []

    def _run(self, lock: int, *command: str) -> None:
        """Run a program that inherits the lock: if we are killed, the next one waits for it too."""
        environ = self._sources.uv_environ()
        if cache_folder() is None:
            environ.setdefault("UV_NO_CACHE", "1")
        # In seconds, for each file: a machine that is busy or asleep is no error.
        environ.setdefault("UV_COMPILE_BYTECODE_TIMEOUT", "600")
        for name in ("PYTHONHOME", "PYTHONPATH"):
            environ.pop(name, None)
        subprocess.run(
            command,
            check=True,
            cwd=self._root,
            env=environ,
            stdin=subprocess.DEVNULL,
            pass_fds=[lock],
        )

    def _explained(self, what: str) -> Failed:
        return Failed(
            f"The installation failed: {what.rstrip('.')}.\n"
            f"It used {self._sources.describe()}.\n"
            f"Mend what is wrong there, or make room, then run the same command again."
        )


def _says(word: str, *command: str) -> bool:
    """Tell whether a program can be started, succeeds and prints the word."""
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0 and word in done.stdout.decode(errors="replace").split(" ")
