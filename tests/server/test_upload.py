"""Resumable uploads on real sockets: a client that others wrote, servers that are killed."""

import io
import random
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from blake3 import blake3
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed

from orchestrator.embedded.cluster import EmbeddedPostgres
from tests.processes import wait_until
from tests.server.conftest import Launch, Server

MIB = 1024 * 1024
CONTENT = random.Random(4).randbytes(9 * MIB)
TUS = {"Tus-Resumable": "1.0.0"}


def client(server: Server) -> TusClient:
    authorization = {"Authorization": f"Bearer {server.token}"}
    return TusClient(f"{server.url}/api/v1/uploads", headers=authorization)


def uploader(server: Server, content: bytes, **options: Any) -> Any:
    metadata = {"filename": "blob", "filetype": "application/x-test"}
    return client(server).uploader(
        file_stream=io.BytesIO(content), metadata=metadata, retry_delay=0, **options
    )


def fetched(server: Server, content: bytes) -> bytes:
    name = f"blake3:{blake3(content).hexdigest()}"
    return server.request("GET", f"/api/v1/cas/{name}").content


def begun(server: Server, size: int) -> str:
    """The path of a new upload."""
    headers = {**TUS, "Upload-Length": str(size)}
    response = server.request("POST", "/api/v1/uploads", headers=headers)
    assert response.status_code == 201
    return str(response.headers["location"])


def offset(server: Server, path: str) -> int:
    return int(server.request("HEAD", path, headers=TUS).headers["upload-offset"])


def has_moved(server: Server, path: str, before: int) -> bool:
    return offset(server, path) > before


class HalfPatch:
    """A PATCH of which only the beginning is sent; the connection stays open."""

    def __init__(self, server: Server, path: str, at: int, content: bytes, sent: int) -> None:
        parts = urlsplit(server.url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0))
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nTus-Resumable: 1.0.0\r\n"
            f"Authorization: Bearer {server.token}\r\nUpload-Offset: {at}\r\n"
            "Content-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(content) - at}\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        self.socket.sendall(content[at : at + sent])

    def close(self) -> None:
        self.socket.close()


@pytest.mark.parametrize(
    "options",
    [{}, {"chunk_size": 700_000}, {"chunk_size": 1_000_000, "upload_checksum": True}],
    ids=["one-request", "many-requests", "with-checksums"],
)
@pytest.mark.parametrize("size", [0, 1, 2 * MIB + 1])
def test_tuspy_uploads(server: Server, size: int, options: dict[str, Any]) -> None:
    content = (repr(options).encode() + CONTENT)[:size]
    sending = uploader(server, content, **options)
    sending.upload()
    assert fetched(server, content) == content
    path = urlsplit(sending.url)
    told = server.request("GET", f"{path.path}?{path.query}").json()
    assert (told["complete"], told["media_type"]) == (True, "application/x-test")


def test_tuspy_goes_on_with_what_it_stored(server: Server, tmp_path: Path) -> None:
    content = b"stopped" + CONTENT[: 3 * MIB]
    first = uploader(server, content, chunk_size=MIB)
    first.upload(stop_at=2 * MIB)
    second = uploader(server, content, url=first.url)
    assert second.offset == 2 * MIB
    second.upload()
    assert fetched(server, content) == content


def test_tuspy_is_told_of_a_wrong_offset(server: Server) -> None:
    content = CONTENT[:1_000]
    first = uploader(server, content, chunk_size=10)
    first.upload_chunk()
    first.offset = 500
    with pytest.raises(TusUploadFailed) as failure:
        first.upload_chunk()
    assert failure.value.status_code == 409


def test_bytes_of_a_client_that_vanished_are_kept(server: Server) -> None:
    content = b"vanished" + CONTENT[: 6 * MIB]
    path = begun(server, len(content))
    broken = HalfPatch(server, path, 0, content, 5 * MIB + 11)
    assert offset(server, path) == 0
    broken.close()
    assert wait_until(lambda: offset(server, path) == 5 * MIB + 11)
    uploader(server, content, url=urljoin(server.url, path)).upload()
    assert fetched(server, content) == content


def test_a_connection_that_hangs_is_taken_over_from(server: Server) -> None:
    """The client changed its network: to the server the old request still runs."""
    content = b"hanging" + CONTENT[: 6 * MIB]
    path = begun(server, len(content))
    hanging = HalfPatch(server, path, 0, content, 5 * MIB)
    uploader(server, content, url=urljoin(server.url, path)).upload()
    assert fetched(server, content) == content
    hanging.socket.sendall(content[5 * MIB :])
    hanging.socket.settimeout(5)
    assert b" 409 " in hanging.socket.recv(100)
    hanging.close()
    assert fetched(server, content) == content


def test_an_upload_survives_servers_that_are_killed(launch: Launch, seeded: Path) -> None:
    """Each is killed while bytes come in: what it said that it has, the next one has."""
    server = launch(seeded)
    content = random.Random(5).randbytes(72 * MIB + 9)
    path = begun(server, len(content))
    said = 0
    for sent in (3 * MIB, 40 * MIB, 20 * MIB):
        at = offset(server, path)
        assert at >= said
        sending = HalfPatch(server, path, at, content, sent)
        # The progress is written down after each 32 MiB that are durable.
        expected = sent >= 40 * MIB
        if expected:
            assert wait_until(partial(has_moved, server, path, at), 20)
        else:
            time.sleep(0.2)
        said = offset(server, path)
        server.end(signal.SIGKILL)
        sending.close()
        server = launch(seeded)
    assert offset(server, path) == said > 32 * MIB - 1
    uploader(server, content, url=urljoin(server.url, path)).upload()
    assert fetched(server, content) == content
    assert list((seeded / "blobs" / "stages").iterdir()) == []


def test_an_upload_goes_on_at_another_server(
    launch: Launch, tmp_path: Path, migrated: Path
) -> None:
    """Of the same database and storage; nothing else knows of the upload."""
    tmp_path.chmod(0o700)
    subprocess.run(["cp", "-a", migrated, tmp_path / "postgres"], check=True)
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    variables = {
        "ORCHESTRATOR_DATABASE_URL": postgres.start(),
        "ORCHESTRATOR_BLOB_STORE": (tmp_path / "store").as_uri(),
    }
    try:
        one = launch(tmp_path / "one", environ=variables)
        two = launch(tmp_path / "two", environ=variables)
        assert one.url, one.stderr()
        assert two.url, two.stderr()
        content = CONTENT[: 9 * MIB]
        path = begun(one, len(content))
        for number, server in enumerate((one, two, one, two)):
            at = 2 * MIB * number
            assert offset(server, path) == at
            sending = uploader(server, content, url=urljoin(server.url, path), chunk_size=2 * MIB)
            sending.upload(stop_at=at + 2 * MIB)
        # One hangs in the middle of a request, and is ended without being asked.
        HalfPatch(one, path, 8 * MIB, content, MIB // 2)
        one.end(signal.SIGKILL)
        uploader(two, content, url=urljoin(two.url, path)).upload()
        assert fetched(two, content) == content
    finally:
        postgres.stop()
