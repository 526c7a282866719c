"""`orchestrator verify`: the server compares database and storage, page by page."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import ExitCode
from orchestrator.cli.options import WithSession
from orchestrator.cli.output import console, printable
from orchestrator.cli.progress import is_wanted
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_data

app = App(
    name="verify",
    help_epilogue="Examples:\n\n"
    "  orchestrator verify\n"
    "  orchestrator verify --read-data -o json > report.json\n"
    "  orchestrator verify --repair",
)

#: A page may be one blob of many GiB, read from far away.
PAGE_SECONDS_MAX = 3_600.0


class FoundProblem(msgspec.Struct, omit_defaults=True):
    """One thing that is wrong, or was."""

    problem: str
    detail: str
    repaired: bool
    cas_id: str | None = None
    storage_key: str | None = None
    quarantined: bool = False


class VerifyReport(msgspec.Struct):
    """All pages in one."""

    checked_blobs: int = 0
    checked_bytes: int = 0
    checked_objects: int = 0
    problems: list[FoundProblem] = []

    @property
    def unrepaired(self) -> int:
        """How many problems are left."""
        return sum(not each.repaired for each in self.problems)


class _VerifyPage(VerifyReport):
    next: str | None = None
    total_blobs: int | None = None


Show = Callable[[VerifyReport, int | None], None]


@app.default
def verify(
    *,
    read_data: Annotated[
        bool, Parameter(negative="", help="Read and hash every byte, not only look for it.")
    ] = False,
    repair: Annotated[
        bool,
        Parameter(
            negative="",
            help="Serve what is damaged no more until it is uploaded again, serve what is whole "
            "again (with --read-data), and delete what nothing refers to.",
        ),
    ] = False,
    session: WithSession,
) -> int:
    """Check that every blob has its bytes, and that all bytes in storage belong to something.

    Nothing is changed without --repair. The exit code is 0 if no problem is left, else 1.
    """
    report = VerifyReport()
    # It is about all namespaces, whichever one is set for other commands.
    with replace(session, namespace=None).connect() as server, _progress(session) as show:
        server.read_seconds_max = PAGE_SECONDS_MAX
        total = None
        for page in _pages(server, read_data=read_data, repair=repair):
            total = page.total_blobs if total is None else total
            report.checked_blobs += page.checked_blobs
            report.checked_bytes += page.checked_bytes
            report.checked_objects += page.checked_objects
            report.problems += page.problems
            if not session.wants_data:
                for each in page.problems:
                    print(_line(each))
            show(report, total)
    if session.wants_data:
        show_data(session, msgspec.json.encode(report))
    elif not session.quiet:
        print(_summary(report, read_data=read_data))
    return ExitCode.FAILED if report.unrepaired else ExitCode.DONE


def _pages(server: ServerConnection, *, read_data: bool, repair: bool) -> Iterator[_VerifyPage]:
    cursor: str | None = None
    while True:
        reply = server.post("verify", read_data=read_data, repair=repair, cursor=cursor)
        page = msgspec.json.decode(reply.body, type=_VerifyPage)
        yield page
        cursor = page.next
        if cursor is None:
            return


def _line(problem: FoundProblem) -> str:
    """One line: what is wrong, with which blob or object, and what was done."""
    name = problem.cas_id or problem.storage_key or ""
    done = "repaired" if problem.repaired else "quarantined" if problem.quarantined else ""
    parts = [f"{problem.problem:<12}", name, problem.detail, f"[{done}]" if done else ""]
    return printable("  ".join(part for part in parts if part))


def _summary(report: VerifyReport, *, read_data: bool) -> str:
    size = f", {report.checked_bytes:,} bytes read" if read_data else ""
    found = len(report.problems)
    problems = "no problem" if not found else "1 problem" if found == 1 else f"{found:,} problems"
    left = f", {report.unrepaired:,} not repaired" if found else ""
    return (
        f"{report.checked_blobs:,} blobs{size}, and {report.checked_objects:,} objects checked: "
        f"{problems}{left}."
    )


@contextmanager
def _progress(session: Session) -> Iterator[Show]:
    """A bar on standard error, if that is a terminal."""
    if not is_wanted(quiet=session.quiet):
        yield lambda report, total: None  # noqa: ARG005 - as a bar is called.
        return
    from rich.filesize import decimal
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Verifying"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    # Where lines and bar go to the same terminal, the bar makes room for them.
    with Progress(
        *columns,
        console=console(sys.stderr),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task("", total=None, counts="")

        def show(report: VerifyReport, total: int | None) -> None:
            counts = f"{report.checked_blobs:,} blobs"
            if report.checked_bytes:
                counts += f", {decimal(report.checked_bytes)}"
            if report.checked_objects:
                counts += f", {report.checked_objects:,} objects"
            done = report.checked_blobs
            known = None if total is None else max(total, done)
            progress.update(task, completed=done, total=known, counts=counts)

        yield show
