"""Under which ids of the operating system PostgreSQL runs when we are root, which it refuses to be.

A process may enter the folder of any other that has its uid, through `/proc/PID/cwd`, whatever the
folders above it allow. So PostgreSQL has a uid that nobody else has: no account, no other process.
"""

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from orchestrator.embedded.error import EmbeddedPostgresError

#: Systems give these to nobody (https://systemd.io/UIDS-GIDS), and containers have them too.
PRIVATE_IDS = range(60_706, 61_184)
#: `initdb` asks for the name of its user, so it cannot have one of those.
NAMED = ("postgres", "nobody")
_SYSTEM_IDS = range(1, 1_000)
#: Zombies, and what is about to be one: these have no folder any more.
_ENDED = frozenset({"Z", "X"})


class Account(NamedTuple):
    """The operating system's ids that a process of PostgreSQL runs under."""

    uid: int
    gid: int


def account_for(folder: Path) -> Account | None:
    """Who runs the cluster in `folder/data`, where nothing of it runs now; None: we as we are.

    As root that is an ordinary user if the whole folder is theirs, else ids of the cluster alone:
    those that own its data, as long as nobody else has come to use them.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = (folder / "data").stat()
        if owner.st_uid == folder.stat().st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
        if owner.st_uid in PRIVATE_IDS and not _is_used(owner.st_uid, _running_uids()):
            return Account(owner.st_uid, owner.st_uid)
    return _private_account(folder)


def account_with_a_name() -> Account | None:
    """Who makes a cluster, before it is given to who runs it; None: we as we are.

    If possible it is one of which no process runs that could look on.
    """
    if os.geteuid() != 0:
        check_name(os.geteuid())
        return None
    running = _running_uids()
    found = list(_accounts_with_names())
    unused = (account for account in found if account.uid not in running)
    for account in (*unused, *found):
        return account
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody': "
        "start as an ordinary user, or set ORCHESTRATOR_DATABASE_URL."
    )


def check_name(uid: int) -> None:
    """Refuse an id without a name, as some container platforms give: `initdb` asks for it."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"The user id {uid} has no name here, and PostgreSQL needs one to make its files: name "
            "it in /etc/passwd, or set ORCHESTRATOR_DATABASE_URL."
        ) from None


def give(folder: Path, account: Account) -> None:
    """Make the account the owner of the folder and of what is in it, the folder itself last: who
    goes on after a crash sees by its owner that there is more to do.

    No link is followed, not even one that the former owner puts there meanwhile.
    """
    for _, folders, files, descriptor in os.fwalk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(name, *account, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, *account, follow_symlinks=False)


def give_data(data: Path, account: Account) -> None:
    """Make the account the owner of a cluster, with the folders that an operator has put elsewhere
    and linked to.
    """
    owner = data.stat().st_uid
    if owner == account.uid:
        return
    for link in (data / "pg_wal", *data.glob("pg_tblspc/*")):
        # Where a link leads is the operator's choice only if it leads to what the cluster has.
        if owner != 0 and link.is_symlink() and link.exists() and link.stat().st_uid == owner:
            give(link.resolve(), account)
    give(data, account)


def _private_account(folder: Path) -> Account:
    running = _running_uids()
    start = int.from_bytes(sha256(os.fsencode(folder.resolve())).digest())
    for number in range(len(PRIVATE_IDS)):
        chosen = PRIVATE_IDS[(start + number) % len(PRIVATE_IDS)]
        if not _is_used(chosen, running):
            return Account(chosen, chosen)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and all of the user ids {PRIVATE_IDS.start} to "
        f"{PRIVATE_IDS.stop - 1} are used: start as an ordinary user, or set "
        "ORCHESTRATOR_DATABASE_URL."
    )


def _is_used(number: int, running: set[int]) -> bool:
    """Whether somebody has this number: a process, an account or a group."""
    with suppress(KeyError):
        pwd.getpwuid(number)
        return True
    with suppress(KeyError):
        grp.getgrgid(number)
        return True
    return number in running


def _accounts_with_names() -> Iterator[Account]:
    """The best known first, then all others that are no person's."""
    for name in NAMED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            yield Account(entry.pw_uid, entry.pw_gid)
    for entry in pwd.getpwall():
        if entry.pw_uid in _SYSTEM_IDS:
            yield Account(entry.pw_uid, entry.pw_gid)


def _running_uids() -> set[int]:
    """The real, effective, saved and file system uids of all processes that have not ended."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # Ended meanwhile.
            lines = (line.split() for line in status.read_text().splitlines())
            of_process = {words[0]: words[1:] for words in lines if words}
            if of_process["State:"][0] not in _ENDED:
                found.update(map(int, of_process["Uid:"]))
    return found
