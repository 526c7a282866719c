"""Large blobs over real sockets: memory, broken connections, slow ones, damage on the way."""

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from tests.processes import resident_mib, wait_until
from tests.seeds import seed
from tests.server.conftest import Launch, Server

MIB = 1024 * 1024
#: Quick deadlines, so that a test of them is quick too.
PACE = {
    "ORCHESTRATOR_BODY_SECONDS_MAX": "1",
    "ORCHESTRATOR_BODY_WINDOW_BYTES_MIN": "1000",
    "ORCHESTRATOR_SEND_SECONDS_MAX": "1",
    "ORCHESTRATOR_BLOB_BYTES_MAX": str(64 * MIB),
}


@pytest.fixture(scope="module")
def server(launch: Launch, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = seed(tmp_path_factory.mktemp("transfers") / "data", migrated)
    started = launch(folder, environ=PACE)
    assert started.url, started.stderr()
    return started


def incoming(server: Server) -> list[Path]:
    return list((server.folder / "blobs/incoming").iterdir())


def objects(server: Server) -> list[Path]:
    return [path for path in (server.folder / "blobs/objects").rglob("*") if path.is_file()]


def connect(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(server: Server, *lines: str, path: str = "/api/v1/cas") -> bytes:
    said = [
        f"POST {path} HTTP/1.1",
        f"Host: {server.url.removeprefix('http://')}",
        f"Authorization: Bearer {server.token}",
        *lines,
    ]
    return ("\r\n".join(said) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> tuple[int, bytes]:
    found = http.client.HTTPResponse(connection)
    found.begin()
    return found.status, found.read()


def content(seed: int, mib: int) -> bytes:
    """Different for each seed, and of no use to a compressor."""
    return blake3(seed.to_bytes(8, "big")).digest(mib * MIB)


def test_a_large_blob_goes_to_a_file_and_comes_back(server: Server) -> None:
    sent = content(1, 8)
    stored = server.request("POST", "/api/v1/cas", content=sent)
    assert (stored.status_code, stored.json()["size_bytes"]) == (201, len(sent))
    assert stored.json()["cas_id"] == f"blake3:{blake3(sent).hexdigest()}"
    back = server.request("GET", f"/api/v1/cas/{stored.json()['cas_id']}")
    assert back.content == sent
    assert back.headers["content-length"] == str(len(sent))
    assert incoming(server) == []
    (path,) = [path for path in objects(server) if path.name.startswith(blake3(sent).hexdigest())]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_blob_again_leaves_no_second_file(server: Server) -> None:
    sent = content(2, 2)
    statuses = [server.request("POST", "/api/v1/cas", content=sent).status_code for _ in range(3)]
    assert statuses == [201, 200, 200]
    name = blake3(sent).hexdigest()
    assert len([path for path in objects(server) if path.name.startswith(name)]) == 1


def test_a_chunked_body_needs_no_length(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(30):
            yield content(300 + number, 1)[: 100_000 + number]

    sent = b"".join(pieces())
    stored = server.request("POST", "/api/v1/cas", content=pieces())
    assert stored.json()["cas_id"] == f"blake3:{blake3(sent).hexdigest()}"


@pytest.mark.parametrize("is_large", [False, True])
def test_a_client_that_goes_away_leaves_nothing(server: Server, is_large: bool) -> None:
    before = objects(server)
    with connect(server) as connection:
        connection.sendall(head(server, f"Content-Length: {32 * MIB}"))
        connection.sendall(content(4, 8 if is_large else 1)[: None if is_large else 50_000])
        if is_large:
            assert wait_until(lambda: incoming(server))
    assert wait_until(lambda: incoming(server) == [])
    assert objects(server) == before


def test_a_client_that_is_told_to_wait_sends_nothing_in_vain(server: Server) -> None:
    """Refusals come before `100 Continue`: too large, unknown token, an encoded body."""
    refusals = {
        413: ("Content-Length: 999999999999",),
        415: ("Content-Length: 1000000", "Content-Encoding: gzip"),
    }
    for status, lines in refusals.items():
        with connect(server) as connection:
            connection.sendall(head(server, *lines, "Expect: 100-continue"))
            assert answer(connection)[0] == status
    with connect(server) as connection:
        connection.sendall(head(server, "Content-Length: 5", "Expect: 100-continue"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"hello")
        assert answer(connection)[0] in (200, 201)


def test_a_name_that_is_here_need_not_be_sent_again(server: Server) -> None:
    sent = content(5, 2)
    path = f"/api/v1/cas/blake3:{blake3(sent).hexdigest()}"
    assert server.request("PUT", path, content=sent).status_code == 201
    with connect(server) as connection:
        lines = (f"Content-Length: {len(sent)}", "Expect: 100-continue")
        connection.sendall(head(server, *lines, path=path).replace(b"POST", b"PUT", 1))
        assert answer(connection)[0] == 200


def test_a_body_that_stalls_or_drips_is_given_up(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(head(server, f"Content-Length: {4 * MIB}"))
        connection.sendall(content(6, 2))
        status, said = answer(connection)
        assert status == 408, said
    with connect(server) as connection:
        connection.sendall(head(server, f"Content-Length: {4 * MIB}"))
        started = time.monotonic()
        for _ in range(40):
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
        assert time.monotonic() - started < 4
    assert wait_until(lambda: incoming(server) == [])


def test_a_body_that_is_slow_and_steady_is_taken(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(head(server, "Content-Length: 10000"))
        for _ in range(10):
            connection.sendall(b"y" * 1000)
            time.sleep(0.25)
        assert answer(connection)[0] == 201


def test_a_reader_that_takes_nothing_is_cut_off(server: Server) -> None:
    sent = content(7, 48)
    cas_id = server.request("POST", "/api/v1/cas", content=sent).json()["cas_id"]
    with connect(server) as connection:
        request = head(server, path=f"/api/v1/cas/{cas_id}").replace(b"POST", b"GET", 1)
        connection.sendall(request)
        connection.recv(1000)
        time.sleep(3)
        received = 1000
        try:
            while data := connection.recv(MIB):
                received += len(data)
        except OSError:
            pass
        assert received < len(sent)


def test_damage_on_the_way_ends_the_connection_before_the_whole_is_there(server: Server) -> None:
    sent = content(8, 8)
    cas_id = server.request("POST", "/api/v1/cas", content=sent).json()["cas_id"]
    (path,) = [path for path in objects(server) if path.name.startswith(cas_id[7:])]
    damaged = bytearray(sent)
    damaged[6 * MIB] ^= 1
    path.write_bytes(damaged)
    part = server.request("GET", f"/api/v1/cas/{cas_id}", headers={"Range": "bytes=0-99"})
    assert part.content == sent[:100]
    with connect(server) as connection:
        request = head(server, path=f"/api/v1/cas/{cas_id}").replace(b"POST", b"GET", 1)
        connection.sendall(request)
        found = http.client.HTTPResponse(connection)
        found.begin()
        assert found.getheader("content-length") == str(len(sent))
        with pytest.raises((http.client.IncompleteRead, OSError)) as broken:
            found.read()
        if isinstance(broken.value, http.client.IncompleteRead):
            assert sent.startswith(broken.value.partial), "not one wrong byte was sent"
    again = server.request("GET", f"/api/v1/cas/{cas_id}")
    assert (again.status_code, again.json()["error"]) == (500, "corrupt blob")
    assert server.request("POST", "/api/v1/cas", content=sent).status_code == 200
    assert server.request("GET", f"/api/v1/cas/{cas_id}").content == sent


def test_memory_does_not_grow_with_the_size_of_what_is_transferred(server: Server) -> None:
    count, mib = 8, 48

    def up(seed: int) -> str:
        stored = server.request("POST", "/api/v1/cas", content=content(seed, mib))
        return str(stored.json()["cas_id"])

    def down(cas_id: str) -> int:
        return len(server.request("GET", f"/api/v1/cas/{cas_id}").content)

    def peak() -> float:
        found, done = 0.0, False

        def watch() -> None:
            nonlocal found
            while not done:
                found = max(found, resident_mib(server.pid))
                time.sleep(0.02)

        with ThreadPoolExecutor(count + 1) as pool:
            watching = pool.submit(watch)
            try:
                names = list(pool.map(up, range(901, 901 + count)))
                assert set(pool.map(down, names)) == {mib * MIB}
            finally:
                done = True
            watching.result()
        return found

    up(900)
    idle = resident_mib(server.pid)
    # Eight streams were seen to take 56 to 64 MiB, as they meet. What grows with size always does.
    least = peak()
    if least - idle >= 64:
        least = min(least, peak())
    assert least - idle < 64, f"{least:.0f} MiB instead of {idle:.0f}"
