"""An artifact as a request describes it: every rule that needs no look at the store; pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from orchestrator.core.digest import BlobNameText, CasId, CasIdText, parse_name
from orchestrator.documents.blob_names import blobs_named
from orchestrator.documents.canonical import canonicalise
from orchestrator.documents.manifest import (
    file_name_violations,
    name_violations,
    repeated_names,
)
from orchestrator.errors import InvalidInput, RuleBroken, TooLarge, Violation
from orchestrator.models.artifact_manifest import (
    ABOUT,
    ANNOTATION,
    DERIVED_FROM,
    KIND_LENGTH_MAX,
    KIND_PATTERN,
    RELATION_LENGTH_MAX,
    RELATION_PATTERN,
    RESERVED_KINDS,
    RESERVED_RELATIONS,
    ArtifactDraft,
    NewFile,
    NewParent,
)
from orchestrator.models.cas import parse_media_type
from orchestrator.models.name import IdText, parse_tag
from orchestrator.models.reference import (
    HashRange,
    Reference,
    ReferenceText,
    parse_id,
    parse_reference,
)

_KIND = re.compile(KIND_PATTERN)
_RELATION = re.compile(RELATION_PATTERN)

#: As they are described. Parsing checks them, and says which rule is broken.
KindText = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"pattern": f"^{KIND_PATTERN}$", "maxLength": KIND_LENGTH_MAX}),
]
RelationText = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={"pattern": f"^{RELATION_PATTERN}$", "maxLength": RELATION_LENGTH_MAX}
    ),
]


class ArtifactLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one artifact may have."""

    blobs_max: int
    parents_max: int
    meta_bytes_max: int


class DescribedBlob(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A blob as a request names it. It must be in the namespace."""

    cas_id: BlobNameText
    name: str | None = None
    media_type: str | None = None


class DescribedParent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an artifact comes from: exactly one of an artifact, a hash and a tag."""

    artifact_id: IdText | None = None
    cas_id: CasIdText | None = None
    tag: ReferenceText | None = None
    relation: RelationText = DERIVED_FROM


def draft_artifact(
    *,
    kind: str,
    name: str | None,
    blobs: Sequence[DescribedBlob],
    meta: dict[str, Any],
    parents: Sequence[DescribedParent],
    limits: ArtifactLimits,
) -> ArtifactDraft:
    """InvalidInput for what cannot be read, RuleBroken with all rules that are broken."""
    parse_kind(kind)
    _check_count("blobs", len(blobs), limits.blobs_max)
    _check_count("parents", len(parents), limits.parents_max)
    files = [
        NewFile(
            blob=parse_name(blob.cas_id, f"/blobs/{at}/cas_id"),
            name=blob.name,
            media_type=None
            if blob.media_type is None
            else parse_media_type(blob.media_type, f"/blobs/{at}/media_type"),
        )
        for at, blob in enumerate(blobs)
    ]
    comes_from = [_parent(parent, f"/parents/{at}") for at, parent in enumerate(parents)]
    _check_rules(kind, name, files, meta, comes_from)
    content = canonicalise(meta)
    if len(content) > limits.meta_bytes_max:
        raise TooLarge("meta", limits.meta_bytes_max, len(content))
    return ArtifactDraft(
        kind=kind,
        name=name,
        files=files,
        meta=meta,
        references=blobs_named(content, "/meta"),
        parents=comes_from,
    )


def parse_kind(text: str, pointer: str = "/kind") -> str:
    """Return the text, or raise InvalidInput that says what a kind is."""
    if len(text) > KIND_LENGTH_MAX or not _KIND.fullmatch(text):
        message = (
            f"A kind has at most {KIND_LENGTH_MAX} characters: lower-case letters, digits, '.', "
            "'_' and '-', in segments joined by '/', of which the first begins with a letter."
        )
        raise InvalidInput.at(pointer, "kind-grammar", message)
    return text


def _check_count(member: str, count: int, count_max: int) -> None:
    if count > count_max:
        message = f"An artifact has at most {count_max} {member}; this one has {count}."
        raise InvalidInput.at(f"/{member}", "length", message)


def _check_rules(
    kind: str,
    name: str | None,
    files: Sequence[NewFile],
    meta: Mapping[str, Any],
    parents: Sequence[NewParent],
) -> None:
    broken: list[Violation] = []
    if kind in RESERVED_KINDS:
        message = f"The kind {kind!r} has a meaning of its own here; choose another, as acme/{kind}"
        broken.append(Violation("/kind", "reserved", message))
    if name is not None:
        broken += name_violations(name, "/name")
    for at, file in enumerate(files):
        if file.name is not None:
            broken += file_name_violations(file.name, f"/blobs/{at}/name")
    broken += repeated_names([file.name for file in files], "/blobs")
    if not files and not meta:
        message = "An artifact has at least one blob, or a meta that says something."
        broken.append(Violation("/blobs", "empty", message))
    broken += _relation_violations(kind, parents)
    if broken:
        raise RuleBroken("The artifact breaks rules.", broken)


def _relation_violations(kind: str, parents: Sequence[NewParent]) -> Iterator[Violation]:
    for at, parent in enumerate(parents):
        if parent.relation in RESERVED_RELATIONS:
            message = f"The relation {parent.relation!r} is recorded by the versions themselves."
            yield Violation(f"/parents/{at}/relation", "reserved", message)
        elif (parent.relation == ABOUT) != (kind == ANNOTATION):
            message = f"An {ANNOTATION}, and nothing else, is {ABOUT!r} its parents."
            yield Violation(f"/parents/{at}/relation", "annotation", message)
    if kind == ANNOTATION and not parents:
        message = f"An {ANNOTATION} has a parent that it is {ABOUT!r}."
        yield Violation("/parents", "required", message)


def _parent(parent: DescribedParent, pointer: str) -> NewParent:
    if len(parent.relation) > RELATION_LENGTH_MAX or not _RELATION.fullmatch(parent.relation):
        message = (
            f"A relation has at most {RELATION_LENGTH_MAX} characters: lower-case letters, digits, "
            "'.', '_' and '-', the first of them a letter."
        )
        raise InvalidInput.at(f"{pointer}/relation", "relation-grammar", message)
    return NewParent(reference=_reference(parent, pointer), relation=parent.relation)


def _reference(parent: DescribedParent, pointer: str) -> Reference:
    given = [parent.artifact_id, parent.cas_id, parent.tag]
    if sum(each is not None for each in given) != 1:
        message = "Name a parent by one of artifact_id, cas_id and tag."
        raise InvalidInput.at(pointer, "one-of", message)
    if parent.cas_id is not None:
        found = CasId.parse(parent.cas_id, f"{pointer}/cas_id")
        return Reference(text=parent.cas_id, hashes=HashRange(found.raw, found.raw))
    if parent.artifact_id is not None:
        found_id = parse_id(parent.artifact_id, f"{pointer}/artifact_id")
        return Reference(text=parent.artifact_id, artifact_id=found_id)
    text, where = parent.tag or "", f"{pointer}/tag"
    name = parse_tag(text.partition("@")[0], where)
    if "@" in text or not text.isdecimal():
        return parse_reference(text, tag=name, pointer=where)
    return Reference(text=text, tag=name)
