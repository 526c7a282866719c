"""Recognises workflows of other programs by their outermost members; it translates none of them."""

import re
from collections.abc import Mapping
from typing import Any

#: What a file is, and the members at its top that tell.
_FORMATS = (
    ("an n8n workflow", ("nodes", "connections")),
    ("an Amazon States Language (ASL) state machine", ("StartAt", "States")),
    ("a GitHub Actions workflow", ("on", "jobs")),
    ("a Serverless Workflow", ("document", "do")),
)
_ARGO = re.compile(r"""["']?argoproj\.io/""")
_AIRFLOW = re.compile(r"^\s*(?:from\s+airflow[.\s]|import\s+airflow\b)", re.MULTILINE)
#: A member at the top of a YAML file, with what is on its line.
_MEMBER = re.compile(r"""^(["']?)([A-Za-z]\w*)\1\s*:[ \t]*(.*)$""", re.MULTILINE)


def foreign_format(text: str, value: object = None) -> str | None:
    """Whose workflow it is, by the value of a JSON file, or else by the text of a file that may not
    even be one that we can read; None if we know no such format.
    """
    if isinstance(value, dict):
        return _by_members(value)
    if _AIRFLOW.search(text):
        return "an Airflow DAG"
    return _by_members({name: rest for _, name, rest in _MEMBER.findall(text)})


def _by_members(members: Mapping[str, Any]) -> str | None:
    if _ARGO.match(str(members.get("apiVersion"))):
        return "an Argo Workflows manifest"
    for name, needed in _FORMATS:
        if all(member in members for member in needed):
            return name
    return None
