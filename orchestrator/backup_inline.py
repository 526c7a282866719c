"""The blobs of a backup that are small: one SQLite file, because a file for each costs more."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from orchestrator.backup_error import BackupRefused
from orchestrator.digest import CasId

CREATE = """
CREATE TABLE IF NOT EXISTS content (cas_id BLOB NOT NULL UNIQUE, content BLOB NOT NULL)
"""
KNOWN = "SELECT 1 FROM content WHERE cas_id = ?"
GET = "SELECT content FROM content WHERE cas_id = ?"
PUT = "INSERT OR REPLACE INTO content (cas_id, content) VALUES (?, ?)"
CREATE_NAMED = "CREATE TEMPORARY TABLE named (cas_id BLOB PRIMARY KEY) WITHOUT ROWID"
PUT_NAMED = "INSERT OR IGNORE INTO named (cas_id) VALUES (?)"
IS_NAMED = "SELECT 1 FROM named WHERE cas_id = ?"
DROP_NAMED = "DROP TABLE named"
REMOVE_UNNAMED = "DELETE FROM content WHERE cas_id NOT IN (SELECT cas_id FROM named)"


class InlineContents:
    """Contents by name. What `put` was given is durable when it returns."""

    def __init__(self, path: Path, *, may_write: bool) -> None:
        self._path = path
        self._may_write = may_write
        self._database: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the file, which is made if we may write."""
        try:
            with closing(self._open()) as self._database:
                yield
        except sqlite3.DatabaseError as error:
            raise BackupRefused(f"{self._path} cannot be used: {error}.") from error
        finally:
            self._database = None

    def known(self, cas_id: CasId) -> bool:
        """Whether it is there; the bytes are not read."""
        return self._db.execute(KNOWN, (cas_id.raw,)).fetchone() is not None

    def get(self, cas_id: CasId) -> bytes | None:
        """The bytes, only if they are those of the name."""
        row = self._db.execute(GET, (cas_id.raw,)).fetchone()
        return row[0] if row and CasId.of(row[0]) == cas_id else None

    def put(self, contents: Sequence[tuple[CasId, bytes]]) -> None:
        """All of them, or after a crash none."""
        with self._db:
            self._db.executemany(PUT, [(cas_id.raw, content) for cas_id, content in contents])

    @contextmanager
    def naming(self, raws: Iterable[bytes]) -> Iterator[Callable[[bytes], bool]]:
        """Tells within the block whether a name is among these, however many they are."""
        self._db.execute(CREATE_NAMED)
        try:
            self._db.executemany(PUT_NAMED, ((raw,) for raw in raws))
            self._db.commit()
            yield lambda raw: self._db.execute(IS_NAMED, (raw,)).fetchone() is not None
        finally:
            self._db.execute(DROP_NAMED)

    def remove_unnamed(self) -> int:
        """Within `naming`: the contents of all other names. Returns how many."""
        with self._db:
            return self._db.execute(REMOVE_UNNAMED).rowcount

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("the contents of a backup before they were opened")
        return self._database

    def _open(self) -> sqlite3.Connection:
        if not self._may_write:
            # A file that was being written may need a repair first, if it can be had.
            mode = "rw" if os.access(self._path.parent, os.W_OK) else "ro"
            return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True)
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        database = sqlite3.connect(self._path)
        # Also the folder, from which the journal disappears: else a power cut takes back the last.
        database.execute("PRAGMA synchronous = EXTRA")
        with database:
            database.execute(CREATE)
        return database
