"""The short form of the torture by the OpenAPI document, with a seed that does not change."""

from pathlib import Path

import pytest

from torture.run import Run
from torture.schema import schema


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_made_from_the_document_is_answered_as_it_says(tmp_path: Path) -> None:
    with Run(tmp_path, seed=1, minutes=None, short=True) as run:
        schema(run)
    assert run.found == []
