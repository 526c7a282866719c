"""How `./dev` speaks to people: lines on standard error."""

import sys


class Failed(Exception):
    """`./dev` cannot go on; the message says to a person why, and what to do."""


def say(line: str) -> None:
    """Print one line of our own, so that it differs from those of the programs we run."""
    print(f"dev: {line}", file=sys.stderr, flush=True)
