"""The command `orchestrator`: its parts, its global options, and what a failure looks like."""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, CycloptsError, Group, Parameter

from orchestrator import __version__
from orchestrator.cli import artifact, backup, cas, gc, server, tag, transaction, verify, workflow
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.limits import DEFAULTS, Limits
from orchestrator.cli.output import write_bytes, write_error
from orchestrator.cli.session import Session
from orchestrator.errors import DomainError

NOTHING_GIVEN = Session()
EXAMPLES = """\
Examples:

  orchestrator serve
  orchestrator workflow create hello hello.json
  orchestrator workflow get hello
  orchestrator tag undo hello
"""

app = App(
    name="orchestrator",
    help="Version control for workflows.",
    version=__version__,
    help_format="plaintext",
    help_epilogue=EXAMPLES,
)
app.command(workflow.app)
app.command(tag.app)
app.command(transaction.app)
app.command(transaction.release, help_epilogue=transaction.RELEASE_EXAMPLES)
app.command(tag.moves, help_epilogue=tag.MOVES_EXAMPLES)
app.command(artifact.app)
app.command(cas.app)
app.command(gc.gc, help_epilogue=gc.EXAMPLES)
app.command(
    server.serve,
    help_epilogue="Examples:\n\n"
    "  orchestrator serve\n"
    "  orchestrator serve --port 9000 --data-dir /var/lib/orchestrator --workers 2",
)
app.command(
    server.migrate,
    help_epilogue="Examples:\n\n"
    "  orchestrator migrate --status\n"
    "  orchestrator migrate --database-url postgresql://orchestrator@db/orchestrator",
)
app.command(
    backup.backup,
    help_epilogue="Examples:\n\n"
    "  orchestrator backup /mnt/backup\n"
    "  orchestrator backup /mnt/backup --keep 14 --output json",
)
app.command(
    backup.restore,
    help_epilogue="Examples:\n\n"
    "  orchestrator restore /mnt/backup --data-dir /var/lib/orchestrator\n"
    "  orchestrator restore /mnt/backup --database-url postgresql://orchestrator@db/restored",
)
app.command(
    server.status,
    help_epilogue="Examples:\n\n  orchestrator status\n  orchestrator status --output json",
)
app.command(
    verify.verify,
    help_epilogue="Examples:\n\n"
    "  orchestrator verify\n"
    "  orchestrator verify --read-data --output json > report.json\n"
    "  orchestrator verify --repair",
)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator completion bash > ~/.local/share/bash-completion/completions/orchestrator\n"
    "  orchestrator completion zsh > ~/.zsh/completions/_orchestrator\n"
    "  orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish"
)
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes commands and options in a shell."""
    write_bytes(app.generate_completion(shell=shell).encode())


app.meta.group_parameters = Group("Global options", sort_key=100)
app.meta.suppress_keyboard_interrupt = False  # `main` says what it means.


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    session: Annotated[Session, Parameter(name="*")] = NOTHING_GIVEN,
    limits: Annotated[Limits, Parameter(parse=False)] = DEFAULTS,
) -> Any:
    """Run the command that the tokens name, with what the global options say."""
    command, bound, injected = app.parse_args(tokens, exit_on_error=False, print_error=False)
    session = replace(session, limits=limits)
    options = {"session": session} if "session" in injected else {}
    try:
        return command(*bound.args, **bound.kwargs, **options)
    except Exception:
        if session.debug:
            traceback.print_exc()
        raise


def main(arguments: Sequence[str] | None = None, *, limits: Limits = DEFAULTS) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        launch, bound, injected = app.meta.parse_args(given, exit_on_error=False, print_error=False)
        options = {"limits": limits} if "limits" in injected else {}
        code = launch(*bound.args, **bound.kwargs, **options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has ended. The flush at exit must not fail because of it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CommandFailed.exit_code
    except Exception as error:  # noqa: BLE001 - a person gets a sentence; --debug shows the rest.
        return _explain(error)
    return code or 0


def _explain(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    token = getattr(error, "token", None)  # Of the command line, or from a variable.
    if isinstance(error, CycloptsError) and token is not None and token.source == "env":
        # Nobody typed it now, and it may have been meant for another variable: it is not shown.
        write_error(f"{token.keyword} has a value that it does not take; see --help.")
        return WrongUsage.exit_code
    if isinstance(error, UnicodeEncodeError):
        write_error("An argument or a variable is not text in UTF-8.")
        return WrongUsage.exit_code
    if isinstance(error, CycloptsError):
        chain = " ".join(["orchestrator", *(error.command_chain or ()), "--help"])
        write_error(str(error), [f"Try: {chain}"])
        return WrongUsage.exit_code
    if isinstance(error, CommandFailed):
        write_error(error.detail, error.lines)
        return error.exit_code
    if isinstance(error, DomainError):
        write_error(str(error))
    elif isinstance(error, msgspec.MsgspecError):
        write_error(f"The answer is not that of an orchestrator server: {error}")
    else:
        write_error(f"{type(error).__name__}: {error}", ["This is a defect; --debug shows where."])
    return CommandFailed.exit_code
