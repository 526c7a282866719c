"""The short form of a torture: on a server whose cluster was made before."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.seeds import seed
from torture.run import Run


@pytest.fixture
def run(tmp_path: Path, migrated: Path) -> Iterator[Run]:
    """With a seed that does not change."""
    make_folder = partial(seed, migrated=migrated)
    with Run(tmp_path, seed=1, minutes=None, short=True, make_folder=make_folder) as run:
        yield run
