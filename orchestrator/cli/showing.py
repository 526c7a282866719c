"""Shows answers of the server as tables or as they are; commands choose the members."""

from collections.abc import Sequence

import msgspec

from orchestrator.cli.connection import ListPage
from orchestrator.cli.exchange import Reply
from orchestrator.cli.output import write_json, write_record, write_table
from orchestrator.cli.session import Session

#: What the server did, by the `action` of its answer.
ACTIONS = {
    None: "unchanged",
    "create": "created",
    "move": "moved",
    "undo": "undone",
    "redo": "redone",
    "delete": "deleted",
}


class _WithWorkflow(msgspec.Struct):
    workflow: msgspec.Raw


def workflow_in(reply: Reply) -> bytes:
    """The document of an answer, byte for byte as the server stores it."""
    return bytes(msgspec.json.decode(reply.body, type=_WithWorkflow).workflow)


def show_record(session: Session, reply: Reply, names: Sequence[str]) -> None:
    """Show one thing, and what was done with it if the answer says that."""
    if session.is_json:
        write_json(reply.body)
        return
    members = reply.json()
    if "action" in members:
        members["action"] = ACTIONS[members["action"]]
    write_record(members, names)


def show_list(session: Session, page: ListPage, columns: Sequence[str]) -> None:
    """Show many things, with these members of each."""
    if session.is_json:
        write_json(msgspec.json.encode(page))
        return
    items = [msgspec.json.decode(item) for item in page.items]
    write_table(
        [_header(name) for name in columns], [[item[name] for name in columns] for item in items]
    )


def _header(name: str) -> str:
    return name.removeprefix("tag_").removesuffix("_count").replace("_", " ")
