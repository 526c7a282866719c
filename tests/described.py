"""Holds real answers against what the OpenAPI document says of them."""

import re
from collections.abc import Mapping
from typing import Any, cast

import jsonschema_rs
import msgspec

#: Of the connection and of the body; no document says them.
OF_HTTP = frozenset(
    {"connection", "content-length", "content-type", "date", "server", "transfer-encoding"}
)


def _names_in(item: tuple[str, Any]) -> int:
    return item[0].count("{")


class Description:
    """The document, as a list of what is wrong with an answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        # A name in a path may be anything, so what has none is looked for first.
        self._paths = {
            re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))): operations
            for path, operations in sorted(document["paths"].items(), key=_names_in)
        }
        self._validators: dict[int, Any] = {}

    def resolved(self, said: dict[str, Any]) -> dict[str, Any]:
        """What a reference refers to, or what is there."""
        found: Any = self._document if "$ref" in said else said
        for step in said.get("$ref", "#").split("/")[1:]:
            found = found[step]
        return cast("dict[str, Any]", found)

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What is said of a request; of a HEAD what is said of the GET."""
        for pattern, operations in self._paths.items():
            if pattern.fullmatch(path):
                named = operations.get(method.lower())
                return named or (operations.get("get") if method == "HEAD" else None)
        return None

    def wrong(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """What the answer has that the document does not say, and the other way round."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"{method} {path} is not described"]
        where = f"{operation['operationId']} {status}"
        if str(status) not in operation["responses"]:
            return [f"{where} is not described: {body[:200]!r}"]
        answer = self.resolved(operation["responses"][str(status)])
        return [
            f"{where}: {each}"
            for each in [
                *self._wrong_headers(answer.get("headers", {}), headers),
                *(self._wrong_body(answer, headers, body) if method != "HEAD" else []),
            ]
        ]

    def _wrong_headers(self, said: dict[str, Any], headers: Mapping[str, str]) -> list[str]:
        described = {name.lower(): self.resolved(each) for name, each in said.items()}
        given = {name.lower(): value for name, value in headers.items()}
        found = [
            f"the header {each} is not described" for each in given.keys() - described - OF_HTTP
        ]
        for name, each in described.items():
            if name not in given:
                found += [f"there is no header {name}"] if each["required"] else []
            elif not self._validator(each["schema"]).is_valid(given[name]):
                found.append(f"{name}: {given[name]!r} is not what is said")
        return found

    def _wrong_body(
        self, answer: dict[str, Any], headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        content = answer.get("content", {})
        given = headers.get("content-type", "")
        media = content.get(given) or content.get("*/*")
        if not content or media is None:
            return [f"a body of the type {given!r} is not described"] if body else []
        if given not in content or "json" not in given:
            return []  # Somebody's bytes, or text.
        validator = self._validator(media["schema"])
        return [each.message for each in validator.iter_errors(msgspec.json.decode(body))]

    def _validator(self, schema: dict[str, Any]) -> Any:
        if id(schema) not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[id(schema)] = jsonschema_rs.validator_for(whole)
        return self._validators[id(schema)]
