"""JSON Patch (RFC 6902): read operations, apply them, take them back; no workflows, no storage.

A patch is validated by applying it: there is no second set of rules. Documents and values are never
written to: a result shares all that did not change with the document that it came from.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.patch_draft import LIMITS, Draft, EditRefused, PatchLimits
from orchestrator.documents.pointer import is_pointer, pointer_to, shown_pointer, tokens_of
from orchestrator.documents.wording import shortened
from orchestrator.errors import DomainError, InvalidInput, Violation

Op: TypeAlias = Literal["add", "remove", "replace", "move", "copy", "test"]

_MEMBER_NEEDED: Final[dict[str, str | None]] = {
    "add": "value",
    "remove": None,
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}


class PatchFailed(DomainError):
    """An operation cannot be applied to the document; nothing of the patch was."""

    def __init__(self, index: int, op: str, path: str, rule: str, reason: str) -> None:
        super().__init__(f"Operation {index} ({op} {shortened(path)}) failed: {reason}.")
        self.index, self.op, self.rule = index, op, rule
        self.path = shown_pointer(tokens_of(path))
        self.errors = [Violation(f"/{index}", rule, f"{reason[0].upper()}{reason[1:]}.")]


class PatchOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of RFC 6902. A `value` of None is null; without one it is UNSET."""

    op: Op
    path: str
    source: str | UnsetType = msgspec.field(name="from", default=UNSET)
    value: Any = UNSET


def parse_operations(value: JSONValue) -> tuple[PatchOperation, ...]:
    """Read a patch document; InvalidInput lists what is wrong with its shape.

    Members that RFC 6902 does not define are ignored, as it demands.
    """
    if not isinstance(value, list):
        raise InvalidInput.at("", "type", "A JSON Patch is a list of operations.")
    violations = [each for index, item in enumerate(value) for each in _violations(index, item)]
    if violations:
        detail = f"The patch is not a JSON Patch. {violations[0].message}"
        raise InvalidInput(detail, violations)
    return tuple(_operation(item) for item in value)


def apply(
    document: JSONValue, operations: Sequence[PatchOperation], *, limits: PatchLimits = LIMITS
) -> JSONValue:
    """The document after all operations; PatchFailed names the first that fails."""
    draft = Draft(document, limits)
    return edited(draft, operations, partial(perform, draft))


def invert(
    document: JSONValue, operations: Sequence[PatchOperation], *, limits: PatchLimits = LIMITS
) -> tuple[PatchOperation, ...]:
    """The operations that lead from the result back to the document."""
    draft = Draft(document, limits)
    inverses: list[tuple[PatchOperation, ...]] = []
    edited(draft, operations, lambda each: inverses.append(perform(draft, each)))
    return tuple(operation for inverse in reversed(inverses) for operation in inverse)


def edited(
    draft: Draft, operations: Sequence[PatchOperation], do: Callable[[PatchOperation], object]
) -> JSONValue:
    """What a draft is after `do` did one operation after the other.

    PatchFailed names the one that cannot be done, or the last if the result is too large.
    """
    if not operations:
        unchanged: JSONValue = draft.root
        return unchanged
    index = 0
    try:
        for index, operation in enumerate(operations):  # noqa: B007 - a refusal names it.
            do(operation)
        return draft.result()
    except EditRefused as refusal:
        failed = operations[index]
        raise PatchFailed(index, failed.op, failed.path, refusal.rule, str(refusal)) from None


def perform(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    """Do one operation and return what takes it back; EditRefused if it cannot be done."""
    return _PERFORM[operation.op](draft, operation)


def _violations(index: int, item: JSONValue) -> Iterator[Violation]:
    if not isinstance(item, dict):
        yield Violation(f"/{index}", "type", "An operation is an object.")
        return
    op = item.get("op")
    needed = _MEMBER_NEEDED.get(op) if isinstance(op, str) else None
    if not isinstance(op, str) or op not in _MEMBER_NEEDED:
        message = f"An operation has an op, one of {', '.join(_MEMBER_NEEDED)}."
        yield Violation(f"/{index}/op", "op" if "op" in item else "required", message)
    for member in ("path", "from") if needed == "from" else ("path",):
        yield from _pointer_violations(index, item, member)
    if needed == "value" and "value" not in item:
        yield Violation(f"/{index}/value", "required", f"The operation {op} needs a value.")
    if op == "move" and str(item.get("path")).startswith(f"{item.get('from')}/"):
        message = "Nothing can be moved into itself."
        yield Violation(f"/{index}/path", "move-into-itself", message)


def _pointer_violations(index: int, item: dict[str, Any], member: str) -> Iterator[Violation]:
    place = f"/{index}/{member}"
    if member not in item:
        yield Violation(place, "required", f"The operation needs the member {member}.")
    elif not isinstance(item[member], str) or not is_pointer(item[member]):
        message = (
            f"The member {member} is a JSON Pointer: empty, or each token after a slash, with"
            " ~0 for a tilde and ~1 for a slash."
        )
        yield Violation(place, "pointer", message)


def _operation(item: Any) -> PatchOperation:
    """The operation with the members that it needs, and no other."""
    op = item["op"]
    needed = _MEMBER_NEEDED[op]
    if needed == "value":
        return PatchOperation(op=op, path=item["path"], value=item["value"])
    return PatchOperation(op=op, path=item["path"], source=item["from"] if needed else UNSET)


def _add(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    return _inserted(draft, operation.path, operation.value)


def _remove(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    removed = draft.remove(tokens_of(operation.path))
    return (PatchOperation(op="add", path=operation.path, value=removed),)


def _replace(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    replaced = draft.replace(tokens_of(operation.path), operation.value)
    return (PatchOperation(op="replace", path=operation.path, value=replaced),)


def _move(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    source = str(operation.source)
    if source == operation.path:
        draft.get(tokens_of(source))
        return ()
    moved = draft.remove(tokens_of(source))
    tokens, replaced = draft.insert(tokens_of(operation.path), moved)
    path = pointer_to(tokens)
    if replaced is UNSET:
        return (PatchOperation(op="move", path=source, source=path),)
    # What was replaced must be back before the source is, which may stand inside of it.
    return (
        PatchOperation(op="replace", path=path, value=replaced),
        PatchOperation(op="add", path=source, value=draft.snapshot(moved)),
    )


def _copy(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    copied = draft.snapshot(draft.get(tokens_of(str(operation.source))))
    return _inserted(draft, operation.path, copied)


def _test(draft: Draft, operation: PatchOperation) -> tuple[PatchOperation, ...]:
    if not equal(draft.get(tokens_of(operation.path)), operation.value):
        raise EditRefused("test", "the value there is another one")
    return ()


def _inserted(draft: Draft, path: str, value: Any) -> tuple[PatchOperation, ...]:
    tokens, replaced = draft.insert(tokens_of(path), value)
    if not tokens:
        return (PatchOperation(op="replace", path="", value=replaced),)
    if replaced is UNSET:
        return (PatchOperation(op="remove", path=pointer_to(tokens)),)
    return (PatchOperation(op="replace", path=path, value=replaced),)


_PERFORM: Final = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
