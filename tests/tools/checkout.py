"""A checkout as far as `dev` looks at it: real `dev` and `tools`, fake packages and commands."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEV = ROOT / "dev"
BASE_PYTHON = Path(sys.base_prefix) / "bin" / "python3"

#: Stands for uv: writes down what it was asked. `hang` and `broken` beside it say what befalls it.
FAKE_UV = f"""#!{BASE_PYTHON}
import pathlib, signal, sys, time

signal.signal(signal.SIGINT, signal.SIG_DFL)

root = pathlib.Path(sys.argv[0]).parents[2]
if sys.argv[1:] == ["--version"]:
    sys.exit(print("uv 1.0 (fake)"))
with open(root / "asked.txt", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if (root / "hang").exists():
    time.sleep(60)
if (root / "broken").exists():
    sys.exit("no such host")
"""

#: Stands for the command line: says what it was given.
FAKE_MAIN = """
import os, sys

def main():
    print(sys.argv[1:], os.environ["ORCHESTRATOR_DATA_DIR"])
"""


def fake_uv(folder: Path) -> str:
    """Make the wheel; its line for the lock file."""
    wheel = folder / "uv-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("uv-1.0.data/scripts/uv", FAKE_UV)
        archive.writestr("uv-1.0.dist-info/METADATA", "Name: uv\nVersion: 1.0\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"uv==1.0 \\\n    --hash=sha256:{digest}\n"


class Checkout:
    """A copy of the repository as far as `dev` looks at it, and a PATH with Python alone."""

    def __init__(self, folder: Path, name: str = "a check out") -> None:
        self.root = folder / name
        self.root.mkdir()
        shutil.copy(DEV, self.root)
        shutil.copytree(ROOT / "tools", self.root / "tools")
        (self.root / "orchestrator" / "cli").mkdir(parents=True)
        (self.root / "orchestrator" / "cli" / "main.py").write_text(FAKE_MAIN)
        self.path = folder / "bin"
        self.path.mkdir()
        (self.path / "python3").symlink_to(BASE_PYTHON)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        #: Variables besides PATH and HOME.
        self.settings = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
        }
        self.lock("zipp==1.0\nattrs==1.0\n")
        self.lock("# nothing\nattrs==1.0\n" + fake_uv(self.wheels), "requirements-dev.lock")

    def lock(self, text: str, name: str = "requirements.lock") -> None:
        (self.root / name).write_text(text)

    def environ(self) -> dict[str, str]:
        return {"PATH": str(self.path), "HOME": str(self.path), **self.settings}

    def start(
        self, *words: str, program: Path | None = None, new_group: bool = False
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [program or self.root / "dev", *words],
            cwd=self.path,
            env=self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0 if new_group else None,
            # A shell that started us in the background lets us, and so our children, ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it starts no threads.
        )

    def run(self, *words: str, program: Path | None = None) -> tuple[int, str, str]:
        process = self.start(*words, program=program)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors

    def asked(self) -> list[str]:
        file = self.root / "asked.txt"
        return file.read_text().splitlines() if file.exists() else []
