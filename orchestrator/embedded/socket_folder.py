"""The folder of the embedded PostgreSQL's unix socket."""

import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.embedded.account import Account
from orchestrator.embedded.binaries import is_traversable
from orchestrator.embedded.error import EmbeddedPostgresError

PORT = 5432  # Only a part of the socket's name.
SOCKET_PATH_BYTES_MAX = 107
SHORT_FOLDER = "/tmp"  # noqa: S108 - what is made there is private and has a random name.


def make_socket_folder(cluster_name: str, account: Account | None) -> Path:
    """A folder with a short path, private, named after the cluster; those of its earlier runs go.

    Not in XDG_RUNTIME_DIR: that disappears when the user logs out, and with it a server that
    was meant to stay.
    """
    prefix = f"{cluster_name}-"
    made: Path | None = None
    for place in dict.fromkeys((Path(tempfile.gettempdir()), Path(SHORT_FOLDER))):
        for stale in place.glob(f"{prefix}*"):
            shutil.rmtree(stale, ignore_errors=True)
        name = os.fsencode(place / f"{prefix}12345678" / f".s.PGSQL.{PORT}")
        usable = os.access(place, os.W_OK | os.X_OK) and len(name) <= SOCKET_PATH_BYTES_MAX
        if made or not usable or (account and not is_traversable(place)):
            continue
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        if account:
            os.chown(made, *account)
    if made is None:
        raise EmbeddedPostgresError("No temporary folder can hold PostgreSQL's socket.")
    return made
