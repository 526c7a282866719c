"""`orchestrator gc`: sends the server one request for each page; the server decides what goes."""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter, validators

from orchestrator.cli.options import WithSession
from orchestrator.cli.output import console, printable, write_lines
from orchestrator.cli.showing import show_data

app = App(
    name="gc",
    help_epilogue="Examples:\n\n"
    "  orchestrator gc --dry-run\n"
    "  orchestrator gc --dry-run --explain\n"
    "  orchestrator gc\n"
    "  orchestrator gc -o json",
)


class _Item(msgspec.Struct):
    kind: str
    id: str
    namespace: str | None = None
    stored_bytes: int | None = None
    detail: str = ""


class _GCPage(msgspec.Struct):
    deleted: list[msgspec.Raw]
    artifacts_deleted: int
    blobs_deleted: int
    bytes_freed: int
    next: str | None
    kept: list[msgspec.Raw] = []


class _Collection(msgspec.Struct, omit_defaults=True):
    """All pages in one; the items stay as the server wrote them."""

    dry_run: bool
    artifacts_deleted: int
    blobs_deleted: int
    bytes_freed: int
    deleted: list[msgspec.Raw]
    kept: list[msgspec.Raw] | None = None

    def add(self, page: _GCPage) -> None:
        """Add the counts of a page."""
        self.artifacts_deleted += page.artifacts_deleted
        self.blobs_deleted += page.blobs_deleted
        self.bytes_freed += page.bytes_freed


@app.default
def gc(
    *,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only show what would be deleted.")
    ] = False,
    explain: Annotated[bool, Parameter(negative="", help="Also show what stays, and why.")] = False,
    limit_per_page: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1, lte=1_000),
            help="How much one transaction looks at. Else what the server is set to.",
        ),
    ] = None,
    session: WithSession,
) -> None:
    """Delete what no tag leads to, now or by its history, once it is old enough.

    First artifacts that no tag ever named and that nothing which stays stands on, then blobs that
    no artifact has and no upload holds, in all namespaces. The server goes on meanwhile.
    """
    whole = _Collection(dry_run, 0, 0, 0, [], [] if explain else None)
    cursor: str | None = None
    # It is about all namespaces, whichever one is set for other commands.
    with replace(session, namespace=None).connect() as server:
        while True:
            with _waiting(whole):
                reply = server.post(
                    "gc", dry_run=dry_run, explain=explain, limit=limit_per_page, cursor=cursor
                )
            page = msgspec.json.decode(reply.body, type=_GCPage)
            whole.add(page)
            if session.wants_data:
                whole.deleted += page.deleted
                whole.kept = None if whole.kept is None else whole.kept + page.kept
            elif session.quiet:
                write_lines(msgspec.json.decode(item, type=_Item).id for item in page.deleted)
            else:
                _write_lines("would delete" if dry_run else "deleted", page.deleted)
                _write_lines("kept", page.kept)
            cursor = page.next
            if cursor is None:
                break
    if session.wants_data:
        show_data(session, msgspec.json.encode(whole))
    elif not session.quiet:
        print(_summary(whole))


def _write_lines(verb: str, items: Iterable[msgspec.Raw]) -> None:
    for raw in items:
        item = msgspec.json.decode(raw, type=_Item)
        size = "" if item.stored_bytes is None else _size(item.stored_bytes)
        rest = [part for part in (item.namespace, size, item.detail) if part]
        print(f"{verb}  {item.kind:<8}  {item.id}  {printable('  '.join(rest))}".rstrip())


def _waiting(so_far: _Collection) -> AbstractContextManager[Any]:
    """On a terminal, show what was done so far while the server works on a page."""
    if not sys.stderr.isatty():
        return nullcontext()
    screen = console(sys.stderr)
    status: AbstractContextManager[Any] = screen.status(_summary(so_far))
    return status


def _summary(whole: _Collection) -> str:
    what = (
        f"{_count(whole.artifacts_deleted, 'artifact')} and {_count(whole.blobs_deleted, 'blob')}"
    )
    done = "would be deleted" if whole.dry_run else "deleted"
    return f"{what} {done}, {_size(whole.bytes_freed)} freed"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _size(size_bytes: int) -> str:
    from rich.filesize import decimal

    return decimal(size_bytes)
