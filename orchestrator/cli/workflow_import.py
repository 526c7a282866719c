"""`orchestrator workflow import`: workflows from many files; `wfformat` translates WfFormat."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.documents import STDIN, naming, read_workflow
from orchestrator.cli.exchange import Reply
from orchestrator.cli.expectation import Expectation, creating
from orchestrator.cli.failure import CommandFailed, ServerUnusable, WrongUsage
from orchestrator.cli.options import DocumentName, ExpectOption, MessageOption, WithSession
from orchestrator.cli.output import console, printable, write_lines
from orchestrator.cli.session import Session
from orchestrator.cli.showing import ACTIONS, show_data, show_failure

app = App()

#: A bar is shown from so many files on.
PROGRESS_FILES_MIN = 2


@app.command(
    name="import",
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow import runs/*.json --prefix wfcommons/\n"
    "  orchestrator workflow import montage.yaml --tag montage --expect absent",
)
def import_(
    file: DocumentName,
    /,
    *files: Annotated[Path, Parameter(help="More files.")],
    prefix: Annotated[str, Parameter(help="Before each tag, such as team/.")] = "",
    tag: Annotated[str | None, Parameter(help="The tag of the one file.")] = None,
    message: MessageOption = None,
    expect: ExpectOption = None,
    session: WithSession,
) -> None:
    """Create a version of each file: a workflow, as JSON or YAML, or WfFormat (wfcommons.org).

    The tag is the name of the file without its ending. A file that cannot be imported does not
    keep the others from being.
    """
    planned = _plan([file, *files], prefix=prefix, tag=tag)
    failures: dict[Path, CommandFailed] = {}
    width = max(map(len, planned))
    with session.connect() as server, _progress(len(planned)) as advance:
        for name, path in planned.items():
            try:
                reply = _import(server, name, path, message, expect)
            except ServerUnusable:
                raise
            except CommandFailed as failure:
                if len(planned) == 1:
                    raise
                failures[path] = failure
                if str(path) not in failure.detail:
                    failure = failure.with_detail(f"{path}: {failure.detail}")
                show_failure(session.output, failure)
            else:
                _report(session, reply, width)
            advance()
    if failures:
        codes = {failure.exit_code for failure in failures.values()}
        names = ", ".join(map(str, failures))
        raise CommandFailed(
            f"{len(failures)} of {len(planned)} files were not imported: {names}",
            exit_code=codes.pop() if len(codes) == 1 else None,
        )


def _plan(files: Sequence[Path], *, prefix: str, tag: str | None) -> dict[str, Path]:
    """Which file goes under which tag. Two files for one tag are refused: the last would win."""
    if tag is not None:
        if len(files) > 1:
            raise WrongUsage("--tag is for one file; give --prefix for several.")
        return {prefix + tag: files[0]}
    planned: dict[str, Path] = {}
    for file in files:
        if file == STDIN:
            raise WrongUsage("Standard input has no name: give --tag.")
        name = prefix + file.stem
        if name in planned:
            raise WrongUsage(f"{planned[name]} and {file} would both become {name!r}.")
        planned[name] = file
    return planned


def _import(
    server: ServerConnection,
    tag: str,
    file: Path,
    message: str | None,
    expect: Expectation | None,
) -> Reply:
    workflow = msgspec.Raw(_workflow_in(file))
    return server.post(
        "workflows", tag=tag, workflow=workflow, message=message, **creating(server, tag, expect)
    )


def _workflow_in(file: Path) -> bytes:
    """The workflow of a file; one that needs no translation is sent as it is."""
    from orchestrator.cli.wfformat import is_wfformat, workflow_from_wfformat
    from orchestrator.documents.canonical import canonicalise

    document = read_workflow(file)
    if not is_wfformat(document.value):
        return document.content
    with naming(file):
        return canonicalise(workflow_from_wfformat(document.value))


def _report(session: Session, reply: Reply, width: int) -> None:
    if session.wants_data:
        show_data(session, reply.body)
        return
    made = reply.json()
    if session.quiet:
        write_lines([made["tag"]])
        return
    line = (
        f"{made['tag']:<{width}}  {ACTIONS[made['action']]:<9}  {made['nodes_count']:>6} nodes  "
        f"{made['edges_count']:>6} edges  {made['version_hash']}"
    )
    write_lines([printable(line)])


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal, unless the lines go there too and show enough."""
    if total < PROGRESS_FILES_MIN or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=console(sys.stderr), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("Importing", total=total)
        yield lambda: progress.advance(task)
