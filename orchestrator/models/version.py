"""Vocabulary of versions and of what happens between them; no I/O."""

from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.tag import TagChange


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a workflow with its canonical bytes."""

    artifact: Artifact
    content: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a tag names, and at which of its versions: what a change is made on."""

    tag: str
    tag_version: int
    version: Version


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change comes from besides the version it is made on."""

    parent_id: UUID
    relation: Relation


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a change left, and what happened to the tag."""

    artifact: Artifact
    change: TagChange


class Outcome(StrEnum):
    """What a merge turned out to be."""

    UP_TO_DATE = "up_to_date"
    FAST_FORWARD = "fast_forward"
    MERGED = "merged"


class MergeSides(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of a three-way merge; `outcome` tells what they amount to if no change of
    theirs has to be merged.
    """

    ours: Head
    theirs: Version
    base: Version
    outcome: Outcome
