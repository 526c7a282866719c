"""The files of an artifact on their way into a folder: each is whole, or is not there.

Nothing that a server says makes us write outside of the folder, or through a symbolic link in it.
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from orchestrator.cli.connection import ConnectionLost, ServerConnection
from orchestrator.cli.failure import CommandFailed, ServerUnusable
from orchestrator.cli.file_name import name_faults
from orchestrator.cli.parallel import in_parallel
from orchestrator.cli.progress import Show, progress, together
from orchestrator.cli.transfer import PIECE_BYTES, OtherBytes, Verifier, blob_pieces, naming

if TYPE_CHECKING:
    from orchestrator.documents.manifest import ManifestBlob

MANIFEST = "application/json;type=manifest"
AT_ONCE = 4
Action = Literal["written", "unchanged"]
#: A symbolic link is refused, not followed.
_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC


def files_of(server: ServerConnection, name: str, found: dict[str, Any]) -> "list[ManifestBlob]":
    """The files of an artifact, by its manifest, whose hash shows that it is the right one."""
    from orchestrator.documents.manifest import read_manifest

    cas_id = found["cas_id"]
    files: list[ManifestBlob] = []
    if found["media_type"] == MANIFEST:
        if ":" in name and not cas_id.startswith(name):
            raise OtherBytes(f"What came is not {name}, but {cas_id}.")
        pieces = blob_pieces(server, cas_id, lambda _done, _total: None)
        files = read_manifest(b"".join(Verifier(cas_id).passing(pieces))).blobs
    if not files:
        raise CommandFailed(f"{name} is an artifact of kind {found['kind']} without files.")
    faults = list(name_faults([name_of(file) for file in files]))
    if faults:
        raise CommandFailed("Nothing is written: files have names that are not safe.", faults)
    return files


def write_files(
    server: ServerConnection,
    files: "Sequence[ManifestBlob]",
    folder: Path,
    *,
    force: bool,
    quiet: bool,
) -> list[Action | CommandFailed]:
    """What was done with each; one that cannot be read or written does not stop the others."""
    done: dict[str, Action | CommandFailed] = {}
    destination = Destination(server, folder, force=force)
    with progress("receiving", quiet=quiet) as show:
        part = together(show, sum(file.size_bytes for file in files))
        ended = in_parallel(lambda file: destination.write(file, part()), files, at_once=AT_ONCE)
        for file, outcome in ended:
            if isinstance(outcome, ConnectionLost):
                server.probe("/health/live")  # A damaged file may end its connection, too.
            elif isinstance(outcome, ServerUnusable):
                raise outcome
            if isinstance(outcome, BaseException) and not isinstance(outcome, CommandFailed):
                raise outcome
            done[name_of(file)] = outcome
    return [done[name_of(file)] for file in files]


def name_of(file: "ManifestBlob") -> str:
    """Its name; one without a name has the digits of its hash."""
    return file.cas_id.partition(":")[2] if file.name is None else file.name


class Destination:
    """The folder that was named, open, so that it stays the same whatever happens to its path."""

    def __init__(self, server: ServerConnection, folder: Path, *, force: bool) -> None:
        self._server = server
        self._force = force
        with naming(folder, "written"):
            folder.mkdir(parents=True, exist_ok=True)
            # This path is one's own: it may well lead through a symbolic link. It stays open as
            # long as the process, and so as long as any file is on its way.
            self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(self, file: "ManifestBlob", show: Show) -> Action:
        """Fetch a file unless it is here. What is different is replaced only by force."""
        *folders, name = name_of(file).split("/")
        try:
            with _opened(self._root, folders) as folder:
                if self._is_here(folder, name, file):
                    show(file.size_bytes, None)
                    return "unchanged"
                self._fetch(folder, name, file, show)
                return "written"
        except OSError as error:
            raise CommandFailed(f"It cannot be written: {error.strerror}.") from error

    def _is_here(self, folder: int, name: str, file: "ManifestBlob") -> bool:
        """Whether just this file is here; what is in its way is a failure."""
        try:
            found = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        if S_ISDIR(found.st_mode):
            raise CommandFailed("It is a folder here.")
        if S_ISREG(found.st_mode) and found.st_size == file.size_bytes:
            number = os.open(name, os.O_RDONLY | _SAFE, dir_fd=folder)
            with os.fdopen(number, "rb") as stream, suppress(OtherBytes):
                _read(Verifier(file.cas_id).passing(_pieces(stream)))
                return True
        if not self._force:
            raise CommandFailed("It is here already and differs; see --force.")
        return False

    def _fetch(self, folder: int, name: str, file: "ManifestBlob", show: Show) -> None:
        """Go on with what a pull that was cut off left beside the place of the file."""
        from blake3 import blake3

        part = f".pull-{blake3(f'{file.cas_id} {name}'.encode()).hexdigest(length=16)}.part"
        number = os.open(part, os.O_RDWR | os.O_CREAT | _SAFE, 0o666, dir_fd=folder)
        with os.fdopen(number, "r+b") as stream:
            _lock(stream, folder, part)
            had = os.fstat(number).st_size
            try:
                try:
                    self._complete(stream, file, had, show)
                except OtherBytes:
                    if not had:
                        raise
                    # What was left may be wrong, and what the server has may be right.
                    self._complete(stream, file, 0, show)
            except OtherBytes:
                os.unlink(part, dir_fd=folder)
                raise
            stream.flush()
            os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _complete(self, stream: BinaryIO, file: "ManifestBlob", start: int, show: Show) -> None:
        """Append what is missing after `start`; OtherBytes if the whole is not as it should be."""
        start = min(start, file.size_bytes)
        stream.truncate(start)
        stream.seek(0)
        show(start, None)
        _read(Verifier(file.cas_id).passing(self._whole(stream, file, start, show)))

    def _whole(
        self, stream: BinaryIO, file: "ManifestBlob", start: int, show: Show
    ) -> Iterator[bytes]:
        yield from _pieces(stream)
        at = start
        if at == file.size_bytes:
            return
        for piece in blob_pieces(self._server, file.cas_id, show, start=start):
            at += len(piece)
            if at > file.size_bytes:  # Else a server could fill the disk.
                raise OtherBytes(f"More came than the {file.size_bytes} bytes of {file.cas_id}.")
            stream.write(piece)
            yield piece


@contextmanager
def _opened(root: int, folders: Sequence[str]) -> Iterator[int]:
    """A folder below another one; those on the way that are not there are made."""
    here = os.dup(root)
    try:
        for at, name in enumerate(folders):
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=here)
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _SAFE, dir_fd=here)
            except OSError as error:
                if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                    raise
                place = "/".join(folders[: at + 1])
                raise CommandFailed(f"{place} is a file or a symbolic link here.") from error
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _lock(stream: BinaryIO, folder: int, part: str) -> None:
    """Only one pull at a time writes a file; the lock ends with the process."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(stream.fileno()), os.lstat(part, dir_fd=folder)):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise CommandFailed("Another command is writing this file.")


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece


def _read(pieces: Iterator[bytes]) -> None:
    """To the end."""
    for _ in pieces:
        pass
