"""One process that computes for this one. Every method blocks, so threads call them."""

import pickle
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orchestrator.core import compute_child
from orchestrator.core.compute_exchange import Outcome, files_of
from orchestrator.core.own_module import own_command, own_environ
from orchestrator.errors import Overloaded, TooComplex

#: A call may take so many times longer by the clock than of the processor: the machine may be busy.
CLOCK_FACTOR = 10
START_SECONDS_MAX = 10.0
#: How long a process that has closed its connection may take to end.
END_SECONDS_MAX = 5.0


class Killed(Exception):
    """Somebody else ended the process, perhaps before the call: another one may do it."""


class ComputeProcess:
    """Starts at once. It ends with `end`, or with this process, however that ends."""

    def __init__(self, *, memory_bytes_max: int, seconds_max: float) -> None:
        self._memory_bytes_max = memory_bytes_max
        self._seconds_max = seconds_max
        ours, theirs = socket.socketpair()
        self._lifeline, watched = socket.socketpair()
        limits = str(memory_bytes_max), str(seconds_max)
        with theirs, watched:
            # In its own session: Ctrl-C is for us, and we end it.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                own_command(compute_child.__name__, *limits),
                env=own_environ(),
                stdin=theirs.fileno(),
                stdout=watched.fileno(),
                start_new_session=True,
            )
        ours.settimeout(START_SECONDS_MAX + seconds_max * CLOCK_FACTOR)
        self._connection = ours
        self._reader, self._writer = files_of(ours)
        self.is_usable = True

    @property
    def pid(self) -> int:
        """Of the process that computes."""
        return self._process.pid

    def call(self, work: Callable[[], Any]) -> Outcome:
        """Let the process do the work, a function with its arguments, and return the outcome."""
        self.is_usable = False
        try:
            pickle.dump(work, self._writer, protocol=5)
            self._writer.flush()
            outcome: Outcome = pickle.load(self._reader)  # noqa: S301 - both ends are this program.
        except TimeoutError as error:
            raise Overloaded from error  # The machine was too busy to let it compute.
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._broken() from error
        if outcome.outgrew:
            raise TooComplex(limit_bytes=self._memory_bytes_max)
        self.is_usable = not outcome.is_last
        return outcome

    def _broken(self) -> TooComplex | Killed:
        """Why there is no outcome: it ended, or is about to."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS_MAX)
        self.kill()
        ended_by = -self._process.wait()
        if ended_by == signal.SIGPROF:
            return TooComplex(limit_seconds=self._seconds_max)
        if ended_by in (signal.SIGKILL, signal.SIGTERM):
            return Killed()
        return TooComplex(limit_bytes=self._memory_bytes_max)

    def kill(self) -> None:
        """End it at once; a call that runs raises."""
        self.is_usable = False
        self._process.kill()

    def end(self) -> None:
        """Kill it and wait for its end."""
        self.kill()
        self._process.wait()
        for each in (self._reader, self._writer, self._connection, self._lifeline):
            with suppress(OSError):  # Something may still wait to be sent.
                each.close()
