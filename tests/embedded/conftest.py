"""Clusters of the embedded PostgreSQL: one that runs, and copies of one that was stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.embedded.cluster import EmbeddedPostgres
from tests.seeds import seed


@pytest.fixture(scope="module")
def cluster(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A running one, for the tests that leave it as it was."""
    folder = seed(tmp_path_factory.mktemp("cluster") / "data", migrated) / "postgres"
    postgres = EmbeddedPostgres(folder)
    try:
        yield folder, postgres.start()
    finally:
        postgres.stop()


@pytest.fixture
def stopped(tmp_path: Path, migrated: Path) -> Path:
    """A cluster that was stopped, below a folder that only we may enter."""
    return seed(tmp_path / "data", migrated) / "postgres"
