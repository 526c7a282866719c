"""`orchestrator serve`: the parent of the workers and of the embedded PostgreSQL.

It locks the data folder, reserves the port and prepares the database. When it ends, all that it
started ends. It answers no request itself.
"""

import os
import shlex
import shutil
import sys
from collections.abc import MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestrator.embedded.error import EmbeddedPostgresError
from orchestrator.server.address import (
    call_when_ready,
    check_tls,
    is_loopback,
    load_application,
    reserve_port,
    resolve_host,
)
from orchestrator.server.error import ServeError, Stopped, UsageError
from orchestrator.server.files import (
    admin_token_sha256,
    fresh_folder,
    lock_folder,
    publish,
    unpublish,
    was_left_by_a_crash,
)
from orchestrator.server.options import HTTPOptions
from orchestrator.server.postgres import PostgresSupervisor
from orchestrator.server.settings import checked_settings
from orchestrator.server.stop import Stop
from orchestrator.server.workers import run_workers
from orchestrator.settings import PREFIX, Settings

LOOPBACK_HOSTS = "localhost,127.0.0.1,[::1]"

#: Whatever is given, `serve` sets these for its workers.
SET_BY_US = frozenset(
    f"{PREFIX}{name}" for name in ("ADMIN_TOKEN_SHA256", "BEHIND_PROXY", "METRICS_FOLDER")
)
#: Without these `serve` finds values of its own.
NOT_NEEDED = {
    f"{PREFIX}ADMIN_TOKEN_SHA256": "",
    f"{PREFIX}BLOB_STORE": "file:///",
    f"{PREFIX}DATABASE_URL": "",
}

#: The processes of a server that was killed end in less.
PREDECESSOR_SECONDS_MAX = 5.0

#: Where clients connect directly, over a network.
CONNECTIONS_PER_PEER_MAX = 256

READY = """\
orchestrator is ready: {url}
  data folder  {folder}
  admin token  {token}
  API schema   {url}/schema

Try:
  echo '{{"nodes": [{{"id": "hello", "type": "task"}}], "edges": []}}' > hello.json
  {command} workflow create hello hello.json
  {command} workflow get hello
  curl -H "Authorization: Bearer $(cat {token})" {url}/api/v1/workflows/hello

Ctrl-C ends the server; the data stays.
"""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """The options of the command line; all other settings come from ORCHESTRATOR_… variables."""

    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path(".orchestrator")
    workers: int = 1
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    target: str = "orchestrator.app:create_app"


