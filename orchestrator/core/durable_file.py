"""Small private files, replaced so that a crash leaves either the old or the new one."""

import errno
import os
from pathlib import Path

#: Folders that we may only pass through, or of file systems that have nothing to sync.
_NOT_TO_BE_SYNCED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL, errno.EOPNOTSUPP}
)


def write_private(path: Path, text: str) -> None:
    """Replace the file with one line of text, durable when this returns."""
    temporary = path.with_name(f".{path.name}.writing")
    # A crash before the rename leaves this temporary file, which the next write replaces.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    # A crash before the folder is synced may bring the old file back; nothing relies on the new.
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder_and_above(folder: Path) -> None:
    """Make a folder durable that may be new, and so may be those above it, whoever made them."""
    sync_folder(folder)
    for above in folder.absolute().parents:
        try:
            sync_folder(above)
        except OSError as error:
            if error.errno not in _NOT_TO_BE_SYNCED:
                raise
