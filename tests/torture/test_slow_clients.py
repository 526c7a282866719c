"""The short form of the torture by slow clients."""

from pathlib import Path

import pytest

from torture.run import Run
from torture.slow_clients import slow_clients


@pytest.mark.slow
def test_slow_clients_cost_little_and_not_for_long(tmp_path: Path) -> None:
    with Run(tmp_path, seed=1, minutes=None, short=True) as run:
        slow_clients(run)
    assert run.found == []
