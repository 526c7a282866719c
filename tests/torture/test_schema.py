"""The short form of the torture by the OpenAPI document, with a seed that does not change."""

import pytest

from torture.run import Run
from torture.schema import schema


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_made_from_the_document_is_answered_as_it_says(run: Run) -> None:
    schema(run)
    assert run.found == []
