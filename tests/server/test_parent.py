"""`orchestrator serve` as an operator meets it: what it refuses, prints, keeps, and ends."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import time
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from orchestrator.embedded.cluster import EmbeddedPostgres
from tests.processes import END_SECONDS_MAX, is_running, processes_below, wait_until
from tests.server.certificates import CERTIFICATE, KEY
from tests.server.conftest import Launch, Server
from tests.test_settings import SECRET, UNREADABLE

MEASURED = True


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def upload_and_stall(server: Server) -> socket.socket:
    """A client that announces a body and sends only its beginning."""
    port = int(server.url.rpartition(":")[2])
    client = socket.create_connection(("127.0.0.1", port))
    head = (
        f"POST /api/v1/cas HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Length: 1000\r\n\r\nonly this"
    )
    client.sendall(head.encode())
    time.sleep(0.2)
    return client


def test_the_ready_text_names_the_url_the_token_and_three_commands(server: Server) -> None:
    assert server.is_ready()
    assert str(server.folder / "admin.token") in server.said
    commands = [line for line in server.said.splitlines() if line.startswith("  ")]
    for command in ("workflow create", "workflow get", "curl -H"):
        assert any(command in line for line in commands)
    assert f"ORCHESTRATOR_DATA_DIR={server.folder} " in server.said


def test_the_data_is_private_and_the_address_is_published(server: Server) -> None:
    assert mode(server.folder) == 0o700
    assert mode(server.folder / "admin.token") == 0o600
    assert json.loads((server.folder / "server.json").read_text()) == {
        "url": server.url,
        "pid": server.pid,
    }


def test_a_second_server_on_the_same_folder_is_refused(server: Server, launch: Launch) -> None:
    second = launch(server.folder)
    assert second.process.returncode == 1
    assert second.stderr().count("\n") == 1
    assert f"(process {server.pid}) uses the data folder" in second.stderr()
    assert server.is_ready()


def test_a_port_in_use_is_refused(server: Server, launch: Launch, folder: Path) -> None:
    port = int(server.url.rpartition(":")[2])
    second = launch(folder, port=port)
    assert second.process.returncode == 1
    assert second.stderr() == (
        f"orchestrator: 127.0.0.1:{port} cannot be used: Address already in use.\n"
    )


def test_a_killed_postmaster_is_started_again(server: Server) -> None:
    worker = server.workers()
    killed = server.postmaster()
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: not is_running(killed))
    assert wait_until(server.is_ready, 10)
    assert server.postmaster() != killed
    assert server.workers() == worker


def test_a_killed_worker_is_replaced(server: Server) -> None:
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: server.workers() not in ([], [worker]))
    assert wait_until(server.is_ready)


def _is_replaced(server: Server, worker: int) -> bool:
    workers = server.workers()
    return worker not in workers and len(workers) == 2 and server.is_ready()


def test_counts_of_all_workers_are_added_up_and_a_killed_worker_takes_none_away(
    launch: Launch, seeded: Path
) -> None:
    server = launch(seeded, workers=2)
    name = r'^orchestrator_http_requests_total\{.*route="/api/v1/tags",status="200"\} (\S+)$'

    def counted() -> float:
        found = re.search(name, server.request("GET", "/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0

    for _ in range(40):
        assert server.request("GET", "/api/v1/tags").status_code == 200
    assert wait_until(lambda: counted() == 40)
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
        assert wait_until(partial(_is_replaced, server, worker))
        assert [counted() for _ in range(4)] == [40] * 4
    files = {server.folder / "metrics" / name for name in ("0.json", "1.json")}
    # Who was killed before it counted anything had none; who came for it may not have one yet.
    assert wait_until(lambda: set((server.folder / "metrics").glob("*.json")) == files)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_in_time_although_a_client_stalls(
    launch: Launch, seeded: Path, number: int
) -> None:
    server = launch(seeded, workers=2)
    assert len(server.workers()) == 2
    with upload_and_stall(server):
        began = time.monotonic()
        assert server.end(number) == 0
        assert time.monotonic() - began < END_SECONDS_MAX
    assert not (seeded / "server.json").exists()


def test_ctrl_c_pressed_twice_leaves_nothing(launch: Launch, seeded: Path) -> None:
    server = launch(seeded)
    family = processes_below(server.pid)
    for _ in range(2):
        os.killpg(server.pid, signal.SIGINT)
        time.sleep(0.02)
    assert server.process.wait(END_SECONDS_MAX) == 0
    assert wait_until(lambda: not any(map(is_running, family)))


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.5])
def test_a_signal_during_the_start_leaves_nothing(
    launch: Launch, folder: Path, delay: float
) -> None:
    server = launch(folder, wait=False, cold=True)
    assert wait_until((folder / "lock").exists)
    time.sleep(delay)
    assert server.end() == 0
    assert server.stderr() == ""


def test_what_was_acknowledged_is_there_after_a_kill(launch: Launch, seeded: Path) -> None:
    server = launch(seeded, workers=2)
    family = processes_below(server.pid)
    stored = server.request("POST", "/api/v1/cas", content=b"kept")
    assert stored.status_code == 201
    with upload_and_stall(server):
        server.process.kill()
        assert wait_until(lambda: not any(map(is_running, family))), "processes are left"
    port = int(server.url.rpartition(":")[2])
    again = launch(seeded, port=port)
    found = again.request("GET", f"/api/v1/cas/{stored.json()['cas_id']}")
    assert found.content == b"kept"
    assert again.token == server.token
    assert again.end() == 0


def test_a_newer_database_is_refused(launch: Launch, seeded: Path) -> None:
    assert launch(seeded).end() == 0
    postgres = EmbeddedPostgres(seeded / "postgres")
    url = postgres.start()

    async def age() -> None:
        conn = await asyncpg.connect(url)
        await conn.execute("UPDATE alembic_version SET version_num = '9999'")
        await conn.close()

    try:
        asyncio.run(age())
        refused = launch(seeded, environ={"ORCHESTRATOR_DATABASE_URL": url})
        assert refused.process.returncode == 1
        assert refused.stderr().startswith("orchestrator: The database has schema 9999, newer than")
        assert refused.stderr().count("\n") == 1
    finally:
        postgres.stop()


def test_a_given_database_is_used_and_no_other_started(launch: Launch, tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "given")
    try:
        server = launch(tmp_path / "data", environ={"ORCHESTRATOR_DATABASE_URL": postgres.start()})
        assert server.is_ready()
        assert not (tmp_path / "data/postgres").exists()
        assert server.end() == 0
    finally:
        postgres.stop()


def test_an_unreachable_database_is_one_line(launch: Launch, folder: Path) -> None:
    refused = launch(folder, environ={"ORCHESTRATOR_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"})
    assert refused.process.returncode == 1
    assert refused.stderr().startswith("orchestrator: The database cannot be reached: ")
    assert refused.stderr().count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_open_to_the_network_needs_tls_or_a_proxy(
    launch: Launch, folder: Path, host: str
) -> None:
    refused = launch(folder, host=host)
    assert refused.process.returncode == 2
    assert refused.stderr().startswith(f"orchestrator: {host} is open to the network")
    assert refused.stderr().count("\n") == 1
    assert not folder.exists()


def test_behind_a_proxy_any_host_name_is_served(launch: Launch, seeded: Path) -> None:
    server = launch(seeded, host="0.0.0.0", behind_proxy=True)
    answer = server.request("GET", "/health/ready", headers={"Host": "workflows.example"})
    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert server.url.startswith("http://127.0.0.1:")
    for scheme, status in (("https", 200), ("http", 403)):
        page = {"Host": "workflows.example", "Origin": f"{scheme}://workflows.example"}
        assert server.request("GET", "/api/v1/tags", headers=page).status_code == status
    assert server.end() == 0


def test_tls_is_served_on_any_host(launch: Launch, seeded: Path) -> None:
    certificate, key = seeded.with_name("c.pem"), seeded.with_name("k.pem")
    certificate.write_text(CERTIFICATE)
    key.write_text(KEY)
    server = launch(seeded, host="0.0.0.0", tls_certificate=certificate, tls_key=key)
    assert server.url.startswith("https://127.0.0.1:"), server.stderr()
    assert server.is_ready()
    ours = {"Origin": server.url}
    assert server.request("GET", "/api/v1/tags", headers=ours).status_code == 200
    assert server.end() == 0


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        ({"workers": 0}, 2, "There must be at least one worker."),
        ({"host": "no-such-host.invalid"}, 1, "The host 'no-such-host.invalid' is not known"),
    ],
)
def test_wrong_options_are_one_line(
    launch: Launch, folder: Path, options: dict[str, object], code: int, line: str
) -> None:
    refused = launch(folder, **options)
    assert refused.process.returncode == code
    assert refused.stderr().startswith(f"orchestrator: {line}")
    assert refused.stderr().count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(launch: Launch, folder: Path) -> None:
    folder.write_text("a file")
    refused = launch(folder)
    assert refused.process.returncode == 1
    assert refused.stderr() == (
        f"orchestrator: The data folder {folder} cannot be used: File exists.\n"
    )


def test_an_open_token_file_is_closed_and_an_empty_one_refused(
    launch: Launch, seeded: Path
) -> None:
    token = seeded / "admin.token"
    token.write_text("mine\n")
    token.chmod(0o644)
    server = launch(seeded)
    assert "was readable for others" in server.stderr()
    assert (mode(token), server.token) == (0o600, "mine")
    assert server.request("GET", "/api/v1/tags").status_code == 200
    assert server.end() == 0
    token.write_text("")
    refused = launch(seeded)
    assert refused.process.returncode == 1
    assert "admin.token is empty" in refused.stderr()


def test_a_wrong_setting_is_one_line(launch: Launch, folder: Path) -> None:
    server = launch(folder, environ={"ORCHESTRATOR_LOG_LEVEL": "loud"})
    assert server.process.returncode == 2
    (line,) = server.stderr().splitlines()
    assert "log_level is one of debug, info" in line


@pytest.mark.parametrize("url", UNREADABLE[:4])
def test_a_database_url_that_cannot_be_read_is_one_line_without_its_secret(
    launch: Launch, folder: Path, url: str
) -> None:
    server = launch(folder, environ={"ORCHESTRATOR_DATABASE_URL": url})
    assert server.process.returncode == 2
    (line,) = server.stderr().splitlines()
    assert SECRET not in line


def test_workers_that_cannot_start_end_the_server(launch: Launch, seeded: Path) -> None:
    server = launch(seeded, target="tests.server.broken:create_app")
    assert server.process.returncode == 1
    assert "The workers end again and again" in server.stderr()
