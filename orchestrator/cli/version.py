"""`orchestrator workflow …`: commands that make versions from versions; the server merges."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.completers import complete_reference
from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.documents import parse_json, read_document
from orchestrator.cli.exchange import Reply
from orchestrator.cli.expectation import Expectation, version_expected
from orchestrator.cli.failure import CommandFailed, ExitCode, WrongUsage
from orchestrator.cli.options import (
    FOR_GOOD,
    STRICTLY,
    DocumentName,
    ExpectOption,
    Judgement,
    JudgementOptions,
    MessageOption,
    TagName,
    TrialOptions,
    WithSession,
)
from orchestrator.cli.output import printable
from orchestrator.cli.reference import artifact_named
from orchestrator.cli.session import Session
from orchestrator.cli.showing import (
    DRY_RUN,
    TAG_MEMBERS,
    show_change,
    show_data,
    show_members,
    show_record,
)
from orchestrator.cli.version_text import write_diff

app = App()

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
CHANGED_MEMBERS = (
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

MERGE_CONFLICT = b"urn:orchestrator:problem:merge-conflict"
_SETTLE = (
    "Settle all of them with --prefer ours or --prefer theirs,",
    'or one by one with --resolve POINTER=ours, =theirs or ={"value": ...}.',
)

VersionName: TypeAlias = Annotated[
    str,
    Parameter(
        help="A tag, tag@3, @3 (of the tag itself), an artifact id, or a version hash, of which "
        "the first 8 digits are enough.",
        completer=complete_reference,
    ),
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
    "  orchestrator workflow patch billing longer.json -m 'Wait longer' --expect 3\n"
    '  echo \'{"metadata": {"owner": "ann"}}\' |\n'
    "    orchestrator workflow patch billing - --merge-patch\n"
    "  orchestrator workflow patch billing longer.json --expect 3 --on-conflict merge\n"
    "  orchestrator workflow patch billing longer.json --dry-run\n"
    '  echo \'[{"op": "remove", "path": "/nodes/remind"}]\' |\n'
    "    orchestrator workflow patch billing - --by-id"
)
def patch(
    tag: TagName,
    file: DocumentName,
    /,
    *,
    merge_patch: Annotated[
        bool,
        Parameter(negative="", help="It is a merge patch (RFC 7396), not a JSON Patch (RFC 6902)."),
    ] = False,
    message: MessageOption = None,
    expect: ExpectOption = None,
    on_conflict: Annotated[
        Literal["refuse", "merge"] | None,
        Parameter(
            help="What becomes of a patch that was made for another version, the one that is "
            "expected: with merge it is applied there, and the result is merged into what the tag "
            "names."
        ),
    ] = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Change what a tag names by a patch."""
    document = read_document(file)
    if isinstance(document.value, dict) and not merge_patch:
        raise WrongUsage(
            "This is an object, and a JSON Patch is a list of operations.",
            ["If it is a merge patch (RFC 7396), say so with --merge-patch."],
        )
    media_type = MERGE_PATCH if merge_patch else JSON_PATCH
    with session.connect() as server:
        if on_conflict == "merge":
            made_for = _version_patched(server, expect)
        else:
            made_for = {"expected_version": version_expected(server, tag, expect)}
        reply = server.patch(
            *("workflows", tag),
            content=(document.content, media_type),
            message=message,
            on_conflict=on_conflict,
            **made_for,
            **how.params,
        )
    show_record(session, reply, CHANGED_MEMBERS)


