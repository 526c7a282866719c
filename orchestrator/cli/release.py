"""`orchestrator release`: lets tags of one name prefix name what other tags name, all or none."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.completers import complete_reference
from orchestrator.cli.expectation import versions_expected
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import ExpectTagsOption, MessageOption, WithSession
from orchestrator.cli.transaction import show_results

app = App(
    name="release",
    help_epilogue="Examples:\n\n"
    "  orchestrator release billing orders --to prod -m 'May'\n"
    "  orchestrator release billing@7 --to prod --expect prod/billing=3",
)


@app.default
def release(
    *tags: Annotated[
        str,
        Parameter(help="A tag, or a version of a tag: tag@3.", completer=complete_reference),
    ],
    to: Annotated[str, Parameter(help="What the names of the released tags begin with.")],
    message: MessageOption = None,
    expect: ExpectTagsOption = None,
    session: WithSession,
) -> None:
    """Let TO/TAG name what TAG names, for each of the tags, all or none.

    A released tag is created if there is none. If one is moved by somebody else meanwhile, nothing
    is released.
    """
    if not tags:
        raise WrongUsage("Name the tags that are to be released.")
    sources = {f"{to}/{tag.partition('@')[0]}": tag for tag in tags}
    expected = versions_expected(expect)
    if others := sorted(expected.keys() - sources.keys()):
        raise WrongUsage(
            f"This does not release {', '.join(others)}, so nothing is expected there."
        )
    with session.connect() as server:
        page = server.list_all("tags", prefix=f"{to}/")
        versions = {item["name"]: item["version"] for item in map(msgspec.json.decode, page.items)}
        operations = [
            _released(name, source, expected.get(name) or versions.get(name))
            for name, source in sources.items()
        ]
        reply = server.post("transactions", operations=operations, message=message)
    show_results(session, reply)


def _released(name: str, source: str, version: int | None) -> dict[str, Any]:
    if version is None:
        return {"op": "create", "tag": name, "from": source}
    return {"op": "move", "tag": name, "from": source, "expected_version": version}
