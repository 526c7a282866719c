"""One process that computes for this one. Every method blocks, so threads call them."""

import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.core import compute_child
from orchestrator.core.compute_child import Outcome
from orchestrator.errors import Overloaded, TooComplex

#: From the start of the process until it has read a call.
BEGIN_SECONDS_MAX = 30.0
#: A call may take so many times the processor's time by the clock: the machine may be busy.
CLOCK_FACTOR = 10
#: The folder that this program was imported from.
PROGRAM = Path(__file__).parents[2]
#: The child must run this very program: not what lies in the working folder (-P), nor another copy
#: that is installed.
_COMMAND = (
    f"import sys; sys.path.insert(0, {str(PROGRAM)!r}); "
    f"from {compute_child.__name__} import main; main(int(sys.argv[1]), float(sys.argv[2]))"
)


class NotBegun(Exception):
    """The process ended, or did not answer, before it began the call: another one may do it."""


class ComputeProcess:
    """Starts at once. It ends with `end`, or with this process, however that ends."""

    def __init__(self, *, memory_bytes_max: int, seconds_max: float) -> None:
        self._memory_bytes_max = memory_bytes_max
        self._seconds_max = seconds_max
        ours, theirs = socket.socketpair()
        self._lifeline, watched = socket.socketpair()
        with theirs, watched:
            # In its own session: Ctrl-C is for us, and we end it.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-P", "-c", _COMMAND, str(memory_bytes_max), str(seconds_max)],
                stdin=theirs.fileno(),
                stdout=watched.fileno(),
                start_new_session=True,
            )
        self._connection = ours
        self._reader, self._writer = compute_child.files_of(ours)
        self.is_usable = True

    @property
    def pid(self) -> int:
        """Of the process that computes."""
        return self._process.pid

    def call(self, work: Callable[[], Any]) -> Outcome:
        """What the work gives, which is sent there by its names: a function and its arguments."""
        self.is_usable = False
        try:
            self._connection.settimeout(BEGIN_SECONDS_MAX)
            pickle.dump(work, self._writer, protocol=5)
            self._writer.flush()
            if self._reader.read(1) != compute_child.BEGUN:
                raise NotBegun
        except OSError as error:
            raise NotBegun from error
        try:
            self._connection.settimeout(self._seconds_max * CLOCK_FACTOR)
            # Both ends are this program.
            outcome: Outcome = pickle.load(self._reader)  # noqa: S301
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._broken(error) from error
        self.is_usable = not outcome.is_last
        if outcome.outgrew:
            raise TooComplex(limit_bytes=self._memory_bytes_max)
        return outcome

    def _broken(self, error: Exception) -> TooComplex | Overloaded:
        """Why there is no outcome."""
        if isinstance(error, TimeoutError):
            return Overloaded()  # It had its time by the clock, and not of the processor.
        self.kill()
        if self._process.wait() == -signal.SIGPROF:
            return TooComplex(limit_seconds=self._seconds_max)
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
            with suppress(OSError):  # What could not be sent.
                each.close()
