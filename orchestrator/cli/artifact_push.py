"""Files and folders on their way into an artifact: found, hashed, sent if they are missing."""

import mimetypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.documents import STDIN
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.file_name import name_faults
from orchestrator.cli.parallel import in_parallel
from orchestrator.cli.progress import Show, progress, together
from orchestrator.cli.transfer import missing_blobs, naming, put_blob
from orchestrator.cli.upload import ResumableUpload, cas_id_of

AT_ONCE = 4
OCTET_STREAM = "application/octet-stream"
#: Of names such as x.tar.gz: the bytes are what packed them.
_PACKED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": "application/x-brotli",
    "compress": "application/x-compress",
}


@dataclass(frozen=True)
class FoundFile:
    """A file of this machine and its name in the artifact."""

    path: Path
    name: str
    size_bytes: int


@dataclass(frozen=True)
class Hashed(FoundFile):
    """A file whose content has a name."""

    cas_id: str
    media_type: str

    @property
    def member(self) -> dict[str, str]:
        """As a request lists it."""
        return {"cas_id": self.cas_id, "name": self.name, "media_type": self.media_type}


def find_files(paths: Sequence[Path]) -> list[FoundFile]:
    """The files that are named, and those in folders that are named; all faults are said at once.

    A file has its own name, those of a folder their path below it.
    """
    found: list[FoundFile] = []
    faults: list[str] = []
    for path in paths:
        if path == STDIN:
            raise WrongUsage("Standard input has no name: give a file.")
        with naming(path, "read"):
            mode = path.stat().st_mode
            if S_ISDIR(mode):
                found += _below(path, "", faults)
            elif S_ISREG(mode):
                found.append(FoundFile(path, path.absolute().name, path.stat().st_size))
            else:
                faults.append(f"{path} is no file and no folder.")
    faults += name_faults([file.name for file in found])
    if faults:
        raise CommandFailed("These files cannot be in one artifact.", faults)
    if not found:
        raise CommandFailed("There is no file in what you named.")
    return found


def _below(folder: Path, prefix: str, faults: list[str]) -> Iterator[FoundFile]:
    with naming(folder, "read"):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        path, name = folder / entry.name, f"{prefix}{entry.name}"
        if entry.is_symlink():
            # What it leads to may be anywhere, and nobody said that it should be published.
            faults.append(f"{path} is a symbolic link: name the file itself.")
        elif entry.is_dir():
            yield from _below(path, f"{name}/", faults)
        elif entry.is_file():
            yield FoundFile(path, name, entry.stat().st_size)
        else:
            faults.append(f"{path} is no file and no folder.")


def hash_files(found: Sequence[FoundFile], media_type: str | None, *, quiet: bool) -> list[Hashed]:
    """The files with the names of their contents."""
    hashed: list[Hashed] = []
    with progress("hashing", quiet=quiet) as show:
        part = together(show, sum(file.size_bytes for file in found))
        for file in found:
            kind = media_type or _guess(file.name)
            hashed.append(Hashed(file.path, file.name, file.size_bytes, cas_id_of(file.path), kind))
            part()(file.size_bytes, None)
    return hashed


def _guess(name: str) -> str:
    # Only what Python knows by itself: the same files become the same artifact on every machine.
    guessed, encoding = mimetypes.MimeTypes().guess_type(f"/{name}")
    return _PACKED.get(encoding, OCTET_STREAM) if encoding else guessed or OCTET_STREAM


def send_missing(server: ServerConnection, files: Sequence[Hashed], *, quiet: bool) -> None:
    """Store those contents that the namespace does not have, several at a time."""
    by_id = {file.cas_id: file for file in files}
    missing = [by_id[name] for name in missing_blobs(server, list(by_id))]
    with progress("sending", quiet=quiet) as show:
        part = together(show, sum(file.size_bytes for file in missing))
        sent = in_parallel(lambda file: _send(server, file, part()), missing, at_once=AT_ONCE)
        for _, outcome in sent:
            if outcome is not None:
                raise outcome


def _send(server: ServerConnection, file: Hashed, show: Show) -> None:
    if file.size_bytes >= server.limits.resumable_bytes_min:
        upload = ResumableUpload(server, file.path, show)
        upload.create(file.media_type, cas_id=file.cas_id)
        reply = upload.send()
    else:
        reply = put_blob(server, file.path, file.media_type, wants_sha256=False, show=show)
    if reply.json()["cas_id"] != file.cas_id:
        raise CommandFailed(f"{file.path} changed while it was sent.")
