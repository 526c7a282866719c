"""Sends a file by tus 1.0.0, over as many connections as it takes; no state outlives the command.

https://tus.io/protocols/resumable-upload
"""

import time
from base64 import b64encode
from pathlib import Path

import msgspec

from orchestrator.cli.connection import API, ConnectionLost, ServerConnection, address
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.progress import Show
from orchestrator.cli.transfer import WANTS_SHA256, ask, naming, pieces, size_of

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
UPLOADS = f"{API}/uploads/"
#: The answer to the last byte waits until the server has hashed all of them.
READ_SECONDS_MAX = 1_200.0
#: Statuses of refusals that may pass: by themselves, or because somebody removes the cause.
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 507})


class _State(msgspec.Struct):
    blob: msgspec.Raw = msgspec.Raw(b"null")


class _TryAgainError(Exception):
    """The server could not do it now."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class ResumableUpload:
    """One file on its way to one upload of the server."""

    def __init__(self, server: ServerConnection, path: Path, show: Show) -> None:
        server.read_seconds_max = READ_SECONDS_MAX
        self._server = server
        self._path = path
        self._show = show
        size = size_of(path)
        if size is None:
            raise WrongUsage(f"{path} can be read only once, so it cannot be sent resumably.")
        self._size = size
        self._where = ""

    def create(
        self, media_type: str, *, wants_sha256: bool = False, cas_id: str | None = None
    ) -> None:
        """Create the upload, and announce the name that its bytes must have."""
        metadata = {
            "filename": self._path.name,
            "filetype": media_type,
            "cas_id": cas_id or cas_id_of(self._path),
        }
        encoded = (f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = {
            **TUS,
            "Upload-Length": str(self._size),
            "Upload-Metadata": ",".join(encoded),
            **(WANTS_SHA256 if wants_sha256 else {}),
        }
        reply = ask(self._server, "POST", address("uploads"), headers)
        if reply.status != 201:
            raise self._server.refusal(reply)
        self._where = self._local(reply.headers.get("location", ""))

    def resume(self, url: str) -> None:
        """Go on with an upload that was begun before."""
        self._where = self._local(url)

    def _local(self, url: str) -> str:
        """The path of an upload on this server: no other server may get the token."""
        path = url.removeprefix(self._server.url)
        if not path.startswith(UPLOADS):
            raise WrongUsage(f"{url!r} is not an upload of {self._server.url}.")
        return path

    def send(self) -> Reply:
        """Send the bytes that the server does not have; the answer is the blob."""
        failures, furthest = 0, -1
        pauses = self._server.limits.upload_retry_seconds
        while True:
            try:
                offset = self._offset()
                if offset > furthest:
                    failures, furthest = 0, offset
                if offset == self._size:
                    return self._blob()
                self._patch(offset)
            except (ConnectionLost, _TryAgainError) as error:
                if failures == len(pauses):
                    raise self._failure(error) from error
                time.sleep(pauses[failures])
                failures += 1

    def _offset(self) -> int:
        """How many bytes the server has."""
        reply = ask(self._server, "HEAD", self._where, TUS)
        if reply.status in _PASSING:
            raise _TryAgainError(reply)
        if reply.status == 404:
            raise CommandFailed("The server does not have this upload any more: begin anew.")
        offset = reply.headers.get("upload-offset", "")
        if reply.status != 200 or not offset.isdecimal():
            raise CommandFailed(f"The server answered {reply.status} when asked for the upload.")
        length = reply.headers.get("upload-length", "")
        if length != str(self._size):
            raise CommandFailed(
                f"The upload is one of {length or 'unknown'} bytes, and {self._path} has "
                f"{self._size}."
            )
        self._show(int(offset), self._size)
        return int(offset)

    def _patch(self, offset: int) -> None:
        headers = {
            **BYTES,
            "Upload-Offset": str(offset),
            "Content-Length": str(self._size - offset),
        }
        content = pieces(self._path, offset, self._show)
        reply = ask(self._server, "PATCH", self._where, headers, content)
        if reply.status in _PASSING:
            raise _TryAgainError(reply)
        if reply.status != 204:
            raise self._server.refusal(reply)

    def _blob(self) -> Reply:
        path, _, query = self._where.partition("?")
        reply = ask(self._server, "GET", f"{path}?{query}" if query else path, {})
        if reply.status != 200:
            raise self._server.refusal(reply)
        blob = bytes(msgspec.json.decode(reply.body, type=_State).blob)
        if blob == b"null":
            raise CommandFailed("The server has deleted the blob already.")
        return Reply(reply.status, reply.headers, blob)

    def _failure(self, error: ConnectionLost | _TryAgainError) -> CommandFailed:
        """The failure, with the command that continues the upload."""
        failure = self._server.refusal(error.reply) if isinstance(error, _TryAgainError) else error
        url = f"{self._server.url}{self._where}"
        line = f"Go on with: orchestrator cas put {self._path} --resume {url}"
        return type(failure)(failure.detail, [*failure.lines, line])


def cas_id_of(path: Path) -> str:
    """The name of the blob that a file would be."""
    from blake3 import blake3

    with naming(path, "read"):
        return f"blake3:{blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()}"
