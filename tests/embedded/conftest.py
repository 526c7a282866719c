"""Clusters of the embedded PostgreSQL: one that runs, and copies of one that was stopped."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.embedded.cluster import EmbeddedPostgres


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A running one, for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("cluster") / "postgres"
    postgres = EmbeddedPostgres(folder)
    try:
        yield folder, postgres.start()
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped") / "postgres"
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    postgres.stop()
    return folder


@pytest.fixture
def stopped(tmp_path: Path, initialised: Path) -> Path:
    """A cluster that was stopped, below a folder that only we may enter."""
    tmp_path.chmod(0o700)
    subprocess.run(["cp", "-a", initialised, tmp_path / "postgres"], check=True)
    return tmp_path / "postgres"
