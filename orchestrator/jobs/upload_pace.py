"""The step sizes of resumable uploads and their pauses; operators need not know them."""

import msgspec


class UploadPace(msgspec.Struct, frozen=True, kw_only=True):
    """How bytes are taken in, and how long the end of an upload is tried."""

    #: So much is written at once.
    piece_bytes: int = 4 * 1024 * 1024
    #: After so many durable bytes the database learns of them.
    advance_bytes: int = 32 * 1024 * 1024
    #: Pauses between the attempts to commit. Giving up is dear: the stage has become an object by
    #: then, so the client would have to send all bytes again.
    retry_seconds: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    #: How long another server may take between making an object of the stage and its commit.
    elsewhere_seconds: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0, 2.0)


PACE = UploadPace()
