"""Large blobs over connections that break, through a proxy that breaks them."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from blake3 import blake3

from orchestrator.cli import upload
from orchestrator.cli.limits import Limits
from tests.cli.conftest import Run, Serve, Terminal
from tests.cli.proxy import Proxy

CONTENT = random.Random(3).randbytes(3 * 1024 * 1024 + 5)
CAS_ID = f"blake3:{blake3(CONTENT).hexdigest()}"
Write = Callable[..., Path]


@pytest.fixture
def limits() -> Limits:
    """Pauses that are too short for a person to wait for."""
    return Limits(upload_retry_seconds=(0.01,) * 4, download_retry_seconds=(0.01,) * 4)


def test_an_upload_goes_on_where_the_connection_was_lost(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    # Long enough for the server to see that the connection is gone, and to store what came.
    patient = Limits(upload_retry_seconds=(0.5,) * 4)
    # The first connection has the creation, too; later ones begin with a question.
    proxy.limits = [(1_000_000, 1 << 60), (900_000, 1 << 60), (700_000, 1 << 60)]
    file = write("blob", CONTENT)
    done = cli("cas", "put", file, "--resumable", "--output", "json", limits=patient)
    put = done.json()
    assert (put["cas_id"], put["size_bytes"]) == (CAS_ID, len(CONTENT))
    assert proxy.limits == []
    assert max(proxy.offsets) > 0, "what had arrived was not sent again"
    assert cli("cas", "get", CAS_ID).stdout == CONTENT


def test_an_upload_that_was_given_up_is_resumed_by_its_url(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    file = write("blob", CONTENT)
    # Each attempt asks, and is cut off when it sends.
    proxy.limits = [(1_500_000, 1 << 60)] + [(10, 1 << 60)] * 5
    failed = cli("cas", "put", file, "--resumable")
    assert failed.code == 7
    line = failed.err.splitlines()[-1]
    assert line.startswith("  Go on with: orchestrator cas put blob --resume ")
    url = line.split()[-1]
    wrong = cli("cas", "put", write("other", b"x"), "--resume", url)
    assert f"The upload is one of {len(CONTENT)} bytes, and other has 1." in wrong.err
    before = proxy.sent
    put = cli("cas", "put", file, "--resume", url, "--output", "json").json()
    assert put["cas_id"] == CAS_ID
    assert proxy.sent - before < len(CONTENT) - 500_000
    again = cli("cas", "put", file, "--resume", url, "--output", "json").json()
    assert again["cas_id"] == CAS_ID, "what is complete is told again"
    changed = write("blob", b"y" + CONTENT[1:])
    put = cli("cas", "put", changed, "--resumable")
    assert put.code == 0


def test_a_file_that_changes_while_it_is_sent_is_refused(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    file = write("blob", CONTENT)
    changed: list[bytes] = []

    def change(answer: bytes) -> bytes:
        if b" 201 " in answer[:20]:  # The upload is created, its bytes are not sent yet.
            changed.append(answer)
            file.write_bytes(b"x" + CONTENT[1:])
        return answer

    proxy.altered = change
    failed = cli("cas", "put", file, "--resumable")
    assert len(changed) == 1
    assert failed.code == 6
    assert CAS_ID in failed.err
    assert "--resume" not in failed.err, "it can never succeed"


def test_the_token_goes_to_no_other_server(cli: Run, write: Write, proxy: Proxy) -> None:
    file = write("blob", b"x")
    for url in ("https://evil.example/api/v1/uploads/1", f"{proxy.url}/api/v1/cas", "x"):
        failed = cli("cas", "put", file, "--resume", url)
        assert (failed.code, "is not an upload of" in failed.err) == (2, True)
    gone = cli("cas", "put", file, "--resume", f"{proxy.url}/api/v1/uploads/1")
    assert "begin anew" in gone.err


def test_large_files_are_sent_resumably_by_themselves(
    cli: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Limits(resumable_bytes_min=100)
    sent: list[str] = []

    def interrupted(*_: object, **__: object) -> None:
        sent.append("resumable")
        raise KeyboardInterrupt

    monkeypatch.setattr(upload.ResumableUpload, "create", interrupted)
    assert cli("cas", "put", write("small", b"x" * 99), limits=large).code == 0
    at_once = cli("cas", "put", write("large", b"x" * 100), "--no-resumable", limits=large)
    assert (at_once.code, sent) == (0, [])
    assert cli("cas", "put", write("large", b"x" * 100), limits=large).code == 130
    assert sent == ["resumable"]
    assert cli("cas", "put", "-", "--resumable", stdin=b"x").code == 2


def test_an_ordinary_upload_of_a_file_is_sent_once_more(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    proxy.limits = [(1_000_000, 1 << 60)]
    put = cli("cas", "put", write("blob", CONTENT), "--output", "json").json()
    assert put["cas_id"] == CAS_ID
    proxy.limits = [(1_000_000, 1 << 60)] * 2
    assert "cannot be reached" in cli("cas", "put", "blob").err
    proxy.limits = [(1_000_000, 1 << 60)]
    assert cli("cas", "put", "-", stdin=CONTENT).code == 7, "this can be read only once"


def test_a_download_goes_on_where_the_connection_was_lost(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    cli("cas", "put", write("blob", CONTENT))
    proxy.limits = [(1 << 60, 1_000_000), (1 << 60, 800_000), (1 << 60, 10)]
    got = cli("cas", "get", CAS_ID, "-o", "copy")
    assert (got.code, got.err) == (0, "")
    assert Path("copy").read_bytes() == CONTENT
    proxy.limits = [(1 << 60, 1_000_000)]
    assert cli("cas", "get", CAS_ID).stdout == CONTENT


def test_a_download_that_cannot_be_ended_leaves_no_file(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    cli("cas", "put", write("blob", CONTENT))
    proxy.limits = [(1 << 60, 1_000_000)] + [(1 << 60, 10)] * 10
    assert "cannot be reached" in cli("cas", "get", CAS_ID, "-o", "copy").err
    assert [each.name for each in Path().iterdir()] == ["blob"]


def test_bytes_that_were_altered_on_the_way_are_not_kept(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    put = cli("cas", "put", write("blob", CONTENT), "--sha256", "--output", "json").json()
    proxy.altered = lambda data: data.replace(CONTENT[500:510], bytes(10))
    for name in (CAS_ID, put["sha256"]):
        got = cli("cas", "get", name, "-o", "copy")
        assert (got.code, f"What came is not {name}" in got.err) == (1, True)
        assert not Path("copy").exists()
    piped = cli("cas", "get", CAS_ID)
    assert (piped.code, len(piped.stdout)) == (1, len(CONTENT))


def test_a_server_that_gives_a_little_now_and_then_is_given_up(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    cli("cas", "put", write("blob", CONTENT))
    get = ("cas", "get", CAS_ID, "-o", "copy")
    hasty = Limits(body_seconds_max=-1.0, download_retry_seconds=(0.01,))
    assert "did not answer in time" in cli(*get, limits=hasty).err
    # What brings a window's worth is waited for, however long the whole takes.
    assert cli(*get, limits=replace(hasty, body_window_bytes_min=1)).code == 0


def test_a_bar_is_shown_at_a_terminal_only(terminal: Terminal, cli: Run, write: Write) -> None:
    file = write("blob", CONTENT)
    for arguments in (
        ("cas", "put", file),
        ("cas", "put", file, "--resumable"),
        ("cas", "get", CAS_ID, "-o", "copy"),
        ("artifact", "push", file, "--kind", "model", "--tag", "m"),
        ("artifact", "pull", "m", "-o", "to"),
    ):
        code, seen = terminal(*arguments)
        assert code == 0
        assert "MiB" in seen
        assert cli(*arguments).err == ""


def test_a_server_that_comes_back_is_waited_for(
    run: Run,
    write: Write,
    serving: Serve,
    fresh_database: str,
    tmp_path: Path,
) -> None:
    """Also when it is another process by then."""
    folder = tmp_path / "data"
    file = write("blob", CONTENT)
    store = (tmp_path / "blobs").as_uri()
    variables = {"ORCHESTRATOR_DATABASE_URL": fresh_database, "ORCHESTRATOR_BLOB_STORE": store}
    hasty = Limits(upload_retry_seconds=(0.01,))
    with serving(folder, **variables):
        published = msgspec.json.decode((folder / "server.json").read_bytes())
        proxy = Proxy(published["url"])
        proxy.limits = [(2_000_000, 1 << 60)] + [(10, 1 << 60)] * 5
        named = ("--url", proxy.url, "--data-dir", folder)
        failed = run("cas", "put", file, "--resumable", *named, limits=hasty)
        path = urlsplit(failed.err.split()[-1])
        proxy.close()
    with serving(folder, **variables):
        where = f"{path.path}?{path.query}"
        put = run("cas", "put", file, "--resume", where, "--data-dir", folder, "--output", "json")
    assert put.json()["cas_id"] == CAS_ID
