"""The short form of the torture by slow clients."""

import pytest

from torture.run import Run
from torture.slow_clients import slow_clients


@pytest.mark.slow
def test_slow_clients_cost_little_and_not_for_long(run: Run) -> None:
    slow_clients(run)
    assert run.found == []
