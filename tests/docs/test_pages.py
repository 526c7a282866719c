"""Every `sh` block of the pages runs, page by page, and prints what the page says."""

import asyncio
import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.docs.checkout import SERVER, Checkout
from tests.docs.masking import Masks, comparable
from tests.docs.page import Command, Page, pages, read
from tests.seeds import seed
from tests.warm.client import Warm

PAGES = [read(path) for path in pages()]
#: Where the first start of all is shown.
BEGINNING = {"README.md"}


def _complaint(page: Page, command: Command, code: int, printed: str, masks: list[Masks]) -> str:
    """What the page says and the run does not, or nothing."""
    where = f"{page.name}:{command.line}"
    if command.output is None:
        # Only one page shows what a server says at its start.
        if code or (printed and command.is_compared and not SERVER.search(command.script)):
            return (
                f"{where}: ended with {code} and printed, which the page does not say:\n{printed}"
            )
        return ""
    expected, actual = comparable(command.kind, command.output, printed)
    expected, actual = masks[0].apply(expected), masks[1].apply(actual)
    if expected == actual:
        return ""
    lines = difflib.unified_diff(
        expected.splitlines(), actual.splitlines(), where, "printed", lineterm="", n=2
    )
    return "\n".join(lines)


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database, for pages that bring their own."""
    server = os.environ["TEST_DATABASE_URL"]
    name = f"docs_{uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        conn = await asyncpg.connect(server)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    asyncio.run(execute(f"CREATE DATABASE {name}"))
    base, _, query = server.partition("?")
    yield f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.slow
@pytest.mark.timeout(600)  # Seconds, on a machine with nothing else to do.
@pytest.mark.parametrize("page", [page for page in PAGES if page.commands], ids=lambda p: p.name)
def test_a_page_prints_what_it_says(
    page: Page, tmp_path: Path, database_url: str, warm: Warm, migrated: Path
) -> None:
    tmp_path.chmod(0o700)
    masks = [Masks(), Masks()]
    complaints = []
    with Checkout(tmp_path, database_url, warm) as checkout:
        if page.name not in BEGINNING:
            seed(checkout.root / ".orchestrator", migrated)
        for command in page.commands:
            code, printed = checkout.run(command.script)
            complaints.append(_complaint(page, command, code, printed, masks))
    assert not any(complaints), "\n\n".join(filter(None, complaints))
