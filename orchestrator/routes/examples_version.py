"""Examples of versions, changes, diffs and merges, shown in the reference and tested."""

from typing import Any

from orchestrator.routes.examples import (
    ARTIFACT_ID,
    HASH,
    OTHER_HASH,
    OTHER_ID,
    TIME,
    WORKFLOW,
    WORKFLOW_ENTRY,
)

PATCH = [
    {"op": "replace", "path": "/nodes/1/timeout_ms", "value": 60000},
    {"op": "add", "path": "/nodes/1/retry", "value": {"max_attempts": 5}},
]
PATCHED: dict[str, Any] = {
    **WORKFLOW_ENTRY,
    "kind": "patch_set",
    "cas_id": OTHER_HASH,
    "depth": 1,
    "tag_version": 2,
    "message": "Be patient",
    "action": "move",
    "op_count": 2,
}
VERSION: dict[str, Any] = {
    "seq": 1,
    "artifact_id": ARTIFACT_ID,
    "kind": "patch_set",
    "version_hash": HASH,
    "cas_id": OTHER_HASH,
    "op_count": 2,
    "message": "Be patient",
    "created_by": "admin",
    "created_at": TIME,
}
VERSIONS = {"items": [VERSION], "next": None}
VERSION_WITH_WORKFLOW = {**VERSION, "workflow": WORKFLOW}
COMPACT = {"move": True, "message": "Squash"}
COMPACTED = {
    "artifact_id": ARTIFACT_ID,
    "version_hash": HASH,
    "compacted_from": OTHER_ID,
    "original_depth": 12,
    "created": True,
    "tag": "release/v1.0",
    "tag_version": 14,
    "moved": True,
}
CHERRY_PICK = {"version": "hotfix@4", "message": "Take the fix"}
REVERT = {"seq": 3, "message": "That was wrong"}
MERGE = {
    "from": "feature/parallel",
    "message": "Merge the feature",
    "resolutions": {"/nodes/fetch/timeout_ms": "theirs", "/nodes/store/retries": {"value": 3}},
    "dry_run": False,
}
DIFF: dict[str, Any] = {
    "nodes_added": [{"id": "notify", "node": {"id": "notify", "type": "http"}}],
    "nodes_removed": [],
    "nodes_renamed": [],
    "nodes_changed": [
        {
            "id": "store",
            "patch": [{"op": "replace", "path": "/timeout_ms", "value": 60000}],
            "inverse": [{"op": "replace", "path": "/timeout_ms", "value": 30000}],
        }
    ],
    "edges_added": [{"from": "store", "to": "notify"}],
    "edges_removed": [],
    "edges_changed": [],
    "members": {"patch": [], "inverse": []},
    "reordered": False,
}
MERGED = {
    "outcome": "merged",
    "dry_run": False,
    "base_id": OTHER_ID,
    "base_ids": [OTHER_ID],
    "ours_id": OTHER_ID,
    "theirs_id": ARTIFACT_ID,
    "op_count": 2,
    "settled": [],
    "settled_count": 0,
    "result": PATCHED,
    "diff": None,
}
_ENDPOINT = {"artifact_id": ARTIFACT_ID, "kind": "dag_version", "version_hash": HASH}
DIFFERENCE = {
    "before": {**_ENDPOINT, "artifact_id": OTHER_ID, "version_hash": OTHER_HASH},
    "after": _ENDPOINT,
    "diff": DIFF,
    "patch": PATCH,
}
DIFFERENCE_TEXT = "+ node store\n"

_BLAMED = {
    "version_hash": HASH,
    "artifact_id": ARTIFACT_ID,
    "changed_by": "admin",
    "changed_at": TIME,
    "message": "Be patient",
}
BLAME = {
    "version_hash": HASH,
    "artifact_id": ARTIFACT_ID,
    "nodes": {
        "fetch": {**_BLAMED, "artifact_id": OTHER_ID, "version_hash": OTHER_HASH},
        "store": _BLAMED,
    },
    "edges": {"fetch->store": {**_BLAMED, "artifact_id": OTHER_ID, "version_hash": OTHER_HASH}},
    "truncated": False,
}
NODE_HISTORY = {
    "items": [{**_BLAMED, "action": "changed", "node": WORKFLOW["nodes"][1]}],
    "next": None,
    "truncated": False,
}
