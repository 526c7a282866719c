"""Tests of a module that shares what it started stay together."""

from pathlib import Path

import pytest

from tests.scheduling import SHARING, Scheduling

ROOT = Path(__file__).parent.parent


def scopes(config: pytest.Config, *ids: str) -> list[str]:
    config = config.__class__.fromdictargs({"tx": ["2*popen"]}, [])
    scheduling = Scheduling(config, None)
    return [scheduling._split_scope(each) for each in ids]


def test_modules_that_share_are_not_divided(pytestconfig: pytest.Config) -> None:
    one, other, third = scopes(
        pytestconfig,
        "tests/server/test_http.py::test_a[x::y]",
        "tests/server/test_http.py::test_b",
        "tests/server/test_upload.py::test_b",
    )
    assert one == other != third
    one, other = scopes(
        pytestconfig, "tests/handlers/test_tag.py::test_a", "tests/handlers/test_tag.py::test_b"
    )
    assert one != other


def test_those_that_share_are_there() -> None:
    assert [each for each in SHARING if not (ROOT / each).exists()] == []
