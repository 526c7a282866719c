"""`orchestrator transaction …` and `release`: many tags at once, all or none."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.documents import parse_json, read_bytes
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import (
    DryRunOption,
    FileName,
    LenientOption,
    LimitOption,
    MessageOption,
    WithSession,
    manner,
)
from orchestrator.cli.output import write_json, write_record, write_table
from orchestrator.cli.session import Session
from orchestrator.cli.showing import ACTIONS, DRY_RUN, show_change, show_list

app = App(name="transaction", help="Many tags at once, all or none: apply, look back, revert.")

MEMBERS = ("transaction_id", "namespace", "message", "made_by", "made_at")
_LINKS = ("reverts_id", "reverted_by_id")
_LIST_COLUMNS = (*MEMBERS[:1], "made_at", "made_by", "reverted_by_id", "message")
_RESULT_COLUMNS = ("tag", "action", "version", "artifact_id")

TransactionId = Annotated[str, Parameter(help="The id of a transaction.")]
RELEASE_EXAMPLES = """\
Examples:

  orchestrator release billing orders --to prod --message 'May'
  orchestrator release billing@7 --to prod
"""


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction apply release.json --message 'May'\n"
    "  orchestrator transaction apply release.json --dry-run\n"
    "  generate | orchestrator transaction apply -"
)
def apply(
    file: FileName,
    /,
    *,
    message: MessageOption = None,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Carry out the operations of a file: a list, or the body of the request."""
    body = parse_json(file, read_bytes(file))
    members = body if isinstance(body, dict) else {"operations": body}
    if message is not None:
        members = {**members, "message": message}
    how = manner(dry_run=dry_run, lenient=lenient)
    with session.connect() as server:
        _show_results(session, server.post("transactions", params=how, **members))


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction list --limit 10\n"
    "  orchestrator transaction list --made-by ann --since -7d",
)
def list_transactions(
    *,
    made_by: Annotated[str | None, Parameter(help="Only those of this principal.")] = None,
    since: Annotated[str | None, Parameter(help="Only those since this time.")] = None,
    until: Annotated[str | None, Parameter(help="Only those before this time.")] = None,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List transactions, newest first."""
    with session.connect() as server:
        page = server.list_all(
            "transactions", limit=limit, made_by=made_by, since=since, until=until
        )
    show_list(session, page, _LIST_COLUMNS)


@app.command(help_epilogue="Examples:\n\n  orchestrator transaction show 01936f3f-2b3c-…")
def show(transaction_id: TransactionId, /, *, session: WithSession) -> None:
    """Show what a transaction moved."""
    with session.connect() as server:
        reply = server.get("transactions", transaction_id)
    if session.is_json:
        write_json(reply.body)
        return
    found = reply.json()
    write_record(found, (*MEMBERS, *_LINKS))
    _write_moves(
        (each["name"], each["action"], each["version"], each["to_id"]) for each in found["moves"]
    )


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction revert 01936f3f-2b3c-… --message 'Roll back'"
)
def revert(
    transaction_id: TransactionId,
    /,
    *,
    message: MessageOption = None,
    dry_run: DryRunOption = False,
    session: WithSession,
) -> None:
    """Take a transaction back: each of its tags stands where it stood before."""
    path = ("transactions", transaction_id, "revert")
    with session.connect() as server:
        _show_results(session, server.post(*path, params=manner(dry_run=dry_run), message=message))


def release(
    *tags: Annotated[str, Parameter(help="A tag, or a version of a tag: tag@3.")],
    to: Annotated[str, Parameter(help="What the names of the released tags begin with.")],
    message: MessageOption = None,
    session: WithSession,
) -> None:
    """Let TO/TAG name what TAG names, for each of the tags, all or none.

    A released tag is created if there is none. If one is moved by somebody else meanwhile, nothing
    is released.
    """
    if not tags:
        raise WrongUsage("Name the tags that are to be released.")
    with session.connect() as server:
        page = server.list_all("tags", prefix=f"{to}/")
        versions = {item["name"]: item["version"] for item in map(msgspec.json.decode, page.items)}
        operations = [_released(f"{to}/{tag.partition('@')[0]}", tag, versions) for tag in tags]
        reply = server.post("transactions", operations=operations, message=message)
    _show_results(session, reply)


def _released(name: str, source: str, versions: dict[str, int]) -> dict[str, Any]:
    if name not in versions:
        return {"op": "create", "tag": name, "from": source}
    return {"op": "move", "tag": name, "from": source, "expected_version": versions[name]}


def _show_results(session: Session, reply: Reply) -> None:
    if session.is_json:
        write_json(reply.body)
        return
    found = reply.json()
    if "dry_run" in found:
        print(DRY_RUN)
    else:
        write_record(found, ("transaction_id",))
    _write_moves(
        (
            each.get("tag") or each["name"],
            each["action"],
            each.get("tag_version") or each["version"],
            each["artifact_id"],
        )
        for each in found["results"]
    )
    for each in found["results"]:
        show_change(each)


def _write_moves(rows: Any) -> None:
    shown = [(tag, ACTIONS[action], version, target) for tag, action, version, target in rows]
    write_table([name.replace("_", " ") for name in _RESULT_COLUMNS], shown)
