"""What is shipped: the wheel has all that an installed server needs."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BUILD = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"


def test_the_wheel_has_the_migrations_and_the_reference_page(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    revisions = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert {f"orchestrator/migrations/versions/{name}" for name in revisions} <= names
    assert {"orchestrator/migrations/env.py", "orchestrator/routes/reference.html"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "bench"))]
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
