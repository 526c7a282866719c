"""Examples of refusals, one for each status, shown in the reference and tested with the others."""

from typing import Any

from orchestrator.routes import examples


def _problem(status: int, slug: str, title: str, detail: str, **members: Any) -> dict[str, Any]:
    return {
        "type": f"urn:orchestrator:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "error": title.lower(),
        **members,
    }


PROBLEM_EXAMPLES: dict[int, dict[str, Any]] = {
    400: _problem(
        400,
        "invalid-input",
        "Invalid input",
        "A cas id is 'blake3:' followed by 64 lower-case hex digits.",
        errors=[
            {
                "pointer": "/cas_id",
                "rule": "cas-id",
                "message": "A cas id is 'blake3:' followed by 64 lower-case hex digits.",
            }
        ],
    ),
    401: _problem(401, "unauthenticated", "Not authenticated", "The token is not valid."),
    403: _problem(403, "forbidden", "Forbidden", "This server is not known as 'evil.example'."),
    404: _problem(
        404,
        "not-found",
        "Not found",
        "The workflow 'release/v9' does not exist.",
        kind="workflow",
        key="release/v9",
    )
    | {"error": "workflow not found"},
    405: _problem(405, "method-not-allowed", "Method Not Allowed", "Method Not Allowed"),
    408: _problem(
        408,
        "body-too-slow",
        "Request body too slow",
        "The request body did not arrive within 30 seconds.",
        deadline_seconds=30.0,
    ),
    409: _problem(
        409,
        "version-conflict",
        "Version conflict",
        "The tag 'release/v1.0' is not at the expected version 1.",
        kind="tag",
        key="release/v1.0",
        expected_version=1,
        current_version=2,
        current_artifact_id=examples.ARTIFACT_ID,
    ),
    412: _problem(
        412,
        "precondition-failed",
        "Precondition failed",
        "The precondition If-Match: \"1\" does not hold for the tag 'release/v1.0'.",
        kind="tag",
        key="release/v1.0",
        condition='If-Match: "1"',
        current_version=2,
        current_artifact_id=examples.ARTIFACT_ID,
    ),
    413: _problem(
        413,
        "too-large",
        "Too large",
        "A blob may have at most 8388608 bytes; this one has 9000000 bytes.",
        kind="blob",
        limit_bytes=8388608,
    ),
    414: _problem(
        414,
        "target-too-long",
        "Target too long",
        "The head of a request has at most 32768 bytes, its target half.",
        limit_bytes=32768,
    ),
    415: _problem(
        415,
        "unsupported-media-type",
        "Unsupported media type",
        "This operation reads application/json, not 'text/plain'.",
        given="text/plain",
        supported=["application/json"],
    ),
    416: _problem(
        416,
        "range-not-satisfiable",
        "Range not satisfiable",
        "The blob has 5 bytes; none of them is in the range.",
        size_bytes=5,
    ),
    422: _problem(
        422,
        "rule-broken",
        "Rule broken",
        "The workflow breaks 1 rule.",
        errors=[
            {
                "pointer": "/workflow/edges/0/to",
                "rule": "missing-node",
                "message": "The edge leads to 'stroe', which is not a node.",
            }
        ],
    ),
    429: _problem(
        429,
        "rate-limited",
        "Rate limited",
        "At most 100 requests of the tier 'writes' are served in 60 seconds; try again in 17.",
        tier="writes",
        limit=100,
        window_seconds=60,
        current_count=101,
        retry_after_seconds=17,
    ),
    431: _problem(
        431,
        "head-too-large",
        "Head too large",
        "The head of a request has at most 32768 bytes.",
        limit_bytes=32768,
    ),
    460: _problem(
        460,
        "checksum-mismatch",
        "Checksum mismatch",
        "The body does not have the sha256 that Upload-Checksum says.",
        algorithm="sha256",
    ),
    500: _problem(
        500,
        "internal-error",
        "Internal error",
        "Something failed on our side. The correlation id of this response leads to the log.",
    ),
    501: _problem(
        501,
        "unsupported-transfer-coding",
        "Unsupported transfer coding",
        "The transfer coding 'gzip' is not chunked.",
        given="gzip",
        supported=["chunked"],
    ),
    503: _problem(
        503, "storage-unavailable", "Storage unavailable", "The database cannot answer now."
    ),
    505: _problem(
        505,
        "unsupported-version",
        "Unsupported version",
        "HTTP/2.0 is not spoken here: use 1.0 or 1.1.",
        given="2.0",
        supported=["1.0", "1.1"],
    ),
    507: _problem(507, "storage-full", "Storage full", "The storage has no room for this write."),
}
