"""Makes the next version of a workflow from one before it; pure, so it runs before a transaction.

A patch is validated by applying it: what is stored is exactly what was checked.
"""

from collections.abc import Sequence

import msgspec

from orchestrator.core.digest import BlobName, CasId
from orchestrator.documents.blob_names import blobs_named
from orchestrator.documents.canonical import JSONValue, canonicalise
from orchestrator.documents.patch import PatchOperation, apply
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.patch_draft import PatchLimits
from orchestrator.documents.workflow import Workflow, check_workflow
from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_address_patch import apply_by_id
from orchestrator.documents.workflow_diff import diff_workflows
from orchestrator.documents.workflow_graph import nodes_of
from orchestrator.documents.workflow_merge import WorkflowMerge, merge_workflows
from orchestrator.documents.workflow_merge_base import MergeBase, merged_base
from orchestrator.documents.workflow_merge_value import Conflict, Settlement, listed_conflicts
from orchestrator.documents.workflow_patch import PATCH_DEPTH_MAX, PatchFormat, read_operations
from orchestrator.errors import RuleBroken, TooLarge, Violation
from orchestrator.errors_change import MergeConflict


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The operations on a version and the workflow after them, hashed and ready to be stored.

    It holds bytes and no values, so that it passes from one process to another fast.
    """

    content: bytes
    version_hash: CasId
    nodes_count: int
    edges_count: int
    operations_content: bytes
    operations_id: CasId
    op_count: int
    #: The blobs that the workflow names.
    references: tuple[BlobName, ...] = ()
    #: A JSON list of the conflicts that were settled, as many as an answer may list, of so many.
    settled: bytes = b"[]"
    settled_count: int = 0
    #: What may be a mistake in the workflow.
    warnings: tuple[Violation, ...] = ()
    #: What the operations change, as JSON, if that was requested.
    preview: bytes | None = None


class MergeResult(msgspec.Struct, frozen=True):
    """A merge that was computed and is not stored: without a revision there was nothing to merge.

    `preview` is what it would change on our side, as JSON, if that was requested.
    """

    revision: Revision | None
    preview: bytes | None


class ChangeRules(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of what one change may do."""

    workflow_bytes_max: int
    agent_nodes_added_max: int
    body_values_max: int


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How one change is made: only to see what would come of it, by which judgement, and with which
    kind of pointers into the document.
    """

    dry_run: bool = False
    lenient: bool = False
    address: Address = "position"


USUAL = Manner()


def patched(
    head: bytes, patch: bytes, format_: PatchFormat, rules: ChangeRules, manner: Manner = USUAL
) -> Revision:
    """Apply a patch to a stored version.

    InvalidInput says why it is no patch, PatchFailed names the operation that cannot be applied,
    RuleBroken every rule that the result breaks, with pointers into the result.
    """
    before = parsed(head)
    operations = read_operations(patch, format_, before, values_max=rules.body_values_max)
    limits = PatchLimits(bytes_max=rules.workflow_bytes_max)
    if manner.address == "id":
        after, operations = apply_by_id(before, operations, limits=limits)
    else:
        after = apply(before, operations, limits=limits)
    workflow = check_workflow(after, lenient=manner.lenient, address=manner.address)
    check_change(before, workflow.document, rules)
    return _revision(before, workflow, operations, _content(operations), rules, manner)


def merged(
    base: MergeBase,
    ours: bytes,
    theirs: bytes,
    rules: ChangeRules,
    settlement: Settlement,
    manner: Manner = USUAL,
) -> Revision:
    """Merge two versions that began with the base, as a patch on ours.

    MergeConflict lists the places that both changed and nothing settles; RuleBroken when both
    together break a rule that neither breaks alone, such as a cycle, or a resolution is wrong.
    """
    our = parsed(ours)
    old = parsed(base) if isinstance(base, bytes) else merged_base(base)
    result = merge_workflows(old, our, parsed(theirs), settlement)
    return _merged_revision(our, result, rules, manner)


def patched_elsewhere(
    base: bytes,
    patch: bytes,
    format_: PatchFormat,
    head: bytes,
    rules: ChangeRules,
    manner: Manner = USUAL,
) -> Revision:
    """Apply a patch to the version that it was made for, and merge the result into the head.

    It refuses what `patched` and `rebased` do.
    """
    stored = msgspec.structs.replace(manner, dry_run=False)
    elsewhere = patched(base, patch, format_, rules, stored)
    return rebased(base, elsewhere.content, head, rules, manner)


def rebased(
    base: bytes, changed: bytes, head: bytes, rules: ChangeRules, manner: Manner = USUAL
) -> Revision:
    """A change of the base, merged into the head as a patch on it; ours is what was changed.

    It refuses what `merged` does.
    """
    their = parsed(head)
    result = merge_workflows(parsed(base), parsed(changed), their)
    return _merged_revision(their, result, rules, manner)


def _merged_revision(
    before: JSONValue, result: WorkflowMerge, rules: ChangeRules, manner: Manner
) -> Revision:
    """What a merge made, as a patch on one of its sides."""
    if result.conflicts:
        raise MergeConflict(listed_conflicts(result.conflicts), len(result.conflicts))
    workflow = check_workflow(result.document, lenient=manner.lenient, address=manner.address)
    operations = patch_between(before, workflow.document)
    content = _content(operations)
    if len(content) > rules.workflow_bytes_max:
        # More is changed than there is: the whole is the shorter patch.
        operations = (PatchOperation(op="replace", path="", value=workflow.document),)
        content = _content(operations)
    return _revision(before, workflow, operations, content, rules, manner, result.settled)


def merge_result(
    base: MergeBase,
    ours: bytes,
    theirs: bytes,
    rules: ChangeRules,
    settlement: Settlement,
    manner: Manner = USUAL,
) -> MergeResult:
    """A merge of two versions, as `merged` makes it."""
    revision = merged(base, ours, theirs, rules, settlement, manner)
    return MergeResult(revision, revision.preview)


def rebased_merge(
    base: bytes,
    changed: bytes,
    made: Revision | None,
    head: bytes,
    rules: ChangeRules,
    manner: Manner = USUAL,
) -> MergeResult:
    """What a merge made of the base, merged into the head; what it settled stays settled."""
    revision = rebased(base, changed, head, rules, manner)
    if made is not None:
        revision = msgspec.structs.replace(
            revision, settled=made.settled, settled_count=made.settled_count
        )
    return MergeResult(revision, revision.preview)


def unmerged_result(
    ours: bytes, after: bytes, settlement: Settlement, manner: Manner = USUAL
) -> MergeResult:
    """Where there is nothing to merge: our side becomes the other, or stays."""
    settlement.check_used(frozenset())
    return MergeResult(None, difference(ours, after) if manner.dry_run else None)


def differences(pairs: Sequence[tuple[bytes | None, bytes]]) -> list[bytes | None]:
    """What is different between two stored versions, as JSON; None if there is no first one."""
    return [None if before is None else difference(before, after) for before, after in pairs]


def difference(before: bytes, after: bytes) -> bytes:
    """What is different between two stored versions, as JSON."""
    return _difference(parsed(before), parsed(after))


def _difference(before: JSONValue, after: JSONValue) -> bytes:
    return msgspec.json.encode(diff_workflows(before, after))


def parsed(content: bytes) -> JSONValue:
    """A stored version; its canonical form was strict JSON when it came in."""
    value: JSONValue = msgspec.json.decode(content)
    return value


def check_change(before: JSONValue, after: JSONValue, rules: ChangeRules) -> None:
    """The rule of changes, which a whole new version need not keep."""
    known = {node.id for node in nodes_of(before)}
    added = [node for node in nodes_of(after) if node.id not in known]
    agents_count = sum(node.value.get("type") == "agent" for node in added)
    if agents_count > rules.agent_nodes_added_max:
        message = (
            f"One change adds at most {rules.agent_nodes_added_max} nodes of the type 'agent', "
            f"not {agents_count}."
        )
        violation = Violation("/nodes", "agent-nodes-max", message)
        raise RuleBroken("The change breaks a rule. " + message, [violation])


def _revision(
    before: JSONValue,
    workflow: Workflow,
    operations: tuple[PatchOperation, ...],
    content: bytes,
    rules: ChangeRules,
    manner: Manner,
    settled: Sequence[Conflict] = (),
) -> Revision:
    if len(workflow.content) > rules.workflow_bytes_max:
        raise TooLarge("workflow", rules.workflow_bytes_max, len(workflow.content))
    return Revision(
        content=workflow.content,
        version_hash=CasId.of(workflow.content),
        nodes_count=workflow.nodes_count,
        edges_count=workflow.edges_count,
        operations_content=content,
        operations_id=CasId.of(content),
        op_count=len(operations),
        references=blobs_named(workflow.content),
        settled=msgspec.json.encode(listed_conflicts(settled)),
        settled_count=len(settled),
        warnings=workflow.warnings,
        preview=_difference(before, workflow.document) if manner.dry_run else None,
    )


def _content(operations: Sequence[PatchOperation]) -> bytes:
    return canonicalise(msgspec.to_builtins(list(operations)), depth_max=PATCH_DEPTH_MAX)
