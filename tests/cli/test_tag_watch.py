"""Each move of a tag as it happens."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run
from tests.cli.proxy import Proxy


@pytest.fixture
def w(cli: Run, write: Callable[..., Path]) -> None:
    for name in "ab":
        cli("workflow", "create", "w", write(f"{name}.json", chain(name)), "-m", name)
    cli("tag", "delete", "w")


def test_what_happened_since_a_version_is_printed_in_order(cli: Run, w: None) -> None:
    done = cli("tag", "watch", "w", "--since", "0", "--count", "3", "-q")
    assert (done.code, done.out) == (0, "w@1\nw@2\nw@3\n")
    lines = cli("tag", "watch", "w", "--since", "1", "--count", "2", "-o", "json").out.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["move", "delete"]
    (line,) = cli("tag", "watch", "w", "--since", "1", "--count", "1").out.splitlines()
    assert line.split()[1:3] == ["w@2", "move"]
    assert line.endswith("admin  b")
    assert "---\n" in cli("tag", "watch", "w", "--since", "2", "--count", "1", "-o", "yaml").out


def test_what_comes_next_is_waited_for_even_if_the_server_is_away(
    cli: Run, w: None, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            proxy.altered = lambda _: b"?\r\n\r\n"
        if len(looks) == 3:
            proxy.altered = bytes
            assert cli("tag", "undo", "w").code == 0

    monkeypatch.setattr("time.sleep", sleep)
    done = cli("tag", "watch", "w", "--count", "1", "--interval", "0.2", "-q")
    assert done.code == 0, done.err
    assert [each for each in looks if each == 0.2] == [0.2] * 3
