"""The Pythons of this machine: those that the product promises to run on."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

OLDEST = (3, 11)
PROGRAM = "import sys; print(*sys.version_info[:2], sys.prefix == sys.base_prefix)"


def find_pythons(environ: Mapping[str, str]) -> dict[tuple[int, int], str]:
    """Find one Python of each version, the oldest first: in PATH, of pyenv, of uv."""
    home = Path(environ.get("HOME") or Path.home())
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    folders += sorted(Path(environ.get("PYENV_ROOT") or home / ".pyenv").glob("versions/*/bin"))
    folders += sorted((home / ".local" / "share" / "uv" / "python").glob("*/bin"))
    found: dict[tuple[int, int], str] = {}
    for folder in folders:
        for program in sorted(folder.glob("python3.*")):
            if re.fullmatch(r"python3\.\d+", program.name):
                version = _version(str(program))
                if version >= OLDEST:
                    found.setdefault(version, str(program))
    return dict(sorted(found.items()))


def _version(program: str) -> tuple[int, int]:
    """Ask a Python for its version; (0, 0) if it does not start or belongs to an environment."""
    try:
        done = subprocess.run([program, "-I", "-c", PROGRAM], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0, 0
    major, minor, own = done.stdout.decode().split()
    return (int(major), int(minor)) if own == "True" else (0, 0)
