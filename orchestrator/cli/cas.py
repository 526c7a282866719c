"""`orchestrator cas …`: blobs by the hash of their bytes; nothing is interpreted."""

import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.documents import STDIN, read_bytes
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import MAY_BE_STDIN, FileName, WithSession
from orchestrator.cli.output import write_bytes, write_lines
from orchestrator.cli.progress import progress
from orchestrator.cli.showing import show_data, show_record
from orchestrator.cli.transfer import (
    Verifier,
    blob_pieces,
    missing_blobs,
    put_blob,
    size_of,
    write_file,
)
from orchestrator.cli.upload import ResumableUpload

app = App(
    name="cas",
    help="Blobs by the hash of their bytes: put, get, ask which are missing.",
    help_epilogue="Examples:\n\n"
    "  orchestrator cas put report.pdf\n"
    "  orchestrator cas get blake3:6c21… -o report.pdf",
)

OCTET_STREAM = "application/octet-stream"
_MEMBERS = ("cas_id", "sha256", "size_bytes", "media_type", "created_at")

BlobName: TypeAlias = Annotated[str, Parameter(help="Such as blake3:6c21….")]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator cas put report.pdf --media-type application/pdf\n"
    "  orchestrator cas put disk.img --sha256\n"
    "  tar c src | orchestrator cas put -"
)
def put(
    file: FileName,
    /,
    *,
    media_type: Annotated[str, Parameter(help="What the bytes are.")] = OCTET_STREAM,
    sha256: Annotated[
        bool, Parameter(negative="", help="Compute the SHA-256 too: a second name of the blob.")
    ] = False,
    resumable: Annotated[
        bool | None,
        Parameter(help="Survive lost connections. Files of 64 MiB and more are sent so anyway."),
    ] = None,
    resume: Annotated[
        str | None, Parameter(help="Go on with the upload at this URL, which a failure named.")
    ] = None,
    session: WithSession,
) -> None:
    """Store a file; the answer names it."""
    if resumable is None:
        resumable = (size_of(file) or 0) >= session.limits.resumable_bytes_min
    with session.connect() as server, progress(file.name, quiet=session.quiet) as show:
        if resumable or resume:
            upload = ResumableUpload(server, file, show)
            if resume:
                upload.resume(resume)
            else:
                upload.create(media_type, wants_sha256=sha256)
            reply = upload.send()
        else:
            reply = put_blob(server, file, media_type, wants_sha256=sha256, show=show)
    show_record(session, reply, _MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator cas get blake3:6c21… -o report.pdf\n"
    "  orchestrator cas get blake3:6c21… | b3sum"
)
def get(
    cas_id: BlobName,
    /,
    *,
    file: Annotated[
        Path | None, Parameter(name=["--file", "-o"], help="Write there, not to standard output.")
    ] = None,
    session: WithSession,
) -> None:
    """Fetch the exact bytes of a blob."""
    to_terminal = file is None and sys.stdout.isatty()
    shown = progress("blob", quiet=session.quiet or to_terminal)
    with session.connect() as server, shown as show:
        chunks = Verifier(cas_id).passing(blob_pieces(server, cas_id, show))
        if file is not None:
            write_file(file, chunks)
            return
        for chunk in _text(chunks) if to_terminal else chunks:
            write_bytes(chunk)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator cas missing blake3:6c21… blake3:af13…\n"
    "  orchestrator cas missing - < ids.txt"
)
def missing(
    cas_id: Annotated[
        str, MAY_BE_STDIN, Parameter(help="The names, or - for lines of standard input.")
    ],
    /,
    *cas_ids: BlobName,
    session: WithSession,
) -> None:
    """Print those of the blobs that the namespace does not have, one on each line."""
    names = [cas_id, *cas_ids]
    if names == [str(STDIN)]:
        names = read_bytes(STDIN).decode("utf-8", "replace").split()
    with session.connect() as server:
        found = missing_blobs(server, names)
    if session.wants_data:
        show_data(session, msgspec.json.encode({"missing": found}))
    else:
        write_lines(found)


def _text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass the bytes on as long as they are text that cannot change the terminal."""
    decoder = getincrementaldecoder("utf-8")()
    for chunk in chunks:
        try:
            text = decoder.decode(chunk)
            is_text = all(c.isprintable() or c in "\n\r\t" for c in text)
        except UnicodeDecodeError:
            is_text = False
        if not is_text:
            raise WrongUsage(
                "The blob is not text and would disturb the terminal.",
                ["Give -o FILE, or redirect the output."],
            )
        yield chunk
