"""Refuses writes before a disk is full; it frees nothing itself.

A PostgreSQL on a full disk panics and cannot start again, so the last part of the disk stays free.
Near that limit the disk is measured for each write, so that the first write after room was made is
served. Far from it a measurement counts for a moment, in which nothing could write so much.
"""

import os
from pathlib import Path
from time import monotonic

from orchestrator.errors import StorageFull, StorageUnavailable

#: With so much room above the limit, the disk is not measured again for so long.
ROOM_BYTES = 1024 * 1024 * 1024
ROOM_SECONDS = 0.05


class Disk:
    """The file systems below these folders, and how much of each must stay free."""

    def __init__(self, *folders: Path | None, free_bytes_min: int) -> None:
        self._folders = [folder for folder in folders if folder is not None]
        self._free_bytes_min = free_bytes_min
        self._roomy_until = 0.0

    def check(self, incoming_bytes: int = 0) -> None:
        """Raise StorageFull if so many more bytes would leave less free than must stay free."""
        now = monotonic()
        if now < self._roomy_until and incoming_bytes < ROOM_BYTES // 64:
            return
        room = ROOM_BYTES
        for folder in self._folders:
            free = self.free_bytes(folder)
            room = min(room, free - incoming_bytes - self._free_bytes_min)
            if free - incoming_bytes < self._free_bytes_min:
                raise StorageFull(
                    f"The disk has {free} bytes left and {self._free_bytes_min} of them must stay "
                    "free: nothing is written until there is room. Reads go on."
                )
        self._roomy_until = now + ROOM_SECONDS if room == ROOM_BYTES else 0.0

    @staticmethod
    def free_bytes(folder: Path) -> int:
        """The bytes that an ordinary user may still write; of the folder above, if this one does
        not exist yet.
        """
        while True:
            try:
                found = os.statvfs(folder)
            except FileNotFoundError:
                if folder == folder.parent:
                    raise StorageUnavailable("The data folder is gone.") from None
                folder = folder.parent
                continue
            except OSError as error:
                raise StorageUnavailable("The disk does not answer.") from error
            return found.f_bavail * found.f_frsize
