"""`orchestrator workflow …`: commands that make versions from versions; the server merges."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.documents import parse_json, read_bytes
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import (
    ByIdOption,
    DryRunOption,
    ExpectedVersionOption,
    FileName,
    LenientOption,
    MessageOption,
    TagName,
    WithSession,
    manner,
)
from orchestrator.cli.output import printable, write_json, write_record
from orchestrator.cli.session import Session
from orchestrator.cli.showing import DRY_RUN, show_change, show_record
from orchestrator.cli.tag import MEMBERS as TAG_MEMBERS
from orchestrator.cli.version_text import refuse_conflicts, write_diff

app = App()

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_MEMBERS = (
    "action",
    "namespace",
    "tag",
    "tag_version",
    "version_hash",
    "artifact_id",
    "depth",
    "op_count",
    "nodes_count",
    "edges_count",
    "message",
    "moved_by",
    "moved_at",
)
_COMPACT_MEMBERS = (
    "tag",
    "tag_version",
    "version_hash",
    "artifact_id",
    "compacted_from",
    "original_depth",
)
_OUTCOMES = {
    "merged": "Merge: {ours} and {theirs} both have changes.",
    "fast_forward": "Fast-forward: {theirs} has all of {ours}.",
    "up_to_date": "Already up to date: {ours} has all of {theirs}.",
}

VersionName: TypeAlias = Annotated[
    str,
    Parameter(help="A tag, tag@3, @3 (of the tag itself), an artifact id, or a version hash."),
]
Prefer: TypeAlias = Annotated[
    Literal["ours", "theirs"] | None,
    Parameter(help="Who wins where both sides changed the same. Ours is what the tag names."),
]
Resolve: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--resolve",
        negative="",
        help="Settle one conflict: POINTER=ours, POINTER=theirs, or a JSON value: "
        'POINTER={"value": 5}. It may be given again.',
    ),
]


class _Merged(msgspec.Struct):
    outcome: str
    dry_run: bool
    settled: list[dict[str, Any]]
    result: dict[str, Any]
    diff: msgspec.Raw


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow patch billing longer.json --message 'Wait longer'\n"
    '  echo \'{"metadata": {"owner": "ann"}}\' |\n'
    "    orchestrator workflow patch billing - --merge-patch\n"
    "  orchestrator workflow patch billing longer.json --expected-version 3 --on-conflict merge\n"
    '  echo \'[{"op": "remove", "path": "/nodes/remind"}]\' |\n'
    "    orchestrator workflow patch billing - --by-id\n"
    "  orchestrator workflow patch billing longer.json --dry-run"
)
def patch(
    tag: TagName,
    file: FileName,
    /,
    *,
    merge_patch: Annotated[
        bool,
        Parameter(negative="", help="It is a merge patch (RFC 7396), not a JSON Patch (RFC 6902)."),
    ] = False,
    message: MessageOption = None,
    if_match: Annotated[
        str | None, Parameter(help="Refuse if the tag does not name this version hash.")
    ] = None,
    expected_version: ExpectedVersionOption = None,
    on_conflict: Annotated[
        Literal["refuse", "merge"] | None,
        Parameter(
            help="What becomes of a patch that was made for another version: with merge it is "
            "applied there, and the result is merged into what the tag names."
        ),
    ] = None,
    by_id: ByIdOption = False,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Change what a tag names by a patch."""
    content = read_bytes(file)
    document = parse_json(file, content)
    if isinstance(document, dict) and not merge_patch:
        raise WrongUsage(
            "This is an object, and a JSON Patch is a list of operations.",
            ["If it is a merge patch (RFC 7396), say so with --merge-patch."],
        )
    media_type = MERGE_PATCH if merge_patch else JSON_PATCH
    with session.connect() as server:
        reply = server.patch(
            *("workflows", tag),
            content=(content, media_type),
            if_match=if_match,
            message=message,
            expected_version=expected_version,
            on_conflict=on_conflict,
            address="id" if by_id else None,
            **manner(dry_run=dry_run, lenient=lenient),
        )
    show_record(session, refuse_conflicts(session, reply, can_settle=False), _MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow merge billing billing/trial --dry-run\n"
    "  orchestrator workflow merge billing billing/trial --message 'Take the trial'\n"
    "  orchestrator workflow merge billing billing/trial --prefer theirs\n"
    "  orchestrator workflow merge billing billing/trial --resolve /nodes/collect=ours"
)
def merge(
    tag: TagName,
    from_: Annotated[VersionName, Parameter(name="FROM")],
    /,
    *,
    base: Annotated[
        VersionName | None, Parameter(help="Where both began. Else their nearest common ancestor.")
    ] = None,
    message: MessageOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    by_id: ByIdOption = False,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Bring the changes of another version into a tag.

    Where both changed the same, nothing is stored, and every such place is listed.
    """
    members = {"from": from_, "base": base, "message": message, **_settlement(prefer, resolve)}
    how = {"address": "id" if by_id else None, **manner(dry_run=dry_run, lenient=lenient)}
    with session.connect() as server:
        reply = server.post_merging("workflows", tag, "merge", params=how, **members)
    refuse_conflicts(session, reply)
    if session.is_json:
        write_json(reply.body)
    else:
        _write_merged(msgspec.json.decode(reply.body, type=_Merged), ours=tag, theirs=from_)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow compact billing\n"
    "  orchestrator workflow compact billing --move --dry-run\n"
    "  orchestrator workflow compact billing --move --message 'Start afresh'"
)
def compact(
    tag: TagName,
    /,
    *,
    move: Annotated[bool, Parameter(negative="", help="Let the tag name the new version.")] = False,
    message: MessageOption = None,
    dry_run: DryRunOption = False,
    session: WithSession,
) -> None:
    """Make one whole version of a chain of patches; the chain stays."""
    how = manner(dry_run=dry_run)
    with session.connect() as server:
        reply = server.post("workflows", tag, "compact", params=how, move=move, message=message)
    show_record(session, reply, _COMPACT_MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow branch billing/trial billing\n"
    "  orchestrator workflow branch billing/fix billing@3 --message 'Before the merge'"
)
def branch(
    new: TagName,
    from_: Annotated[VersionName, Parameter(name="FROM")],
    /,
    *,
    message: MessageOption = None,
    session: WithSession,
) -> None:
    """Create a tag that names what another one names."""
    with session.connect() as server:
        reply = server.create("tags", new, **{"from": from_}, message=message)
    show_record(session, reply, TAG_MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow cherry-pick billing billing/trial@2\n"
    "  orchestrator workflow cherry-pick billing billing/trial --prefer theirs\n"
    "  orchestrator workflow cherry-pick billing billing/trial@2 --dry-run"
)
def cherry_pick(
    tag: TagName,
    version: VersionName,
    /,
    *,
    message: MessageOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Make the change that made a version again, on what a tag names."""
    members = {"version": version, "message": message, **_settlement(prefer, resolve)}
    how = manner(dry_run=dry_run, lenient=lenient)
    with session.connect() as server:
        reply = server.post_merging("workflows", tag, "cherry-pick", params=how, **members)
    _show_changed(session, reply)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow revert billing --seq 2 --message 'Too slow'\n"
    "  orchestrator workflow revert billing billing@3\n"
    "  orchestrator workflow revert billing billing@3 --dry-run"
)
def revert(
    tag: TagName,
    version: VersionName | None = None,
    /,
    *,
    seq: Annotated[
        int | None, Parameter(help="Instead of VERSION: a position in the chain, as in the log.")
    ] = None,
    message: MessageOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Take back the change that made a version, wherever in the history it is."""
    if (version is None) == (seq is None):
        raise WrongUsage("Name one version: by VERSION, or by --seq.")
    members: dict[str, Any] = {"version": version, "seq": seq, "message": message}
    members |= _settlement(prefer, resolve)
    how = manner(dry_run=dry_run, lenient=lenient)
    with session.connect() as server:
        reply = server.post_merging("workflows", tag, "revert", params=how, **members)
    _show_changed(session, reply)


def _settlement(prefer: str | None, resolve: list[str] | None) -> dict[str, Any]:
    resolutions = dict(_resolution(each) for each in resolve or ())
    return {"prefer": prefer, "resolutions": resolutions or None}


def _resolution(text: str) -> tuple[str, Any]:
    """A pointer and how its conflict is settled; there may be a = in the pointer, too."""
    for side in ("ours", "theirs"):
        if text.endswith(f"={side}"):
            return text.removesuffix(f"={side}"), side
    pointer, equals, value = text.partition("={")
    if not equals:
        raise WrongUsage(
            f"{printable(text)!r} settles nothing.",
            ['Write POINTER=ours, POINTER=theirs, or POINTER={"value": 5}.'],
        )
    return pointer, parse_json(Path("--resolve"), f"{{{value}".encode())


def _show_changed(session: Session, reply: Reply) -> None:
    show_record(session, refuse_conflicts(session, reply), _MEMBERS)


def _write_merged(merged: _Merged, *, ours: str, theirs: str) -> None:
    print(printable(_OUTCOMES[merged.outcome].format(ours=ours, theirs=theirs)))
    for conflict in merged.settled:
        print(printable(f"Settled: {conflict['pointer']}"))
    if merged.dry_run:
        print(DRY_RUN)
        write_diff(merged.diff)
    elif merged.result["action"] is not None:
        write_record(merged.result, _MEMBERS[1:])
    show_change(merged.result)
