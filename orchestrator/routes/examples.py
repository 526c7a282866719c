"""Examples of the API's bodies, shown in the reference; a test holds them against the schemas."""

from typing import Any

NAMESPACE = "default"
HASH = "blake3:6c21a2d9f0b1f3f3f2a62f1b2f4d3c5b7f3c4f7a9b2e8d1c0f9e8d7c6b5a4938"
OTHER_HASH = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
ARTIFACT_ID = "01936f3e-7c1a-7b52-9d0e-3f6a1c2b4d5e"
OTHER_ID = "01936f3d-1b2c-7d3e-8f4a-5b6c7d8e9f0a"
TRANSACTION_ID = "01936f3f-2b3c-7d4e-9f5a-6b7c8d9e0f1a"
REVERT_ID = "01936f40-3c4d-7e5f-8a6b-7c8d9e0f1a2b"
TIME = "2026-01-31T12:00:00.123456Z"

WORKFLOW: dict[str, Any] = {
    "nodes": [
        {"id": "fetch", "type": "http", "config": {"url": "https://example.org/orders"}},
        {"id": "store", "type": "function", "timeout_ms": 30000},
    ],
    "edges": [{"from": "fetch", "to": "store"}],
}
CREATE_WORKFLOW = {"tag": "release/v1.0", "workflow": WORKFLOW, "message": "First release"}
WORKFLOW_ENTRY: dict[str, Any] = {
    "namespace": NAMESPACE,
    "tag": "release/v1.0",
    "tag_version": 1,
    "artifact_id": ARTIFACT_ID,
    "kind": "dag_version",
    "cas_id": HASH,
    "version_hash": HASH,
    "depth": 0,
    "nodes_count": 2,
    "edges_count": 1,
    "created_by": "admin",
    "created_at": TIME,
    "message": "First release",
    "moved_by": "admin",
    "moved_at": TIME,
}
CREATED_WORKFLOW = {**WORKFLOW_ENTRY, "action": "create"}
WARNING = {
    "pointer": "/workflow/nodes/2",
    "rule": "unconnected-node",
    "message": 'No edge connects node "notify" with another one.',
}
REHEARSED_WORKFLOW = {**CREATED_WORKFLOW, "warnings": [WARNING], "dry_run": True, "diff": None}
VALIDATE_WORKFLOW = {"workflow": WORKFLOW}
VALIDATED = {
    "valid": True,
    "version_hash": HASH,
    "size_bytes": 198,
    "nodes_count": 3,
    "edges_count": 1,
    "violations": [],
    "warnings": [WARNING],
}
RESOLVED_WORKFLOW = {**WORKFLOW_ENTRY, "workflow": WORKFLOW}
WORKFLOWS = {"items": [WORKFLOW_ENTRY], "next": None}

TAG: dict[str, Any] = {
    "namespace": NAMESPACE,
    "name": "release/v1.0",
    "version": 2,
    "cursor": 2,
    "artifact_id": ARTIFACT_ID,
    "kind": "dag_version",
    "version_hash": HASH,
    "message": "Roll out",
    "moved_by": "admin",
    "moved_at": TIME,
}
TAG_DETAILS = {
    **TAG,
    "transaction_id": None,
    "undo_to": {"version": 1, "artifact_id": OTHER_ID, "message": "First release"},
}
TAG_CHANGE = {**TAG, "action": "move"}
TAG_ITEM = {key: value for key, value in TAG.items() if key not in {"kind", "version_hash"}}
TAGS = {"items": [{**TAG, "transaction_id": None}], "next": None, "total": 1}
DELETED_TAG = {**TAG_ITEM, "version": 3, "artifact_id": None, "action": "delete"}
PUT_TAG = {"artifact_id": ARTIFACT_ID, "message": "Roll out"}
MOVE_TAG = {**PUT_TAG, "expected_version": 1}
STEP_TAG = {"expected_version": 2, "message": "Roll back"}
MOVE = {
    "version": 2,
    "seq": 2,
    "action": "move",
    "from_id": OTHER_ID,
    "to_id": ARTIFACT_ID,
    "parent_seq": 1,
    "cursor": 2,
    "transaction_id": None,
    "kind": "dag_version",
    "version_hash": HASH,
    "message": "Roll out",
    "moved_by": "admin",
    "moved_at": TIME,
}
HISTORY = {"items": [MOVE], "next": "MQ"}
NAMED_MOVE = {
    "namespace": NAMESPACE,
    "name": "release/v1.0",
    "version": 2,
    "action": "move",
    "from_id": OTHER_ID,
    "to_id": ARTIFACT_ID,
    "transaction_id": TRANSACTION_ID,
    "kind": "dag_version",
    "version_hash": HASH,
    "message": "Roll out",
    "moved_by": "admin",
    "moved_at": TIME,
}
MOVES = {"items": [NAMED_MOVE], "next": None}

TRANSACTION = {
    "operations": [
        {"op": "create_workflow", "tag": "billing", "workflow": WORKFLOW},
        {"op": "move", "tag": "production", "artifact_id": ARTIFACT_ID, "expected_version": 7},
        {"op": "create", "tag": "previous", "from": "production@6"},
        {"op": "delete", "tag": "candidate"},
    ],
    "message": "Promote the candidate",
}
TRANSACTION_RESULT = {
    "transaction_id": TRANSACTION_ID,
    "results": [CREATED_WORKFLOW, TAG_CHANGE, TAG_CHANGE, DELETED_TAG],
}
TRANSACTION_ITEM = {
    "transaction_id": TRANSACTION_ID,
    "namespace": NAMESPACE,
    "message": "Promote the candidate",
    "made_by": "admin",
    "made_at": TIME,
    "reverts_id": None,
    "reverted_by_id": REVERT_ID,
}
TRANSACTIONS = {"items": [TRANSACTION_ITEM], "next": None}
TRANSACTION_DETAILS = {**TRANSACTION_ITEM, "moves": [NAMED_MOVE]}
REVERT_TRANSACTION = {"message": "Roll back", "expected": {"release/v1.0": 2}}
REVERT_RESULT = {
    "transaction_id": REVERT_ID,
    "results": [{**TAG_CHANGE, "version": 9, "action": "undo"}],
}

