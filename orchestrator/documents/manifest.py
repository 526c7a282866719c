"""The manifest of an artifact: written, read, and the rules of what stands in it; pure.

A manifest is the canonical JSON of `{kind, name, blobs, meta}`. Its hash names the artifact, so
anybody can check the whole artifact, and the same one is found again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from orchestrator.core.digest import CasIdText
from orchestrator.documents.canonical import JSONValue, canonicalise, parse
from orchestrator.errors import InvalidInput, Violation

NAME_BYTES_MAX = 255
DIGEST_BYTES = 16
_SCALARS = (str, int, float, bool, type(None))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ManifestBlob(msgspec.Struct, frozen=True, kw_only=True):
    """One blob in a manifest."""

    cas_id: CasIdText
    name: str | None
    media_type: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that was read; `meta` is its text."""

    kind: str
    name: str | None
    blobs: list[ManifestBlob]
    meta: msgspec.Raw


def write_manifest(
    *, kind: str, name: str | None, blobs: Sequence[ManifestBlob], meta: JSONValue
) -> bytes:
    """The content of the manifest."""
    listed: list[JSONValue] = [msgspec.structs.asdict(blob) for blob in blobs]
    return canonicalise({"kind": kind, "name": name, "blobs": listed, "meta": meta})


def read_manifest(content: bytes) -> Manifest:
    """A manifest that we wrote."""
    return msgspec.json.decode(content, type=Manifest)


def name_violations(name: str, pointer: str) -> Iterator[Violation]:
    """The name of an artifact: it is shown in lists, and found by its beginning."""
    if not 1 <= len(name.encode()) <= NAME_BYTES_MAX or _CONTROL.search(name):
        message = f"A name has 1 to {NAME_BYTES_MAX} bytes and no control characters."
        yield Violation(pointer, "name", message)


def file_name_violations(name: str, pointer: str) -> Iterator[Violation]:
    """The name of a file: a relative path that is safe to write below any folder."""
    segments = name.split("/")
    if (
        not 1 <= len(name.encode()) <= NAME_BYTES_MAX
        or _CONTROL.search(name)
        or "\\" in name
        or any(segment in {"", ".", ".."} for segment in segments)
    ):
        message = (
            f"The name of a file is a relative path of at most {NAME_BYTES_MAX} bytes, without "
            "empty segments, '.', '..', backslashes and control characters."
        )
        yield Violation(pointer, "file-name", message)


def repeated_names(names: Sequence[str | None], pointer: str) -> Iterator[Violation]:
    """Each file of several has a name of its own, also where it would be a folder of another."""
    if len(names) > 1:
        for at, name in enumerate(names):
            if name is None:
                message = "Of several blobs each has a name."
                yield Violation(f"{pointer}/{at}/name", "required", message)
    seen: dict[str, int] = {}
    for at, name in enumerate(names):
        if name is None:
            continue
        if name in seen:
            message = f"Blob {seen[name]} has this name already."
            yield Violation(f"{pointer}/{at}/name", "unique", message)
        seen.setdefault(name, at)
    for name, at in seen.items():
        folders = name.split("/")[:-1]
        for length in range(1, len(folders) + 1):
            if (folder := "/".join(folders[:length])) in seen:
                message = f"Blob {seen[folder]} has the name of a folder of this one."
                yield Violation(f"{pointer}/{at}/name", "unique", message)


def meta_digests(meta: Mapping[str, Any]) -> list[bytes]:
    """What each member of meta is found by: strings, numbers, true, false and null."""
    return [meta_digest(key, value) for key, value in meta.items() if isinstance(value, _SCALARS)]


def meta_digest(key: str, value: str | float | None) -> bytes:
    """A member with this value, short however long they are."""
    kind, text = (b"s", value.encode()) if isinstance(value, str) else (b"j", canonicalise(value))
    hashed = blake3(b"%d:" % len(key.encode()) + key.encode() + kind + text)
    return hashed.digest(length=DIGEST_BYTES)


def asked_digests(key: str, text: str) -> list[bytes]:
    """The members that a question for this text is about: the string, and the scalar that JSON
    spells so.
    """
    digests = [meta_digest(key, text)]
    try:
        value = parse(text.encode(), bytes_max=len(text.encode()))
    except InvalidInput:
        return digests
    if isinstance(value, _SCALARS) and not isinstance(value, str):
        digests.append(meta_digest(key, value))
    return digests
