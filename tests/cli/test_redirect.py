"""Blobs that a server does not send itself, but has a bucket send: a real S3 server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from blake3 import blake3

from tests.cli.conftest import Run, Serve
from tests.radosgw import Gateway

CONTENT = blake3(b"redirected").digest(1_000_000)
CAS_ID = f"blake3:{blake3(CONTENT).hexdigest()}"


@pytest.mark.slow
def test_what_a_bucket_sends_is_fetched_from_there(
    run: Run,
    fresh_database: str,
    s3_url: str,
    radosgw: Gateway,
    write: Callable[..., Path],
    alone: Path,
    serving: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = alone / "data"
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(folder))
    variables = {
        "ORCHESTRATOR_DATABASE_URL": fresh_database,
        "ORCHESTRATOR_BLOB_STORE": s3_url,
        "ORCHESTRATOR_BLOB_REDIRECT_BYTES_MIN": "500000",
        **radosgw.environ(),
    }
    with serving(folder, **variables):
        file = write("large", CONTENT)
        pushed = run("artifact", "push", file, "--kind", "model", "--tag", "m")
        assert pushed.code == 0, pushed.err
        assert run("cas", "get", CAS_ID).stdout == CONTENT
        pulled = run("artifact", "pull", "m", "-o", "to")
        assert pulled.code == 0, pulled.err
    assert (alone / "to/large").read_bytes() == CONTENT


@contextmanager
def serving_http(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_token_stays_with_the_server_and_one_address_is_followed(run: Run) -> None:
    seen: list[dict[str, str]] = []
    leads_on = False

    def bucket(handler: BaseHTTPRequestHandler) -> None:
        seen.append({name.lower(): value for name, value in handler.headers.items()})
        handler.send_response(307 if leads_on else 200)
        handler.send_header("Location", "/again")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(CONTENT)

    with serving_http(bucket) as bucket_url:

        def server(handler: BaseHTTPRequestHandler) -> None:
            assert handler.headers["Authorization"] == "Bearer secret"
            handler.send_response(307)
            handler.send_header("Location", f"{bucket_url}/large?signature=1")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with serving_http(server) as url:
            get = ("cas", "get", CAS_ID, "--url", url, "--token", "secret")
            assert run(*get).stdout == CONTENT
            leads_on = True
            assert run(*get).code == 1
    assert len(seen) == 2
    assert all("authorization" not in headers for headers in seen)
