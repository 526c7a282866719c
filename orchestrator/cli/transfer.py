"""Blobs between files and a server, a piece at a time; what came is checked against its name."""

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from orchestrator.cli.connection import (
    BODY_SECONDS_MAX,
    Connection,
    ConnectionLost,
    Reply,
    address,
)
from orchestrator.cli.documents import STDIN
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.progress import Show

if TYPE_CHECKING:
    import httpx2

PIECE_BYTES = 256 * 1024
#: What a download must bring in each BODY_SECONDS_MAX that we wait for it.
WINDOW_BYTES_MIN = 1024 * 1024
#: Between attempts to go on with a download that has brought something; each success begins anew.
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
WANTS_SHA256 = {"Want-Repr-Digest": "sha-256=1"}


# ------------------------------------------------------------------------------------------- up


def size_of(path: Path) -> int | None:
    """How many bytes a file has; None for what can only be read once."""
    if path == STDIN:
        return None
    with naming(path, "read"):
        found = path.stat()
        return found.st_size if path.is_file() else None


def pieces(path: Path, start: int, show: Show) -> Iterator[bytes]:
    """The bytes of a file, or of standard input, from there on."""
    total = size_of(path)
    with naming(path, "read"), _opened(path) as file:
        if start:
            file.seek(start)
        done = start
        while piece := file.read(PIECE_BYTES):
            yield piece
            done += len(piece)
            show(done, total)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


def put_blob(
    server: Connection, path: Path, media_type: str, *, wants_sha256: bool, show: Show
) -> Reply:
    """Store a blob in one request. A file that is lost on the way is sent once more."""
    size = size_of(path)
    headers = {
        "Content-Type": media_type,
        "Idempotency-Key": uuid4().hex,
        **(WANTS_SHA256 if wants_sha256 else {}),
        **({} if size is None else {"Content-Length": str(size)}),
    }
    for is_last in (size is None, True):
        try:
            reply = ask(server, "POST", address("cas"), headers, pieces(path, 0, show))
        except ConnectionLost:
            if is_last:
                raise
            continue
        if reply.status < 300:
            return reply
        if is_last or reply.status != 503:
            break
        time.sleep(1)
    raise server.refusal(reply)


def ask(
    server: Connection,
    method: str,
    path: str,
    headers: dict[str, str],
    content: Iterable[bytes] | None = None,
) -> Reply:
    """One request, and all of its answer, whatever it is."""
    with server.exchange(method, path, content=content, headers=headers) as response:
        return Reply(response.status_code, response.headers, response.read())


# ----------------------------------------------------------------------------------------- down


class Verifier:
    """Whether the bytes that came are those of a name."""

    def __init__(self, name: str) -> None:
        from blake3 import blake3

        self._name = name
        algorithm = name.partition(":")[0]
        self._hash = hashlib.sha256() if algorithm == "sha256" else blake3()
        self._algorithm = "sha256" if algorithm == "sha256" else "blake3"

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes; a failure in the place of the end if they are others."""
        for chunk in chunks:
            self._hash.update(chunk)
            yield chunk
        actual = f"{self._algorithm}:{self._hash.hexdigest()}"
        if actual != self._name:
            raise CommandFailed(f"What came is not {self._name}, but {actual}.")


def blob_pieces(server: Connection, name: str, show: Show) -> Iterator[bytes]:
    """The bytes of a blob. A download that breaks off is continued where it was."""
    at, entity_tag, lost = 0, "", 0
    while True:
        headers = {"Range": f"bytes={at}-", "If-Range": entity_tag} if at else {}
        before = at
        try:
            with server.exchange("GET", address("cas", name), headers=headers) as response:
                if response.status_code != (206 if at else 200):
                    reply = Reply(response.status_code, response.headers, response.read())
                    raise server.refusal(reply)
                entity_tag = response.headers.get("etag", "")
                length = response.headers.get("content-length", "")
                total = at + int(length) if length.isdecimal() else None
                for chunk in _paced(response):
                    yield chunk
                    at += len(chunk)
                    show(at, total)
                return
        except ConnectionLost:
            lost = 0 if at > before else lost + 1
            # Nothing came yet: once more, at once. Else the server may be on its way back.
            if lost >= (len(RETRY_SECONDS) if at else 2) or (at and not entity_tag):
                raise
            time.sleep(RETRY_SECONDS[lost] if at else 0)


def _paced(response: "httpx2.Response") -> Iterator[bytes]:
    """A server that gives a little now and then is not waited for; whoever takes slowly may."""
    import httpx2

    chunks, waited, brought = response.iter_bytes(), 0.0, 0
    while True:
        asked = time.monotonic()
        chunk = next(chunks, None)
        waited += time.monotonic() - asked
        if chunk is None:
            return
        brought += len(chunk)
        if brought >= WINDOW_BYTES_MIN:
            waited, brought = 0.0, 0
        elif waited > BODY_SECONDS_MAX:
            raise httpx2.ReadTimeout("The body takes too long.")
        yield chunk


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """All of it under the name, or nothing: a failure leaves what was there before."""
    with naming(path, "written"):
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                device.writelines(chunks)
            return
        target = path.resolve()
        part = target.with_name(f".{target.name[:200]}.{uuid4().hex[:8]}.part")
        with part.open("xb") as file:
            try:
                file.writelines(chunks)
                file.flush()
                part.replace(target)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise


@contextmanager
def naming(path: Path, what: str) -> Iterator[None]:
    """What the system refuses in this block is refused because of the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        raise CommandFailed(f"{path} cannot be {what}: {reason}.") from error
