"""The lock files agree with each other and with pyproject.toml."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.environment import BUILD, DEVELOP, LEFT_OUT, LOWEST, SERVE

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
    tools = {"pytest", "mypy", "ruff", "uv", "hatchling", "docker", *LEFT_OUT}
    assert not tools & pins(DEVELOP[0]).keys()
    assert len(pins(DEVELOP[0])) < 60


def test_the_lowest_versions_are_those_that_pyproject_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = pins(*LOWEST)
    for requirement in project["dependencies"]:
        name, version = re.findall(r"^([a-z0-9-]+).*?>=([0-9.]+)", requirement)[0]
        locked = lowest[name].split()[0]
        assert locked.removesuffix(".0").startswith(version.removesuffix(".0"))


@pytest.mark.parametrize("names", [SERVE, DEVELOP])
def test_all_that_a_package_needs_is_named_too(names: tuple[str, ...]) -> None:
    named = {package for name in names for package in pins(name)}
    for package in named & set(installed()):
        for each in map(Requirement, requires(package) or []):
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                assert canonicalize_name(each.name) in named | set(LEFT_OUT), package


def installed() -> Iterator[str]:
    """A lock file also names packages for other systems: of those nothing is known here."""
    return (canonicalize_name(each.name) for each in distributions())
