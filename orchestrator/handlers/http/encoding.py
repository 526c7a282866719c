"""Compressed answers (RFC 9110 §8.4, §12.5.3): whether the caller asks for it, and the bytes.

Only answers to reads are compressed, and none that says `no-store`: the length of a compressed
secret beside what somebody else chose tells of the secret (BREACH). Blobs go as they are stored.
"""

import gzip
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from blake3 import blake3
from msgspec.structs import replace
from zstandard import ZstdCompressor

from orchestrator.core.cache import Cache
from orchestrator.core.threads import Threads
from orchestrator.handlers.http.reply import VARY, StreamedAnswer
from orchestrator.models.idempotency import Answer

IDENTITY = "identity"
#: The best first. Both give the same bytes for the same answer, so its entity tag is a strong one.
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: ZstdCompressor(level=3).compress(body),
    "gzip": lambda body: gzip.compress(body, compresslevel=6, mtime=0),
}


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


#: What compresses answers that come in pieces.
_PACKERS: dict[str, Callable[[], _Packer]] = {
    "zstd": lambda: ZstdCompressor(level=3).compressobj(),
    "gzip": lambda: zlib.compressobj(level=6, wbits=zlib.MAX_WBITS | 16),
}
#: Work on fewer bytes is done at once: a thread would cost more than it.
_THREADED_BYTES_MIN = 32 * 1024


class Encodings:
    """Compresses answers. What was compressed is kept by its content: most is read many times."""

    def __init__(
        self,
        threads: Threads,
        *,
        bytes_min: int,
        cache_bytes_max: int,
        codings: Mapping[str, Callable[[bytes], bytes]] = CODINGS,
    ) -> None:
        self._threads = threads
        self._codings = codings
        #: Below it nothing is gained; 0: never.
        self._bytes_min = bytes_min
        self._packed: Cache[tuple[str, bytes], bytes] = Cache(cache_bytes_max)

    async def of(self, answer: Answer, accepted: str | None) -> Answer:
        """The answer to a read, in the encoding that `Accept-Encoding` asks for."""
        headers = answer.headers
        is_large = len(answer.body) >= self._bytes_min
        if not (is_large or accepted) or answer.status != HTTPStatus.OK:
            return answer
        if not self._bytes_min or not _is_text(headers):
            return answer
        coding = chosen(accepted, is_large=is_large) if accepted else None
        if coding is None:
            return replace(answer, headers={**headers, **VARY}) if is_large else answer
        packed = await self._pack(coding, answer.body)
        return replace(answer, headers=_of_packed(headers, coding), body=packed)

    def streamed(self, answer: StreamedAnswer, accepted: str | None) -> StreamedAnswer:
        """A long answer to a read, compressed while it is sent; nothing of it is kept."""
        if answer.status != HTTPStatus.OK or not self._bytes_min or not _is_text(answer.headers):
            return answer
        coding = chosen(accepted, is_large=True) if accepted else None
        if coding is None:
            return StreamedAnswer(answer.status, {**answer.headers, **VARY}, b"", answer.pieces())
        headers = _of_packed(answer.headers, coding)
        headers.pop("Content-Length", None)
        return StreamedAnswer(answer.status, headers, b"", self._packed_pieces(coding, answer))

    async def _packed_pieces(
        self, coding: str, answer: StreamedAnswer
    ) -> AsyncGenerator[bytes, None]:
        packer = _PACKERS[coding]()
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if packed := await self._threads.run(packer.compress, piece):
                    yield packed
        yield await self._threads.run(packer.flush)

    async def _pack(self, coding: str, body: bytes) -> bytes:
        key = coding, await self._run(_hash, body)
        packed = self._packed.get(key)
        if packed is None:
            packed = await self._run(self._codings[coding], body)
            self._packed.put(key, packed, len(packed))
        return packed

    async def _run(self, work: Callable[[bytes], bytes], body: bytes) -> bytes:
        if len(body) < _THREADED_BYTES_MIN:
            return work(body)
        return await self._threads.run(work, body)


def _hash(body: bytes) -> bytes:
    return blake3(body).digest()


def _of_packed(headers: Mapping[str, str], coding: str) -> dict[str, str]:
    found = {**headers, **VARY, "Content-Encoding": coding}
    if "ETag" in found:  # Other bytes have another strong tag (RFC 9110 §8.8.3.3).
        found["ETag"] = f'{found["ETag"][:-1]};{coding}"'
    return found


def _is_text(headers: Mapping[str, str]) -> bool:
    """Whether we wrote the body ourselves, as text; bytes of blobs can be read in parts."""
    type_ = headers.get("Content-Type", "").partition(";")[0]
    return (
        (type_.endswith("json") or type_.startswith("text/"))
        and "Accept-Ranges" not in headers
        and headers.get("Cache-Control") != "no-store"
    )


@lru_cache(maxsize=64)  # Most clients say one of a few things.
def chosen(accepted: str, *, is_large: bool) -> str | None:
    """The coding that is asked for by its name; None: the bytes as they are.

    A small answer is compressed only for those who refuse it as it is.
    """
    weights = weights_of(accepted)
    best = max(CODINGS, key=lambda coding: weights.get(coding, 0.0))
    weight = weights.get(best, 0.0)
    if weight == 0:
        return None
    plain = weights.get(IDENTITY, weights.get("*", 1.0))
    if plain == 0:
        return best
    return best if is_large and weights.get(IDENTITY, 0.0) <= weight else None


def weights_of(accepted: str) -> dict[str, float]:
    """What `Accept-Encoding` says of each coding, from 0 (not acceptable) to 1."""
    found: dict[str, float] = {}
    for each in accepted.split(","):
        coding, _, parameters = each.partition(";")
        name, _, value = parameters.replace(" ", "").lower().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0  # What cannot be read asks for nothing.
        found[coding.strip().lower()] = weight if 0 <= weight <= 1 else 0.0
    return found
