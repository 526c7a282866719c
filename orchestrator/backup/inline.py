"""SQLite files in which a backup and a restore store what is small and many; no other database.

All contents of inline blobs are in one file, because a file for each would cost more.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from orchestrator.backup.error import BackupRefused
from orchestrator.core.digest import CasId
from orchestrator.models.cas import Placement, Received

CREATE = """
CREATE TABLE IF NOT EXISTS content (cas_id BLOB NOT NULL UNIQUE, content BLOB NOT NULL)
"""
KNOWN = "SELECT 1 FROM content WHERE cas_id = ?"
GET = "SELECT content FROM content WHERE cas_id = ?"
PUT = "INSERT OR REPLACE INTO content (cas_id, content) VALUES (?, ?)"
NAMES = "SELECT cas_id FROM content"
REMOVE = "DELETE FROM content WHERE cas_id = ?"
CREATE_NAMED = "CREATE TEMPORARY TABLE named (cas_id BLOB PRIMARY KEY) WITHOUT ROWID"
PUT_NAMED = "INSERT OR IGNORE INTO named (cas_id) VALUES (?)"
IS_NAMED = "SELECT 1 FROM named WHERE cas_id = ?"
DROP_NAMED = "DROP TABLE named"
CREATE_PLACES = """
CREATE TABLE place (cas_id BLOB PRIMARY KEY, content BLOB, storage_key TEXT, segments BLOB,
                    stored_bytes INTEGER, encoding TEXT)
"""
PUT_PLACE = "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?)"
GET_PLACE = """
SELECT content, storage_key, segments, stored_bytes, encoding FROM place WHERE cas_id = ?
"""
COUNT_PLACED = "SELECT count(storage_key) FROM place"
REMOVE_UNNAMED = "DELETE FROM content WHERE cas_id NOT IN (SELECT cas_id FROM named)"


class InlineContents:
    """Contents by name. What `put` stores is durable when it returns."""

    def __init__(self, path: Path, *, may_write: bool) -> None:
        self._path = path
        self._may_write = may_write
        self._database: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the file until the block ends; it is made if we may write."""
        try:
            with closing(self._open()) as self._database:
                yield
        except sqlite3.DatabaseError as error:
            raise BackupRefused(f"{self._path} cannot be used: {error}.") from error
        finally:
            self._database = None

    def known(self, cas_id: CasId) -> bool:
        """Whether the content is there; it is not read."""
        return self._db.execute(KNOWN, (cas_id.raw,)).fetchone() is not None

    def get(self, cas_id: CasId) -> bytes | None:
        """The bytes, only if they are those of the name."""
        row = self._db.execute(GET, (cas_id.raw,)).fetchone()
        return row[0] if row and CasId.of(row[0]) == cas_id else None

    def put(self, contents: Sequence[tuple[CasId, bytes]]) -> None:
        """All of them, or after a crash none."""
        with self._db:
            self._db.executemany(PUT, [(cas_id.raw, content) for cas_id, content in contents])

    def remove_damaged(self) -> int:
        """Read all contents, and remove those that are not of their name; returns how many."""
        names = (CasId(row[0]) for row in self._db.execute(NAMES))
        damaged = [(name.raw,) for name in names if self.get(name) is None]
        with self._db:
            self._db.executemany(REMOVE, damaged)
        return len(damaged)

    @contextmanager
    def naming(self, raws: Iterable[bytes]) -> Iterator[Callable[[bytes], bool]]:
        """A function that says, within the block, whether a name is one of these."""
        self._db.execute(CREATE_NAMED)
        try:
            self._db.executemany(PUT_NAMED, ((raw,) for raw in raws))
            self._db.commit()
            yield lambda raw: self._db.execute(IS_NAMED, (raw,)).fetchone() is not None
        finally:
            self._db.execute(DROP_NAMED)

    def remove_unnamed(self) -> int:
        """Within `naming`: remove the contents of all other names; returns how many."""
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


class RestoredPlaces:
    """Where the bytes of blobs are in the new storage, until their rows are written.

    There may be more than fit into memory. The file has no name, and ends with this process.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute(CREATE_PLACES)

    def put(self, received: Received) -> None:
        """Remember where intake put the bytes of a blob."""
        at = received.placement
        place = (at.storage_key, at.segments, at.stored_bytes, at.encoding) if at else (None,) * 4
        self._db.execute(PUT_PLACE, (received.cas_id.raw, received.content, *place))

    def get(self, cas_id: CasId) -> bytes | Placement | None:
        """The bytes of a blob that is to be inline, else the place of its bytes."""
        row = self._db.execute(GET_PLACE, (cas_id.raw,)).fetchone()
        if row is None:
            return None
        content, key, segments, stored_bytes, encoding = row
        if key is None:
            return bytes(content)
        return Placement(
            storage_key=key, segments=segments, stored_bytes=stored_bytes, encoding=encoding
        )

    def count_placed(self) -> int:
        """How many are in storage."""
        return int(self._db.execute(COUNT_PLACED).fetchone()[0])

    def close(self) -> None:
        """Forget them."""
        self._db.close()
