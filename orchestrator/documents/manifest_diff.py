"""What changed between two manifests: members of meta, and files by their names; pure."""

from collections.abc import Iterator

import msgspec

from orchestrator.documents.manifest import ManifestBlob, read_manifest
from orchestrator.documents.workflow_diff import ReversiblePatch, reversible_patch
from orchestrator.documents.workflow_diff_text import change_lines, plain


class BlobChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file of one name that is another blob, or of another media type."""

    before: ManifestBlob
    after: ManifestBlob


class ManifestDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two artifacts of any kind. Pointers of `meta` start there; `members` is
    the patch of their kind and name.
    """

    meta: ReversiblePatch
    blobs_added: tuple[ManifestBlob, ...]
    blobs_removed: tuple[ManifestBlob, ...]
    blobs_changed: tuple[BlobChange, ...]
    members: ReversiblePatch


def diff_manifests(before: bytes, after: bytes) -> ManifestDiff:
    """Compare the contents of two manifests."""
    old, new = read_manifest(before), read_manifest(after)
    old_files, new_files = ({blob.name: blob for blob in each.blobs} for each in (old, new))
    return ManifestDiff(
        meta=reversible_patch(msgspec.json.decode(old.meta), msgspec.json.decode(new.meta)),
        blobs_added=tuple(new_files[name] for name in new_files if name not in old_files),
        blobs_removed=tuple(old_files[name] for name in old_files if name not in new_files),
        blobs_changed=tuple(
            BlobChange(before=old_files[name], after=blob)
            for name, blob in new_files.items()
            if name in old_files and old_files[name] != blob
        ),
        members=reversible_patch(
            {"kind": old.kind, "name": old.name}, {"kind": new.kind, "name": new.name}
        ),
    )


def render_manifest_diff(diff: ManifestDiff) -> str:
    """One line for each change, for people; no text for no change."""
    return "".join(f"{line}\n" for line in _lines(diff))


def _lines(diff: ManifestDiff) -> Iterator[str]:
    yield from change_lines(diff.members)
    yield from change_lines(diff.meta, below="/meta")
    for blob in diff.blobs_removed:
        yield f"- file {_file(blob)}"
    for blob in diff.blobs_added:
        yield f"+ file {_file(blob)}"
    for change in diff.blobs_changed:
        yield f"- file {_file(change.before)}"
        yield f"+ file {_file(change.after)}"


def _file(blob: ManifestBlob) -> str:
    name = "" if blob.name is None else f"{plain(blob.name)} "
    return f"{name}{blob.cas_id} {plain(blob.media_type)} {blob.size_bytes}"
