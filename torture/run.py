"""What every torture gets and gives back: a server, chance from a seed, limits, findings."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from bench.server import Server


def _make_empty(folder: Path) -> None:
    folder.mkdir(mode=0o700)


@dataclass
class Run:
    """One torture on servers that end with it. `found` is what went wrong, a sentence each; empty
    if all held.
    """

    folder: Path
    seed: int
    minutes: float | None
    short: bool
    #: Makes the data folder of a server.
    make_folder: Callable[[Path], object] = _make_empty
    servers: list[Server] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.end()

    def server(self, *, stderr: IO[bytes] | None = None, **settings: Any) -> Server:
        """Start a server with settings as in the environment; it ends with the run.

        It has one worker process, so that a stall has nowhere to hide.
        """
        folder = self.folder / f"server-{len(self.servers)}"
        self.make_folder(folder)
        with (self.folder / f"server-{len(self.servers)}.log").open("wb") as log:
            server = Server(folder, stderr=stderr or log, **settings)
        self.servers.append(server)
        return server

    def time_left(self, default_minutes: float) -> float:
        """Seconds until this run shall end."""
        minutes = default_minutes if self.minutes is None else self.minutes
        return self._began + minutes * 60 - time.monotonic()

    def say(self, text: str) -> None:
        """Show progress or a figure, at once."""
        print(text, flush=True)

    def fail(self, sentence: str) -> None:
        """Record what did not hold, and go on."""
        self.found.append(sentence)
        self.say(f"FOUND: {sentence}")


@dataclass(frozen=True)
class Torture:
    """A named torture. `run` returns when it is done; what it found is in the Run."""

    name: str
    what: str
    run: Callable[[Run], None]
