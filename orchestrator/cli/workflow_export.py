"""`orchestrator workflow export`: versions as files, which `import` and `create` read again."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.file_name import name_faults
from orchestrator.cli.options import PrefixOption, ReferenceName, WithSession
from orchestrator.cli.output import write_bytes, write_document
from orchestrator.cli.showing import show_rows
from orchestrator.cli.version_read import find_version

app = App()

ExportFormat: TypeAlias = Literal["json", "yaml", "wfformat"]
_ENDINGS = {"json": ".json", "yaml": ".yaml", "wfformat": ".json"}


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow export billing > billing.json\n"
    "  orchestrator workflow export billing@3 --format yaml\n"
    "  orchestrator workflow export billing orders --to workflows/\n"
    "  orchestrator workflow export --prefix team/ --to backup/"
)
def export(
    *references: ReferenceName,
    prefix: PrefixOption = None,
    to: Annotated[
        Path | None,
        Parameter(help="A folder for a file of each; else one is written to standard output."),
    ] = None,
    format: Annotated[  # noqa: A002 - its name on the command line.
        ExportFormat, Parameter(help="wfformat is that of wfcommons.org.")
    ] = "json",
    force: Annotated[bool, Parameter(negative="", help="Replace files that are there.")] = False,
    session: WithSession,
) -> None:
    """Write the documents of workflows as files, TAG.json or TAG.yaml below a folder.

    `create` and `import` read them again.
    """
    with session.connect() as server:
        names = list(references)
        if prefix is not None:
            page = server.list_all("workflows", prefix=prefix)
            names += [msgspec.json.decode(item)["tag"] for item in page.items]
        if to is None and len(names) != 1:
            raise WrongUsage(f"There are {len(names)} workflows: name a folder, --to FOLDER.")
        if faults := list(name_faults(names)):
            raise CommandFailed("Nothing is written: tags have names that are not safe.", faults)
        rows = []
        for name in names:
            content = formatted(find_version(server, name).content, format)
            if to is None:
                _print(content, format)
                return
            file = to / f"{name.replace(':', '-')}{_ENDINGS[format]}"
            _write(file, content, force=force)
            rows.append({"file": str(file), "name": name, "size_bytes": len(content)})
    show_rows(session, ("file", "name", "size_bytes"), rows)


def formatted(content: bytes, format_: ExportFormat) -> bytes:
    """A stored document as a file is to have it."""
    if format_ == "json":
        return msgspec.json.format(content, indent=2) + b"\n"
    value = msgspec.json.decode(content)
    if format_ == "yaml":
        from orchestrator.cli.yaml_text import dump_yaml

        return dump_yaml(value).encode()
    from orchestrator.cli.wfformat import wfformat_from_workflow

    return msgspec.json.format(msgspec.json.encode(wfformat_from_workflow(value)), indent=2) + b"\n"


def _print(content: bytes, format_: ExportFormat) -> None:
    if format_ == "yaml":
        write_bytes(content)
    else:
        write_document(content)


def _write(file: Path, content: bytes, *, force: bool) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb" if force else "xb") as opened:
            opened.write(content)
    except FileExistsError as error:
        raise CommandFailed(f"{file} is there already.", ["Replace it with --force."]) from error
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}.") from error