ARTIFACT: dict[str, Any] = {
    "artifact_id": ARTIFACT_ID,
    "namespace": NAMESPACE,
    "kind": "dag_version",
    "cas_id": HASH,
    "media_type": "application/json;type=dag",
    "name": None,
    "version_hash": HASH,
    "plan_hash": None,
    "base_id": None,
    "previous_id": None,
    "depth": 0,
    "op_count": 0,
    "nodes_count": 2,
    "edges_count": 1,
    "meta": {},
    "created_by": "admin",
    "created_at": TIME,
}
ARTIFACTS = {"items": [ARTIFACT], "next": None}
FILE = {
    "cas_id": OTHER_HASH,
    "name": "weights/model.bin",
    "media_type": "application/octet-stream",
    "size_bytes": 1_048_576,
}
FILES = {"items": [FILE], "next": None}
ARTIFACT_DETAILS: dict[str, Any] = {
    **ARTIFACT,
    "kind": "model",
    "media_type": "application/json;type=manifest",
    "name": "churn",
    "nodes_count": None,
    "edges_count": None,
    "meta": {"accuracy": 0.93, "framework": "torch"},
    "blobs": [FILE],
    "parents": [{"artifact_id": OTHER_ID, "relation": "derived_from"}],
    "references": [],
    "retained": False,
    "expires_at": None,
}
CREATED_ARTIFACT = {
    **ARTIFACT_DETAILS,
    "action": "create",
    "tag": {**TAG_CHANGE, "name": "model/v1", "kind": "model"},
}
CREATE_ARTIFACT: dict[str, Any] = {
    "kind": "model",
    "name": "churn",
    "blobs": [{"cas_id": OTHER_HASH, "name": "weights/model.bin"}],
    "meta": {"accuracy": 0.93, "framework": "torch"},
    "parents": [{"tag": "orders@3", "relation": "trained_on"}],
    "tag": "model/v1",
}
CHAIN = {"base": ARTIFACT, "patches": []}
LINEAGE = {
    "items": [
        {
            "child_id": ARTIFACT_ID,
            "parent_id": OTHER_ID,
            "relation": "revision_of",
            "direction": "up",
            "distance": 1,
            "artifact": {**ARTIFACT, "artifact_id": OTHER_ID},
            "tags": ["release/v1.0"],
        }
    ],
    "next": None,
    "truncated": False,
}

TAG_REFERENCES = {
    "items": [
        {
            "name": "release/v1.0",
            "current": True,
            "first_version": 1,
            "last_version": 2,
            "last_moved_at": TIME,
        }
    ],
    "next": None,
}

BLOB = {"cas_id": OTHER_HASH, "size_bytes": 0, "media_type": "text/plain", "created_at": TIME}
UPLOAD: dict[str, Any] = {
    "upload_id": ARTIFACT_ID,
    "namespace": NAMESPACE,
    "media_type": "text/plain",
    "size_bytes": 0,
    "offset_bytes": 0,
    "complete": True,
    "cas_id": OTHER_HASH,
    "created_by": "admin",
    "created_at": TIME,
    "expires_at": TIME,
    "blob": BLOB,
}
MISSING_QUERY = {"cas_ids": [HASH, OTHER_HASH]}
MISSING = {"missing": [OTHER_HASH]}

VERIFY = {"read_data": True, "repair": False, "limit": 1000}
VERIFY_PAGE = {
    "checked_blobs": 512,
    "checked_bytes": 268_435_456,
    "checked_objects": 0,
    "total_blobs": 120_000,
    "problems": [
        {
            "problem": "damaged",
            "detail": "What follows its first 524,288 bytes is not what was stored.",
            "repaired": False,
            "cas_id": HASH,
            "storage_key": f"{HASH[7:]}/019ac0ffee007000800000000000beef",
            "quarantined": False,
        }
    ],
    "next": "WyJibG9icyIsIjAxNmMyMSJd",
}

COLLECT_GARBAGE = {"dry_run": True, "explain": True, "limit": 500}
COLLECTED: dict[str, Any] = {
    "deleted": [{"kind": "artifact", "id": OTHER_ID, "namespace": NAMESPACE}],
    "kept": [
        {
            "kind": "artifact",
            "id": ARTIFACT_ID,
            "namespace": NAMESPACE,
            "reason": "was-named",
            "by": "default/release/v1.0@1",
            "detail": "was named by tag default/release/v1.0 at version 1",
        }
    ],
    "artifacts_deleted": 1,
    "blobs_deleted": 0,
    "bytes_freed": 0,
    "next": "WyJibG9icyJd",
}

HEALTH = {"status": "ok", "service": "orchestrator", "version": "0.1.0"}
LIVE = {"status": "ok"}
READY = {"status": "ready", "checks": {"database": "ok", "schema": "ok"}}
NOT_READY = {"status": "unavailable", "checks": {"database": "unavailable"}}
METRICS = 'orchestrator_tag_changes_total{action="move"} 42.0\n'
ME = {
    "principal": "admin",
    "namespace": "default",
    "grants": [{"namespace": "*", "role": "owner"}],
}