def _version_patched(server: ServerConnection, expect: Expectation | None) -> dict[str, Any]:
    """The version that a patch was made for, which the tag need not name any more."""
    if expect is None or expect.is_absent:
        raise WrongUsage("To merge, say which version the patch was made for: --expect VERSION.")
    if expect.digits is None:
        return {"expected_version": expect.version}
    named = f"blake3:{expect.digits}"
    if not expect.is_whole_hash:
        named = artifact_named(server, named)["version_hash"]
    return {"if_match": named}


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow merge billing billing/trial --dry-run\n"
    "  orchestrator workflow merge billing billing/trial -m 'Take the trial'\n"
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
    expect: ExpectOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Bring the changes of another version into a tag.

    Where both changed the same, nothing is stored, and every such place is listed.
    """
    members = {"from": from_, "base": base, "message": message, **_settlement(prefer, resolve)}
    reply = _settled(session, tag, "merge", members, expect, how)
    if session.wants_data:
        show_data(session, reply.body)
    else:
        merged = msgspec.json.decode(reply.body, type=_Merged)
        _write_merged(session, merged, ours=tag, theirs=from_)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow compact billing\n"
    "  orchestrator workflow compact billing --move --dry-run\n"
    "  orchestrator workflow compact billing --move -m 'Start afresh'"
)
def compact(
    tag: TagName,
    /,
    *,
    move: Annotated[bool, Parameter(negative="", help="Let the tag name the new version.")] = False,
    message: MessageOption = None,
    expect: ExpectOption = None,
    how: TrialOptions = FOR_GOOD,
    session: WithSession,
) -> None:
    """Make one whole version of a chain of patches; the chain stays."""
    with session.connect() as server:
        version = version_expected(server, tag, expect)
        reply = server.post(
            *("workflows", tag, "compact"),
            params=how.params,
            move=move,
            message=message,
            expected_version=version,
        )
    show_record(session, reply, _COMPACT_MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow branch billing/trial billing\n"
    "  orchestrator workflow branch billing/fix billing@3 -m 'Before the merge'"
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
        try:
            reply = server.put("tags", new, is_absent=True, message=message, **{"from": from_})
        except CommandFailed as failure:
            if failure.exit_code is not ExitCode.CONFLICT:
                raise
            raise failure.with_detail(f"The name {new!r} is taken.") from failure
    show_record(session, reply, TAG_MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow cherry-pick billing billing/trial@2\n"
    "  orchestrator workflow cherry-pick billing billing/trial --prefer theirs"
)
def cherry_pick(
    tag: TagName,
    version: VersionName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Make the change that made a version again, on what a tag names."""
    members = {"version": version, "message": message, **_settlement(prefer, resolve)}
    show_record(
        session, _settled(session, tag, "cherry-pick", members, expect, how), CHANGED_MEMBERS
    )


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow revert billing --seq 2 -m 'Too slow'\n"
    "  orchestrator workflow revert billing billing@3"
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
    expect: ExpectOption = None,
    prefer: Prefer = None,
    resolve: Resolve = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Take back the change that made a version, wherever in the history it is."""
    if (version is None) == (seq is None):
        raise WrongUsage("Name one version: by VERSION, or by --seq.")
    members = {"version": version, "seq": seq, "message": message}
    members |= _settlement(prefer, resolve)
    show_record(session, _settled(session, tag, "revert", members, expect, how), CHANGED_MEMBERS)


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


def _settled(
    session: Session,
    tag: str,
    step: str,
    members: dict[str, Any],
    expect: Expectation | None,
    how: Judgement,
) -> Reply:
    """The answer to a change whose conflicts the person can settle, and how if there are any."""
    with session.connect() as server:
        version = version_expected(server, tag, expect)
        try:
            members = {**members, "expected_version": version}
            return server.post("workflows", tag, step, params=how.params, **members)
        except CommandFailed as failure:
            if MERGE_CONFLICT not in (failure.problem or b""):
                raise
            raise failure.with_lines([*failure.lines, *_SETTLE]) from failure


def _write_merged(session: Session, merged: _Merged, *, ours: str, theirs: str) -> None:
    if session.quiet:
        if not merged.dry_run:
            show_members(session, merged.result, CHANGED_MEMBERS)
        return
    print(printable(_OUTCOMES[merged.outcome].format(ours=ours, theirs=theirs)))
    for conflict in merged.settled:
        print(printable(f"Settled: {conflict['pointer']}"))
    if merged.dry_run:
        print(DRY_RUN)
        write_diff(merged.diff)
    elif merged.result["action"] is not None:
        show_members(session, merged.result, CHANGED_MEMBERS[1:])
    show_change(session, merged.result)
