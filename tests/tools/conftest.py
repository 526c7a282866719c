"""What the tests of `./dev` share."""

from pathlib import Path

import pytest

from tests.tools.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)
