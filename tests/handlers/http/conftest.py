"""An application with a fast path, and one without."""

from collections.abc import AsyncIterator, Callable

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.handlers.http.two_ways import Pair, pair_of


@pytest.fixture
async def pair(make_app: Callable[..., Edge]) -> AsyncIterator[Pair]:
    """Each in a namespace of its own, in which there is the same."""
    async with pair_of(make_app) as pair:
        yield pair
