"""Blobs between files and a server, piece by piece; what arrives is checked against its name."""

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from orchestrator.cli.connection import ConnectionLost, ServerConnection, address
from orchestrator.cli.documents import STDIN
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.limits import Limits
from orchestrator.cli.progress import Show

if TYPE_CHECKING:
    import httpx2

PIECE_BYTES = 256 * 1024
#: A server answers for 10,000 at once.
MISSING_BATCH = 1_000
WANTS_SHA256 = {"Want-Repr-Digest": "sha-256=1"}


# ------------------------------------------------------------------------------------------- up


def size_of(path: Path) -> int | None:
    """How many bytes a file has; None for standard input and devices."""
    if path == STDIN:
        return None
    with naming(path, "read"):
        found = path.stat()
        return found.st_size if path.is_file() else None


def pieces(path: Path, start: int, show: Show) -> Iterator[bytes]:
    """The bytes of a file from `start` on, or of standard input."""
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
    server: ServerConnection, path: Path, media_type: str, *, wants_sha256: bool, show: Show
) -> Reply:
    """Store a blob in one request. A file is sent once more if the connection is lost."""
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
    server: ServerConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    content: Iterable[bytes] | None = None,
) -> Reply:
    """One request and its whole answer, whatever the status."""
    with server.stream(method, path, content=content, headers=headers) as response:
        return Reply(response.status_code, response.headers, response.read())


def missing_blobs(server: ServerConnection, names: Sequence[str]) -> list[str]:
    """Those of the blobs that the namespace does not have."""
    found: list[str] = []
    for start in range(0, len(names), MISSING_BATCH):
        reply = server.post("cas", "missing", cas_ids=names[start : start + MISSING_BATCH])
        found += reply.json()["missing"]
    return found


# ----------------------------------------------------------------------------------------- down


class OtherBytes(CommandFailed):
    """What arrived is not what its name says."""


class Verifier:
    """Checks that the bytes which arrive are those of a name."""

    def __init__(self, name: str) -> None:
        from blake3 import blake3

        self._name = name
        algorithm = name.partition(":")[0]
        self._hash = hashlib.sha256() if algorithm == "sha256" else blake3()
        self._algorithm = "sha256" if algorithm == "sha256" else "blake3"

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the bytes on; fail at their end if they are not those of the name."""
        for chunk in chunks:
            self._hash.update(chunk)
            yield chunk
        actual = f"{self._algorithm}:{self._hash.hexdigest()}"
        if actual != self._name:
            raise OtherBytes(f"What came is not {self._name}, but {actual}.")


def blob_pieces(
    server: ServerConnection, name: str, show: Show, *, start: int = 0
) -> Iterator[bytes]:
    """The bytes of a blob from `start` on. A download that breaks off is continued where it
    stopped: the name stands for the same bytes for ever.
    """
    at, lost = start, 0
    pauses = server.limits.download_retry_seconds
    while True:
        # Positions are those of the bytes themselves, so nothing may be packed on the way.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={at}-"} if at else {})}
        before = at
        try:
            with server.stream("GET", address("cas", name), headers=headers) as response:
                if response.status_code not in ({200, 206} if at else {200}):
                    reply = Reply(response.status_code, response.headers, response.read())
                    raise server.refusal(reply)
                # A server without ranges sends everything.
                known = at if response.status_code == 200 else 0
                length = response.headers.get("content-length", "")
                total = at - known + int(length) if length.isdecimal() else None
                for chunk in _paced(response, server.limits):
                    new = chunk[known:]
                    known -= len(chunk) - len(new)
                    at += len(new)
                    if new:
                        yield new
                        show(at, total)
                return
        except ConnectionLost:
            lost = 0 if at > before else lost + 1
            # If nothing came yet, once more at once. Else the server may soon be there again.
            if lost >= (len(pauses) if at else 2):
                raise
            time.sleep(pauses[lost] if at else 0)


def _paced(response: "httpx2.Response", limits: Limits) -> Iterator[bytes]:
    """The chunks of an answer. A server that is too slow is given up; a slow reader is not."""
    import httpx2

    chunks, waited, brought = response.iter_bytes(), 0.0, 0
    while True:
        began = time.monotonic()
        chunk = next(chunks, None)
        waited += time.monotonic() - began
        if chunk is None:
            return
        brought += len(chunk)
        if brought >= limits.body_window_bytes_min:
            waited, brought = 0.0, 0
        elif waited > limits.body_seconds_max:
            raise httpx2.ReadTimeout("The body takes too long.")
        yield chunk


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write the whole file or nothing: a failure leaves what was there before."""
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
    """Let the failure name the file, if the system refuses something in this block."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        raise CommandFailed(f"{path} cannot be {what}: {reason}.") from error
