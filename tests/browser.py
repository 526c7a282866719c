"""A real Chromium for tests, and packages of npm for its pages. Where they are not installed the
tests are skipped, in CI they fail.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

import pytest

_NAMES = ("chromium", "chromium-browser", "chrome")
_CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
#: Virtual time waits for requests that are under way, so the budget is not a deadline for them.
_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--virtual-time-budget=10000",
]
_SHOW_SECONDS_MAX = 120
_INSTALL_SECONDS_MAX = 120

#: The markup of a page after its scripts have run.
Show: TypeAlias = Callable[[str], str]


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """Opens a page in the browser."""
    if _CHROMIUM is None:
        _lack(f"none of {', '.join(_NAMES)} is installed: run tests/install-programs")
    profile = f"--user-data-dir={tmp_path / 'profile'}"

    def show(url: str) -> str:
        command = [str(_CHROMIUM), *_QUIET, profile, "--dump-dom", url]
        done = subprocess.run(
            command, capture_output=True, check=True, text=True, timeout=_SHOW_SECONDS_MAX
        )
        return done.stdout

    return show


def file_of_npm(cache: Path, package: str, integrity: str, name: str) -> bytes:
    """A file of a package of npm, which is downloaded once; any other content of it is refused."""
    tarball = cache / f"{package.replace('@', '-')}.tgz"
    if not tarball.exists():
        _download(package, tarball)
    digest = b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == integrity, f"npm has another {package}"
    with tarfile.open(tarball) as packed:
        file = packed.extractfile(f"package/{name}")
        assert file is not None
        return file.read()


def _download(package: str, tarball: Path) -> None:
    if shutil.which("npm") is None:
        _lack("npm is not installed: run tests/install-programs")
    # In a folder of its own: other workers may be downloading the same.
    place = tarball.with_name(f"{tarball.name}.{os.getpid()}")
    place.mkdir()
    try:
        done = subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", str(place), package],
            capture_output=True,
            check=False,
            text=True,
            timeout=_INSTALL_SECONDS_MAX,
        )
        if done.returncode != 0:
            _lack(f"npm cannot get {package}: {done.stderr[-300:]}")
        next(place.glob("*.tgz")).replace(tarball)
    finally:
        shutil.rmtree(place)


def _lack(reason: str) -> NoReturn:
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)
