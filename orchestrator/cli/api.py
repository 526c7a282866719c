"""`orchestrator api`: any request to the server, with the token and the namespace of the others."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

from cyclopts import App, Parameter

from orchestrator.cli.connection import API, JSON
from orchestrator.cli.documents import read_bytes
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import MAY_BE_STDIN, WithSession
from orchestrator.cli.output import write_bytes, write_lines
from orchestrator.cli.showing import show_data

app = App(
    name="api",
    help_epilogue="Examples:\n\n"
    "  orchestrator api GET /tags --param prefix=prod/ --param limit=5\n"
    '  orchestrator api POST /tags/prod%2Fbilling/undo --data \'{"message": "Roll back"}\'\n'
    "  orchestrator api PATCH /workflows/billing --data-file longer.json \\\n"
    "    --header 'Content-Type: application/json-patch+json'\n"
    "  orchestrator api GET /health",
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Paths that are not below the API.
_OUTSIDE = ("/api/", "/health", "/metrics", "/schema")


@app.default
def api(
    method: Annotated[str, Parameter(help="GET, POST, PUT, PATCH, DELETE or HEAD.")],
    path: Annotated[str, Parameter(help=f"Below {API}, such as /tags; a slash in a name is %2F.")],
    /,
    *,
    param: Annotated[
        list[str] | None,
        Parameter(
            name="--param", negative="", help="NAME=VALUE of the query. It may be given again."
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        Parameter(name="--header", negative="", help="NAME: VALUE. It may be given again."),
    ] = None,
    data: Annotated[str | None, Parameter(help="The body.")] = None,
    data_file: Annotated[
        Path | None, MAY_BE_STDIN, Parameter(help="A file with the body, or - for standard input.")
    ] = None,
    include: Annotated[
        bool, Parameter(negative="", help="Show the status and the headers of the answer, too.")
    ] = False,
    session: WithSession,
) -> None:
    """Send a request as it is, and print the body of the answer.

    Token, namespace and Idempotency-Key are added. A refusal is a failure like that of any command,
    with its exit code.
    """
    wanted = method.upper()
    if wanted not in _METHODS:
        raise WrongUsage(f"{method!r} is no method of HTTP that the server knows.")
    if data is not None and data_file is not None:
        raise WrongUsage("Give one body: --data or --data-file.")
    content = data.encode() if data is not None else data_file and read_bytes(data_file)
    headers = dict(_pair(each, ":", "NAME: VALUE") for each in header or ())
    path, _, query = path.partition("?")
    params = parse_qsl(query, keep_blank_values=True)
    params += [_pair(each, "=", "NAME=VALUE") for each in param or ()]
    media_type = None if content is None or "content-type" in map(str.lower, headers) else JSON
    where = f"/{path.lstrip('/')}"
    if not where.startswith(_OUTSIDE):
        where = API + where
    with session.connect() as server:
        reply = server.request(
            wanted, where, content or None, media_type, params=params, headers=headers
        )
    if include:
        status_line = f"HTTP/1.1 {reply.status}"
        lines = [f"{name}: {value}" for name, value in reply.headers.items()]
        write_lines([status_line, *lines, ""])
    if not reply.body:
        return
    if reply.headers.get("content-type", "").partition(";")[0].endswith("json"):
        show_data(session, reply.body)
    else:
        write_bytes(reply.body)


def _pair(text: str, sign: str, form: str) -> tuple[str, str]:
    name, found, value = text.partition(sign)
    if not found:
        raise WrongUsage(f"{text!r} says nothing: write {form}.")
    return name.strip(), value.strip() if sign == ":" else value
