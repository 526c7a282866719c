"""A server whose standard error is a pipe that nobody reads, as when a log collector hangs."""

import http.client
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.seeds import seed
from tests.server.conftest import Launch, Server

pytestmark = pytest.mark.slow
QUEUE_BYTES = 100_000
REQUESTS = 2_000


@pytest.fixture
def unread(launch: Launch, migrated: Path, folder: Path) -> Iterator[tuple[Server, int]]:
    """The server, and the end of its pipe."""
    reader, writer = os.pipe()
    started = launch(
        seed(folder, migrated),
        stderr=writer,
        environ={"ORCHESTRATOR_LOG_QUEUE_BYTES_MAX": str(QUEUE_BYTES)},
    )
    os.close(writer)
    yield started, reader
    os.close(reader)


def test_a_log_that_nobody_reads_stops_nothing_and_tells_what_was_dropped(
    unread: tuple[Server, int],
) -> None:
    server, reader = unread
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    for number in range(REQUESTS):
        connection.request("GET", "/health/live", headers={"X-Correlation-ID": f"n-{number}"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    connection.close()
    dropped = counted(server)
    assert dropped > 0

    read = bytearray()
    pump = threading.Thread(target=collect, args=(reader, read))
    pump.start()
    assert wait_until(lambda: b'"log lines dropped"' in read)
    assert server.end() == 0
    pump.join()
    lines = [json.loads(line) for line in read.decode().splitlines() if line.startswith("{")]
    ids = (str(each.get("correlation_id")) for each in lines)
    numbers = [int(each.removeprefix("n-")) for each in ids if each.startswith("n-")]
    assert numbers == sorted(numbers), "those that were written are in order"
    assert numbers[0] == 0
    told = sum(each["lines"] for each in lines if each["message"] == "log lines dropped")
    assert len(numbers) + told >= REQUESTS, "each line is there or counted"
    assert told >= dropped


def collect(reader: int, read: bytearray) -> None:
    while piece := os.read(reader, 65_536):
        read += piece


def counted(server: Server) -> float:
    page = server.request("GET", "/metrics").text
    found = re.search(r"^orchestrator_log_lines_dropped_total (\S+)", page, re.MULTILINE)
    assert found
    return float(found[1])
