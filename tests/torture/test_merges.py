"""The short form of the torture of merges, with a seed that does not change."""

import pytest

from torture.merges import merges
from torture.run import Run


@pytest.mark.slow
def test_no_change_of_a_side_is_lost_without_a_conflict(run: Run) -> None:
    merges(run)
    assert run.found == []
