"""Shows answers of the server as tables or as they are; commands choose the members."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.cli.connection import ListPage
from orchestrator.cli.exchange import Reply
from orchestrator.cli.output import write_json, write_record, write_table, write_warning
from orchestrator.cli.session import Session
from orchestrator.cli.version_text import write_diff

#: What the server did, by the `action` of its answer.
ACTIONS = {
    None: "unchanged",
    "create": "created",
    "move": "moved",
    "undo": "undone",
    "redo": "redone",
    "delete": "deleted",
}
DRY_RUN = "This is a dry run: nothing is stored."
#: What a dry run makes up.
OF_WHAT_IS_STORED = frozenset(
    {"transaction_id", "artifact_id", "created_by", "created_at", "moved_by", "moved_at"}
)


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
    if "dry_run" in members:
        print(DRY_RUN)
        names = [name for name in names if name not in OF_WHAT_IS_STORED]
    write_record(members, names)
    show_change(members)


def show_change(changed: Mapping[str, Any]) -> None:
    """What an answer says of a change besides its members: warnings, and the diff of a dry run."""
    for each in changed.get("warnings", ()):
        write_warning(f"{each['pointer']}: {each['message']}")
    if changed.get("diff") is not None:
        write_diff(msgspec.Raw(msgspec.json.encode(changed["diff"])))


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
