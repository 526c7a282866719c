"""The shape of every problem document, as it is described; `problem.py` makes the documents."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.core.digest import CasIdText
from orchestrator.documents.workflow_merge_value import Conflict
from orchestrator.errors import Violation
from orchestrator.errors_change import MovedTag
from orchestrator.models.name import IdText

_TYPE = {"pattern": "^urn:orchestrator:problem:[a-z0-9-]+$"}


class ProblemBody(msgspec.Struct, kw_only=True):
    """RFC 9457: what was refused and why. What failed decides which of the other members there
    are.
    """

    type: Annotated[str, msgspec.Meta(extra_json_schema=_TYPE)]
    title: str
    status: int
    #: A sentence for a person.
    detail: str
    #: The type in a few words.
    error: str
    instance: str | UnsetType = UNSET
    #: What is wrong, where, by which rule.
    errors: list[Violation] | UnsetType = UNSET

    # Which thing: of many operations in one request, of all things.
    operation: int | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    cas_id: CasIdText | UnsetType = UNSET
    upload_id: IdText | UnsetType = UNSET
    artifact_id: IdText | UnsetType = UNSET

    # What the request expected, and what is there instead; null: nothing.
    condition: str | UnsetType = UNSET
    expected_version: int | UnsetType = UNSET
    current_version: int | UnsetType | None = UNSET
    current_artifact_id: str | UnsetType | None = UNSET
    current_version_hash: CasIdText | UnsetType = UNSET
    expected: str | UnsetType = UNSET
    actual: str | UnsetType = UNSET
    offset_bytes: int | UnsetType = UNSET
    size_bytes: int | UnsetType = UNSET

    # Limits.
    limit: int | UnsetType = UNSET
    limit_bytes: int | UnsetType = UNSET
    limit_seconds: float | UnsetType = UNSET
    deadline_seconds: float | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    window_seconds: int | UnsetType = UNSET
    current_count: int | UnsetType = UNSET
    retry_after_seconds: int | UnsetType = UNSET

    # Of a transaction that cannot be taken back.
    transaction_id: IdText | UnsetType = UNSET
    tags: list[MovedTag] | UnsetType = UNSET
    tags_count: int | UnsetType = UNSET

    # What cannot be read, and what can.
    given: str | UnsetType = UNSET
    supported: list[str] | str | UnsetType = UNSET
    wanted: str | UnsetType = UNSET
    algorithm: str | UnsetType = UNSET

    # Which operation of a patch.
    index: int | UnsetType = UNSET
    op: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET

    # Of a merge.
    ours: Any = UNSET
    theirs: Any = UNSET
    conflicts: list[Conflict] | UnsetType = UNSET
    conflicts_count: int | UnsetType = UNSET
    bases: list[str] | UnsetType = UNSET
