"""HTTP for who calls: what the token of a request stands for; the database is not asked."""

from typing import Annotated, Literal

import msgspec

from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import tagged
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import NAMESPACE_LENGTH_MAX, NamespaceText

NamespacePattern = Annotated[
    str,
    msgspec.Meta(
        extra_json_schema={
            "pattern": r"^[a-z0-9*][a-z0-9*._/-]*$",
            "maxLength": NAMESPACE_LENGTH_MAX,
        }
    ),
]
Role = Literal["reader", "publisher", "maintainer", "owner"]
EVERY_NAMESPACE = "*"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A role in the namespaces whose names fit a pattern."""

    namespace: NamespacePattern
    role: Role


class MeBody(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, the namespace of a request that names none, and what the caller may do where."""

    principal: str
    namespace: NamespaceText
    grants: list[Grant]


class MeHandler:
    """There is one token, and it may do everything."""

    async def get(self, call: Call) -> Answer:
        """The principal of the token, as histories name it."""
        grants = [Grant(namespace=EVERY_NAMESPACE, role="owner")]
        caller = call.principal
        return tagged(
            call, MeBody(principal=caller.name, namespace=caller.namespace, grants=grants)
        )
