"""How much a command asks for at once, and how long it waits for a server; no option changes it."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds for every command that a person types; tests take smaller numbers."""

    #: Items of one page of a list. A server gives no more at once.
    page_items_max: int = 1_000
    #: As far as a server walks along lineage.
    lineage_depth_max: int = 10_000
    #: A whole body must come within this time.
    body_seconds_max: float = 300.0
    #: A download must bring so many bytes in each `body_seconds_max` that the command waits for it.
    body_window_bytes_min: int = MEBIBYTE
    #: Pauses before a broken download is continued; one that brought something begins anew.
    download_retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    #: Pauses before a broken upload is continued; one that brought something begins anew.
    upload_retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
    #: From this size on a lost connection costs more than the requests of a resumable upload.
    resumable_bytes_min: int = 64 * MEBIBYTE


DEFAULTS = Limits()
