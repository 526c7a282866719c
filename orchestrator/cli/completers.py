"""What can stand at a place of a command line, by asking the server: for the Tab key of shells.

Whatever goes wrong here, nothing is offered, and nothing is said.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from orchestrator.cli.connection import ServerConnection

ITEMS_MAX = 100
VERSIONS_MAX = 20
#: A person waits.
SECONDS_MAX = 2.0


def complete_tag(context: "CompletionContext") -> Iterable[str]:
    """Names of tags."""
    with _connected(context) as server:
        return _tags(server, context.incomplete)


def complete_reference(context: "CompletionContext") -> Iterable[str]:
    """Names of tags, and after an @ versions of the tag."""
    tag, at, _ = context.incomplete.partition("@")
    with _connected(context) as server:
        if not at:
            return _tags(server, tag)
        moves = _items(server, "tags", tag, "history", limit=VERSIONS_MAX)
        return [f"{tag}@{move['version']}" for move in moves]


def complete_node(context: "CompletionContext") -> Iterable[str]:
    """Ids of the nodes of the tag that was typed before."""
    with _connected(context) as server:
        found = server.get("workflows", str(context["tag"].raw)).json()
    return [node["id"] for node in found["workflow"]["nodes"]]


def complete_transaction(context: "CompletionContext") -> Iterable[str]:
    """The newest transactions."""
    with _connected(context) as server:
        found = _items(server, "transactions", limit=VERSIONS_MAX)
    return [each["transaction_id"] for each in found]


def _connected(context: "CompletionContext") -> "ServerConnection":
    from orchestrator.cli.session import Session

    names = ("url", "token", "namespace", "data_dir")
    given = {name: context[name].value for name in names if context[name].provided}
    server = Session(**given).connect()
    server.read_seconds_max = SECONDS_MAX
    return server


def _tags(server: "ServerConnection", prefix: str) -> list[str]:
    return [tag["name"] for tag in _items(server, "tags", prefix=prefix, limit=ITEMS_MAX)]


def _items(server: "ServerConnection", *path: str, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = server.get(*path, **params).json()["items"]
    return items
