"""How changes of a workflow look to people; it sends nothing."""

import sys
from typing import TYPE_CHECKING

import msgspec

from orchestrator.cli.output import console, write_bytes

if TYPE_CHECKING:
    from orchestrator.documents.canonical import JSONValue
    from orchestrator.documents.workflow_diff import WorkflowDiff


def write_diff(diff: msgspec.Raw) -> None:
    """What the server says that changed."""
    from orchestrator.documents.workflow_diff import WorkflowDiff

    _write(msgspec.json.decode(diff, type=WorkflowDiff))


def write_changes(before: "JSONValue", after: "JSONValue") -> None:
    """What changed from one workflow to another."""
    from orchestrator.documents.workflow_diff import diff_workflows

    _write(diff_workflows(before, after))


def _write(diff: "WorkflowDiff") -> None:
    """One line for each change, in colours on a terminal."""
    from orchestrator.documents.workflow_diff_text import render_text

    screen = console(sys.stdout)
    is_coloured = screen.color_system is not None and not screen.no_color
    write_bytes(render_text(diff, colour=is_coloured).encode())


def write_manifest_diff(diff: msgspec.Raw) -> None:
    """The same of artifacts that are named by their manifests, in plain lines."""
    from orchestrator.documents.manifest_diff import ManifestDiff, render_manifest_diff

    write_bytes(render_manifest_diff(msgspec.json.decode(diff, type=ManifestDiff)).encode())
