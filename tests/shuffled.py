"""A plugin, `pytest -p tests.shuffled`: no test may depend on another, or on its place.

It shuffles the modules, and the tests within each, so that what a module shares is made once.
`--seed` repeats an order; with workers (`-n`) it must be given, because they must agree on one.
"""

import random
from itertools import groupby

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=random.randrange(1_000_000), help="of the order")


def pytest_report_header(config: pytest.Config) -> str:
    return f"order: --seed {config.getoption('--seed')}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shuffler = random.Random(config.getoption("--seed"))
    modules = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    shuffler.shuffle(modules)
    for tests in modules:
        shuffler.shuffle(tests)
    items[:] = [test for tests in modules for test in tests]
