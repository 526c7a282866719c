"""`serve`, `migrate` and `status`."""

import asyncio
import json
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import pytest

from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.server import parent as serve
from orchestrator.server.parent import ServeOptions
from tests.cli.conftest import Run
from tests.test_settings import SECRET, UNREADABLE
from tests.warm.client import Warm, environ

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ServeOptions]:
    """What would have been served."""
    options: list[ServeOptions] = []

    def record(given: ServeOptions) -> int:
        options.append(given)
        return 7

    monkeypatch.setattr(serve, "serve", record)
    return options


def test_serve_is_asked_for_what_was_given(
    run: Run, asked: list[ServeOptions], alone: Path
) -> None:
    for name in ("cert.pem", "key.pem"):
        (alone / name).touch()
    assert run("serve").code == 7
    assert (
        run(
            *("serve", "--host", "::1", "--port", "0", "--workers", "3", "--behind-proxy"),
            *("--tls-certificate", "cert.pem", "--tls-key", "key.pem", "--data-dir", "data"),
        ).code
        == 7
    )
    assert asked == [
        ServeOptions(),
        ServeOptions(
            host="::1",
            port=0,
            data_dir=Path("data"),
            workers=3,
            tls_certificate=Path("cert.pem"),
            tls_key=Path("key.pem"),
            behind_proxy=True,
        ),
    ]


def test_serve_keeps_to_the_data_folder_of_the_environment(
    run: Run, asked: list[ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", "elsewhere")
    run("serve")
    assert asked[0].data_dir == Path("elsewhere")


def test_serve_refuses_a_port_that_is_none(run: Run, asked: list[ServeOptions]) -> None:
    assert run("serve", "--port", "65536").code == 2
    assert asked == []


def test_the_status_is_that_of_the_server(cli: Run, data_dir: Path) -> None:
    published = json.loads((data_dir / "server.json").read_text())
    shown = cli("status").out
    assert published["url"] in shown
    assert "check database  ok" in shown
    status = cli("status", "--output", "json").json()
    assert status["status"] == "ready"
    assert status["token_from"] == str(data_dir / "admin.token")
    assert (data_dir / "admin.token").read_text().strip() not in shown


def test_the_status_needs_no_token(cli: Run, data_dir: Path) -> None:
    url = json.loads((data_dir / "server.json").read_text())["url"]
    done = cli("status", "--url", url, "--data-dir", "nowhere")
    assert done.code == 0
    assert "token from      none" in done.out


def test_the_status_of_nothing_is_a_failure(run: Run) -> None:
    done = run("status", "--url", "http://127.0.0.1:1")
    assert done.code == 7
    assert "http://127.0.0.1:1 cannot be reached" in done.err


def test_the_status_of_something_else_is_a_failure(run: Run) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        done = run("status", "--url", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
    assert done.code == 1
    assert "is not an orchestrator server" in done.err


def test_a_database_is_migrated_there_and_back(run: Run, empty_database: str) -> None:
    newest = SCHEMA_VERSION
    url = ("--database-url", empty_database)
    assert run("migrate", "--status", *url).out == f"schema  none\nnewest  {newest}\n"
    assert run("migrate", *url).out == f"The database went from schema none to {newest}.\n"
    assert run("migrate", *url).out == f"The database has schema {newest} already.\n"
    refused = run("migrate", "--to", "base", *url)
    assert refused.code == 2
    assert "loses data: give --yes" in refused.err
    assert run("migrate", "--to", "base", "--yes", *url).out == (
        f"The database went from schema {newest} to none.\n"
    )
    assert run("migrate", "--to", "base", *url).out == "The database has schema none already.\n"
    assert run("migrate", "--to", newest, *url, "--output", "json").json() == {
        "before": None,
        "schema": newest,
        "newest": newest,
    }


def test_the_database_is_that_of_the_environment(
    run: Run, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("migrate").code == 2
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", fresh_database)
    assert "already" in run("migrate").out


def test_a_database_that_cannot_be_used_is_a_failure(run: Run, fresh_database: str) -> None:
    nowhere = run("migrate", "--database-url", "postgresql://u:secret@127.0.0.1:1/x")
    assert nowhere.code == 1
    assert nowhere.err.startswith("error: The database cannot be used: ")
    assert "secret" not in nowhere.err
    assert run("migrate", "--to", "9999", "--database-url", fresh_database).code == 2
    joined = "&" if "?" in fresh_database else "?"
    mistaken = run("migrate", "--database-url", f"{fresh_database}{joined}work_mem=secret")
    assert (mistaken.code, mistaken.err.count("\n")) == (2, 1)
    assert "its URL has a parameter that" in mistaken.err
    assert "secret" not in mistaken.err


def test_a_newer_database_is_left_alone(run: Run, fresh_database: str) -> None:
    async def make_newer() -> None:
        connection = await asyncpg.connect(fresh_database)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await connection.close()

    asyncio.run(make_newer())
    done = run("migrate", "--database-url", fresh_database)
    assert done.code == 1
    assert "newer than schema" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_served_folder_is_found_from_below_until_the_server_ends(
    alone: Path, warm: Warm, fresh_database: str, number: int
) -> None:
    (alone / "below").mkdir()
    variables = environ({"ORCHESTRATOR_DATABASE_URL": fresh_database})
    server = warm.start(
        ("serve", "--port", "0"), cwd=alone, env=variables, stderr=subprocess.DEVNULL
    )
    assert server.stdout
    said = iter(server.stdout.readline, "")
    assert any(line.startswith("Ctrl-C") for line in said)
    assert warm.run(["status"], cwd=alone / "below", env=environ()).code == 0
    server.send_signal(number)
    assert server.wait(10) == 0
    server.stdout.close()
    assert warm.run(["status"], cwd=alone, env=environ()).code == 7


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_database_url_that_cannot_be_read_is_wrong_usage_without_its_secret(
    run: Run, url: str
) -> None:
    refused = run("migrate", "--database-url", url)
    assert refused.code == 2
    assert SECRET not in refused.err
    assert "Traceback" not in refused.err
