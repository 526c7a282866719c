"""The short form of the torture of starts, with a seed that does not change."""

from pathlib import Path

import pytest

from torture.run import Run
from torture.starts import starts


@pytest.mark.slow
def test_each_start_after_a_crash_is_ready_in_time_and_nothing_is_lost(tmp_path: Path) -> None:
    with Run(tmp_path, seed=3, minutes=None, short=True) as run:
        starts(run)
    assert run.found == []
