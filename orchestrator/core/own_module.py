"""Runs a module of this very program as a process; what the module does is not known here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

#: The folder that this program was imported from.
PROGRAM = Path(__file__).parents[2]


def own_command(module: str, *arguments: str) -> list[str]:
    """The command that runs the module, in the environment of `own_environ`.

    It looks for no module in the working folder (-P).
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def own_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which this program is found, not another copy that is installed."""
    # An empty part would mean the working folder.
    paths = [str(PROGRAM), *environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
