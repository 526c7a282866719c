"""`orchestrator transaction …` and `release` against a real server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run
from tests.cli.test_tag import named


@pytest.fixture
def apps(cli: Run, write: Callable[..., Path]) -> tuple[str, str]:
    """Two workflows of two versions each."""
    for name in ("billing", "orders"):
        for version in ("1", "2"):
            file = write(f"{name}.json", chain(f"{name}{version}"))
            assert cli("workflow", "create", f"app/{name}", file).code == 0
    return "app/billing", "app/orders"


def test_a_release_moves_all_tags_and_is_taken_back(cli: Run, apps: tuple[str, str]) -> None:
    first = cli("release", *(f"{tag}@1" for tag in apps), "--to", "prod", "--output", "json").json()
    assert [each["name"] for each in first["results"]] == [f"prod/{tag}" for tag in apps]
    before = [named(cli, f"prod/{tag}") for tag in apps]
    shown = cli("release", *apps, "--to", "prod", "--message", "May")
    assert (shown.code, shown.out.count("moved")) == (0, 2), shown.err
    assert [named(cli, f"prod/{tag}") for tag in apps] == [named(cli, tag) for tag in apps]

    (made,) = cli("transaction", "list", "--limit", "1", "--output", "json").json()["items"]
    assert made["message"] == "May"
    details = cli("transaction", "show", made["transaction_id"]).out
    assert "prod/app/orders" in details
    taken = cli("transaction", "revert", made["transaction_id"], "--message", "Bad")
    assert (taken.code, taken.out.count("undone")) == (0, 2), taken.err
    assert [named(cli, f"prod/{tag}") for tag in apps] == before
    again = cli("transaction", "revert", made["transaction_id"])
    assert (again.code, "was reverted already" in again.err) == (4, True)


def test_the_operations_of_a_file_are_applied_all_or_none(
    cli: Run, apps: tuple[str, str], write: Callable[..., Path]
) -> None:
    create = {"op": "create", "tag": "applied/one", "from": apps[0]}
    file = write("operations.json", [create, {"op": "delete", "tag": "applied/none"}])
    refused = cli("transaction", "apply", file)
    assert (refused.code, "applied/none" in refused.err) == (3, True)
    assert cli("tag", "show", "applied/one").code == 3
    file = write("operations.json", {"operations": [create], "message": "from the file"})
    done = cli("transaction", "apply", file, "--output", "json").json()
    assert done["results"][0]["message"] == "from the file"
    refused = cli("release", "nope", "--to", "prod")
    assert (refused.code, "'nope'" in refused.err) == (3, True)
    assert cli("release", "--to", "prod").code == 2