def serve(options: ServeOptions, environ: MutableMapping[str, str] = os.environ) -> int:
    """Run until a signal ends us. Returns 0 then, 1 if we could not run, 2 for a wrong option."""
    try:
        with Stop() as stop:
            _serve(options, environ, stop)
    except Stopped:
        return 0
    except UsageError as error:
        print(f"orchestrator: {error}", file=sys.stderr)
        return 2
    except (ServeError, EmbeddedPostgresError) as error:
        print(f"orchestrator: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(options: ServeOptions, environ: MutableMapping[str, str], stop: Stop) -> None:
    _check_settings(environ)
    address = _checked(options)
    stop.check()
    os.umask(0o077)  # Whatever we and the workers write is private.
    folder = options.data_dir
    with ExitStack() as stack:
        stack.enter_context(lock_folder(folder))
        # The workers of a server that crashed have the port until they notice.
        seconds = PREDECESSOR_SECONDS_MAX if was_left_by_a_crash(folder) else 0
        reserved = stack.enter_context(
            reserve_port(address, options.port, stop, wait_seconds=seconds)
        )
        http = HTTPOptions(
            target=options.target,
            address=address,
            port=reserved.getsockname()[1],
            workers=options.workers,
            tls_certificate=options.tls_certificate,
            tls_key=options.tls_key,
        )
        supervisor: PostgresSupervisor | None = None
        if not environ.get("ORCHESTRATOR_DATABASE_URL"):
            supervisor = PostgresSupervisor(folder.absolute() / "postgres")
            stack.callback(supervisor.stop)
            supervisor.start()
        _prepare_environment(options, address, environ)
        stop.in_thread(lambda: load_application(options.target))  # While PostgreSQL starts.
        if supervisor:
            environ["ORCHESTRATOR_DATABASE_URL"] = stop.wait_for(supervisor.url)
        from orchestrator.server.migrate import migrate

        migrate(environ["ORCHESTRATOR_DATABASE_URL"], environ, stop)
        stack.callback(unpublish, folder)
        _announce_when_ready(options, http, environ)
        run_workers(http, Settings.from_environ(environ), stop)


def _checked(options: ServeOptions) -> str:
    """The address to bind. Refuses options that would send tokens unencrypted over a network."""
    certificate, key = options.tls_certificate, options.tls_key
    if (certificate is None) != (key is None):
        raise UsageError("TLS needs both a certificate and a key.")
    if options.workers < 1:
        raise UsageError("There must be at least one worker.")
    if certificate is not None and key is not None:
        check_tls(certificate, key)
    address = resolve_host(options.host)
    if not (is_loopback(address) or certificate or options.behind_proxy):
        raise UsageError(
            f"{options.host} is open to the network: give a TLS certificate and key, "
            "or --behind-proxy if a proxy in front of this server speaks TLS."
        )
    return address


def _prepare_environment(
    options: ServeOptions, address: str, environ: MutableMapping[str, str]
) -> None:
    """Set the variables that the workers read. They are forked, so no other user can see them."""
    folder = options.data_dir.absolute()
    direct = is_loopback(address) and not (options.behind_proxy or options.tls_certificate)
    environ["ORCHESTRATOR_ADMIN_TOKEN_SHA256"] = admin_token_sha256(folder)
    environ.setdefault("ORCHESTRATOR_BLOB_STORE", (folder / "blobs").as_uri())
    if not environ.get("ORCHESTRATOR_DATABASE_URL"):
        environ["ORCHESTRATOR_DATABASE_FOLDER"] = str(folder / "postgres")
    environ.setdefault("ORCHESTRATOR_ALLOWED_HOSTS", LOOPBACK_HOSTS if direct else "")
    environ["ORCHESTRATOR_BEHIND_PROXY"] = str(options.behind_proxy).lower()
    # A proxy, and this machine, may well have many.
    is_met_by_clients = not (is_loopback(address) or options.behind_proxy)
    per_peer_max = CONNECTIONS_PER_PEER_MAX if is_met_by_clients else 0
    environ.setdefault("ORCHESTRATOR_CONNECTIONS_PER_PEER_MAX", str(per_peer_max))
    environ["ORCHESTRATOR_METRICS_FOLDER"] = str(fresh_folder(folder / "metrics"))


def _check_settings(environ: MutableMapping[str, str]) -> None:
    """Refuse a wrong setting before anything starts."""
    given = {name: value for name, value in environ.items() if name not in SET_BY_US}
    checked_settings({**NOT_NEEDED, **given})


def _announce_when_ready(
    options: ServeOptions, http: HTTPOptions, environ: MutableMapping[str, str]
) -> None:
    url = _url(options, http)
    allowed = environ["ORCHESTRATOR_ALLOWED_HOSTS"].split(",")[0].strip()
    folder = _shown(options.data_dir)
    token = _shown(options.data_dir / "admin.token")
    command = _command()
    if options.data_dir.absolute() != ServeOptions.data_dir.absolute():
        command = f"ORCHESTRATOR_DATA_DIR={folder} {command}"

    def announce() -> None:
        publish(options.data_dir, url)
        print(READY.format(url=url, folder=folder, token=token, command=command), flush=True)

    call_when_ready(http, allowed or "localhost", announce)


def _url(options: ServeOptions, http: HTTPOptions) -> str:
    """The URL for a client on this machine."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the key says "everywhere".
    host = loopback.get(http.address, options.host)
    scheme = "https" if http.tls_certificate else "http"
    return f"{scheme}://[{host}]:{http.port}" if ":" in host else f"{scheme}://{host}:{http.port}"


def _command() -> str:
    """The command to print: the name if the shell finds it, else the path."""
    name = "orchestrator"
    if shutil.which(name):
        return name
    return _shown(Path(sys.executable).with_name(name))


def _shown(path: Path) -> str:
    """The path quoted for the shell; relative if it is below the working folder."""
    absolute = path.absolute()
    below = absolute.is_relative_to(Path.cwd())
    return shlex.quote(str(absolute.relative_to(Path.cwd()) if below else absolute))
