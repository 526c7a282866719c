"""Vocabulary of versions and of what happens between them; no I/O."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.tag import TagChange

R = TypeVar("R")


class WorkflowVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a workflow with its canonical bytes."""

    artifact: Artifact
    content: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a tag names, and at which of its versions: what a change is made on."""

    tag: str
    tag_version: int
    version: WorkflowVersion


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change comes from besides the version it is made on."""

    parent_id: UUID
    relation: Relation


class MergeOutcome(StrEnum):
    """What a merge turned out to be."""

    UP_TO_DATE = "up_to_date"
    FAST_FORWARD = "fast_forward"
    MERGED = "merged"


class MergeSides(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of a three-way merge. By their history alone, `outcome` says whether one side
    has all that the other has, or whether the changes of both must be merged. There are several
    bases if no common ancestor contains all that is common.
    """

    ours: Head
    theirs: WorkflowVersion
    bases: Sequence[Artifact]
    outcome: MergeOutcome


class Change(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A change of a head, once all that it needs has been read and before it is computed.

    `compute` needs no database, so no connection waits for it; it may be sent to another process,
    so it is a function of a module and its arguments. `size_bytes` is how much it has to read:
    short work is not worth sending. A merge has `sides`.
    """

    head: Head
    origins: tuple[Origin, ...] = ()
    sides: MergeSides | None = None
    size_bytes: int
    compute: Callable[[], R]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a change left, and what happened to the tag."""

    artifact: Artifact
    change: TagChange
    #: Names of blobs in the document that mean nothing in the namespace.
    missing_blobs: Sequence[str] = ()
