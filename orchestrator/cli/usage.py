"""Turns whatever stopped a command into the failure that a person reads; nothing is printed."""

from collections.abc import Iterator
from difflib import get_close_matches

import msgspec
from cyclopts import App, CycloptsError, UnknownCommandError

from orchestrator.cli.failure import CommandFailed, InvalidContent, WrongUsage, violation_lines
from orchestrator.errors import DomainError, InvalidInput, RuleBroken, TooLarge

PROGRAM = "orchestrator"


def failure_of(error: Exception, root: App) -> CommandFailed:
    """What any error but one of our own means to the person who called the command."""
    if isinstance(error, CycloptsError):
        return _wrong_usage(error, root)
    if isinstance(error, UnicodeEncodeError):
        return WrongUsage("An argument or a variable is not text in UTF-8.")
    if isinstance(error, InvalidInput | RuleBroken | TooLarge):
        lines = violation_lines(str(error), getattr(error, "errors", ()))
        return InvalidContent(str(error), lines)
    if isinstance(error, DomainError):
        return CommandFailed(str(error))
    if isinstance(error, msgspec.MsgspecError):
        return CommandFailed(f"The answer is not that of an orchestrator server: {error}")
    detail = f"{type(error).__name__}: {error}"
    return CommandFailed(detail, ["This is a defect; --debug shows where."])


def _wrong_usage(error: CycloptsError, root: App) -> WrongUsage:
    chain = tuple(error.command_chain or ())
    if isinstance(error, UnknownCommandError) and error.app and error.unused_tokens:
        return _unknown_command(error.app, error.unused_tokens[0], chain, root)
    token = getattr(error, "token", None)  # Of the command line, or from a variable.
    if token is not None and token.source == "env":
        # Nobody typed it now, and it may have been meant for another variable: it is not shown.
        return WrongUsage(f"{token.keyword} has a value that it does not take; see --help.")
    return WrongUsage(str(error), [_help_of(chain)])


def _unknown_command(part: App, typed: str, chain: tuple[str, ...], root: App) -> WrongUsage:
    """What there is, and what may be meant: here, or in another part of the program."""
    names = sorted(_names(part))
    here = " ".join((PROGRAM, *chain))
    meant = [each for each in _commands(root, ()) if each[-1] == typed]
    meant += [(*chain, name) for name in get_close_matches(typed, names, n=3)]
    lines = [f"Did you mean: {' '.join((PROGRAM, *each))}" for each in meant]
    lines += [f"Commands: {', '.join(names)}", _help_of(chain)]
    return WrongUsage(f"There is no command {typed!r} in: {here}", lines)


def _names(part: App) -> Iterator[str]:
    return (name for name in part if not name.startswith("-"))


def _commands(part: App, chain: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in _names(part):
        yield (*chain, name)
        yield from _commands(part[name], (*chain, name))


def _help_of(chain: tuple[str, ...]) -> str:
    return f"Try: {' '.join((PROGRAM, *chain, '--help'))}"
