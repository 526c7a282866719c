"""What is seen of a server from outside."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torture.serving import serving_mib

#: It takes 50 MiB, and so do the two that it forks, together: they share them.
WRITER = "import os, sys; taken = b'x' * 50_000_000; os.fork(); print(flush=True); sys.stdin.read()"


@contextmanager
def writer() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_the_memory_of_another_server_with_the_same_command_does_not_count() -> None:
    with ExitStack() as both:
        one = both.enter_context(writer())
        alone = serving_mib(one)
        both.enter_context(writer())
        assert 48 < alone < 80
        assert abs(serving_mib(one) - alone) < 5
