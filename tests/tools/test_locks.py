"""The lock files agree with each other and with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.environment import BUILD, DEVELOP, LOWEST

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, str]:
    """Each package of a lock file, with its version and hashes."""
    found = re.findall(r"(?m)^([a-z0-9-]+)==(.*(?:\n[ \t]+--.*)*)", (ROOT / name).read_text())
    return dict(found)


def test_what_two_lock_files_name_they_name_alike() -> None:
    serve, develop = map(pins, DEVELOP)
    for one, other in ((serve, develop), (pins(BUILD), develop)):
        for name in one.keys() & other.keys():
            assert one[name].split()[0] == other[name].split()[0]


@pytest.mark.parametrize("name", [*DEVELOP, *LOWEST, BUILD])
def test_every_package_has_hashes(name: str) -> None:
    assert all("--hash=sha256:" in pin for pin in pins(name).values())


def test_serving_needs_no_tools() -> None:
    assert not {"pytest", "mypy", "ruff", "uv", "hatchling", "docker"} & pins(DEVELOP[0]).keys()
    assert len(pins(DEVELOP[0])) < 60


def test_the_lowest_versions_are_those_that_pyproject_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = pins(*LOWEST)
    for requirement in project["dependencies"]:
        name, version = re.findall(r"^([a-z0-9-]+).*?>=([0-9.]+)", requirement)[0]
        locked = lowest[name].split()[0]
        assert locked.removesuffix(".0").startswith(version.removesuffix(".0"))
