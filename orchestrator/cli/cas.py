"""`orchestrator cas …`: blobs by the hash of their bytes; nothing is interpreted."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.documents import STDIN, read_bytes
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.options import MAY_BE_STDIN, File, WithSession
from orchestrator.cli.output import write_bytes, write_json
from orchestrator.cli.showing import show_record

app = App(name="cas", help="Blobs by the hash of their bytes: put, get, ask which are missing.")

OCTET_STREAM = "application/octet-stream"
#: A server answers for 10,000 at once.
BATCH = 1_000
_MEMBERS = ("cas_id", "size_bytes", "media_type", "created_at")

CasId = Annotated[str, Parameter(help="Such as blake3:6c21….")]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator cas put report.pdf --media-type application/pdf\n"
    "  tar c src | orchestrator cas put -"
)
def put(
    file: File,
    /,
    *,
    media_type: Annotated[str, Parameter(help="What the bytes are.")] = OCTET_STREAM,
    session: WithSession,
) -> None:
    """Store a file; the answer names it."""
    content = read_bytes(file)
    with session.connect() as server:
        show_record(session, server.upload(content, media_type), _MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator cas get blake3:6c21… -o report.pdf\n"
    "  orchestrator cas get blake3:6c21… | b3sum"
)
def get(
    cas_id: CasId,
    /,
    *,
    file: Annotated[
        Path | None, Parameter(name=["--file", "-o"], help="Write there, not to standard output.")
    ] = None,
    session: WithSession,
) -> None:
    """Fetch the exact bytes of a blob."""
    with session.connect() as server:
        content = server.get("cas", cas_id).body
    if file is not None:
        _write_file(file, content)
    elif sys.stdout.isatty() and _is_binary(content):
        raise WrongUsage(
            f"These {len(content):,} bytes are not text and would disturb the terminal.",
            ["Give -o FILE, or redirect the output."],
        )
    else:
        write_bytes(content)


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
    *cas_ids: CasId,
    session: WithSession,
) -> None:
    """Print those of the blobs that the namespace does not have, one on each line."""
    names = [cas_id, *cas_ids]
    if names == [str(STDIN)]:
        names = read_bytes(STDIN).decode("utf-8", "replace").split()
    found: list[str] = []
    with session.connect() as server:
        for start in range(0, len(names), BATCH):
            reply = server.post("cas", "missing", cas_ids=names[start : start + BATCH])
            found += reply.json()["missing"]
    if session.is_json:
        write_json(msgspec.json.encode({"missing": found}))
    else:
        write_bytes("".join(f"{name}\n" for name in found).encode())


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error


def _is_binary(content: bytes) -> bool:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return not all(c.isprintable() or c in "\n\r\t" for c in text)
