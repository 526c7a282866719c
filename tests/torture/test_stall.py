"""The short form of the torture of stalls. Without processes that compute it finds two: a stall of
seconds, and a growth of more than 100 MiB.
"""

import pytest

from torture.run import Run
from torture.stall import stall


@pytest.mark.slow
def test_small_requests_do_not_wait_for_large_ones(run: Run) -> None:
    stall(run)
    assert run.found == []
