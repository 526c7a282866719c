"""The command `orchestrator`: its parts, its global options, and what a failure looks like.

A part is loaded when one of its commands is called, so that none pays for the others.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, get_args

from cyclopts import App, Group, Parameter

from orchestrator import __version__
from orchestrator.cli.failure import CommandFailed, ExitCode
from orchestrator.cli.limits import DEFAULTS, Limits
from orchestrator.cli.session import OutputFormat, Session

NOTHING_GIVEN = Session()
EXAMPLES = """\
Examples:

  orchestrator serve
  orchestrator workflow create hello hello.json
  orchestrator workflow get hello
  orchestrator tag undo hello
"""
#: The headings of the help, and below each the commands with what they are, by module.
COMMANDS = {
    "Versions": {
        "workflow": "workflow:app",
        "tag": "tag:app",
        "release": "release:app",
        "transaction": "transaction:app",
        "moves": "moves:app",
    },
    "Content": {"artifact": "artifact:app", "cas": "cas:app"},
    "Server": {
        "serve": "server:serve_app",
        "status": "server:status_app",
        "migrate": "server:migrate_app",
        "backup": "backup:backup_app",
        "restore": "backup:restore_app",
        "verify": "verify:app",
        "gc": "gc:app",
    },
    "Tools": {"api": "api:app", "whoami": "whoami:app", "completion": "completion:app"},
}

app = App(
    name="orchestrator",
    help="Version control for workflows.",
    version=__version__,
    help_format="plaintext",
    help_epilogue=EXAMPLES,
)
for _place, (_heading, _parts) in enumerate(COMMANDS.items()):
    _group = Group(_heading, sort_key=_place)
    for _name, _part in _parts.items():
        app.command(f"orchestrator.cli.{_part}", name=_name, group=_group)
for _flag in ("--help", "--version"):
    app[_flag].group = _group

app.meta.group_parameters = Group("Global options", sort_key=100)
app.meta.suppress_keyboard_interrupt = False  # `main` says what it means.


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    session: Annotated[Session, Parameter(name="*")] = NOTHING_GIVEN,
    limits: Annotated[Limits, Parameter(parse=False)] = DEFAULTS,
) -> Any:
    """Run the command that the tokens name, with what the global options say."""
    try:
        command, bound, injected = app.parse_args(tokens, exit_on_error=False, print_error=False)
        session = replace(session, limits=limits)
        options = {"session": session} if "session" in injected else {}
        return command(*bound.args, **bound.kwargs, **options)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a person gets a sentence; --debug shows the rest.
        if session.debug:
            traceback.print_exc()
        return _explain(error, session.output)


def main(arguments: Sequence[str] | None = None, *, limits: Limits = DEFAULTS) -> int:
    """Run the command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _load_for_help(given)
        launch, bound, injected = app.meta.parse_args(given, exit_on_error=False, print_error=False)
        options = {"limits": limits} if "limits" in injected else {}
        code = launch(*bound.args, **bound.kwargs, **options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has ended. The flush at exit must not fail because of it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 - as above, before the options are known.
        return _explain(error, _wanted_output(given))
    return code or ExitCode.DONE


def _load_for_help(tokens: Sequence[str]) -> None:
    """A list of all commands says of each what it is, so all of them are loaded."""
    names = [name for parts in COMMANDS.values() for name in parts]
    is_help = not tokens or not {"--help", "-h"}.isdisjoint(tokens)
    if is_help and set(names).isdisjoint(tokens):
        for name in names:
            app[name]


def _explain(error: Exception, output: OutputFormat) -> ExitCode:
    """Say what went wrong; returns the exit code."""
    from orchestrator.cli.showing import show_failure
    from orchestrator.cli.usage import failure_of

    failure = error if isinstance(error, CommandFailed) else failure_of(error, app)
    show_failure(output, failure)
    return failure.exit_code


def _wanted_output(tokens: Sequence[str]) -> OutputFormat:
    """How to say that the global options themselves are wrong."""
    given = [after for before, after in pairwise(tokens) if before in {"--output", "-o"}]
    given += [token.removeprefix("--output=") for token in tokens if token.startswith("--output=")]
    wanted: Any = given[-1] if given else os.environ.get("ORCHESTRATOR_OUTPUT")
    return wanted if wanted in get_args(OutputFormat) else "table"
