"""Query parameters that several operations have: an operation takes them as one value, while a
client, the framework and the description know each by its own name.
"""

from collections.abc import Iterable, Mapping
from inspect import Parameter
from typing import Any, TypeGuard, get_type_hints

import msgspec


class QueryGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The base of such groups. Each member is a parameter, and has a default."""


def spread(parameters: Iterable[Parameter]) -> list[Parameter]:
    """The parameters, with those of a group in the place of the group."""
    found: list[Parameter] = []
    for each in parameters:
        found += _members(each) if _is_group(each.annotation) else [each]
    return found


def groups_of(parameters: Iterable[Parameter]) -> dict[str, type[QueryGroup]]:
    """The groups among the parameters, by name."""
    return {each.name: each.annotation for each in parameters if _is_group(each.annotation)}


def gathered(groups: Mapping[str, type[QueryGroup]], given: dict[str, Any]) -> dict[str, Any]:
    """What was given, with the members of each group as one value."""
    for name, group in groups.items():
        given[name] = group(**{each: given.pop(each) for each in group.__struct_fields__})
    return given


def _is_group(annotation: object) -> TypeGuard[type[QueryGroup]]:
    return isinstance(annotation, type) and issubclass(annotation, QueryGroup)


def _members(parameter: Parameter) -> list[Parameter]:
    types = get_type_hints(parameter.annotation, include_extras=True)
    return [
        Parameter(each.name, parameter.kind, default=each.default, annotation=types[each.name])
        for each in msgspec.structs.fields(parameter.annotation)
    ]
