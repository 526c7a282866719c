"""A read gets the same answer on the short way and on the long way."""

import pytest

from tests.api import API
from tests.handlers.http.two_ways import BLOB, LARGE, Pair, essence, name

LOOKUPS = {
    "ok": ("/workflows/main", {}),
    "in its namespace": ("/workflows/main?namespace=NAMESPACE", {}),
    "in another namespace": ("/workflows/main?namespace=nobody", {}),
    "in a namespace with a slash": ("/workflows/main?namespace=no/body", {}),
    "in a bad namespace": ("/workflows/main?namespace=-a", {}),
    "in an upper case namespace": ("/workflows/main?namespace=Main", {}),
    "in a quoted namespace": ("/workflows/main?namespace=no%2Fbody", {}),
    "in an empty namespace": ("/workflows/main?namespace=", {}),
    "an empty query": ("/workflows/main?", {}),
    "two namespaces": ("/workflows/main?namespace=a&namespace=b", {}),
    "the same namespace twice": ("/workflows/main?namespace=NAMESPACE&namespace=NAMESPACE", {}),
    "unknown parameter": ("/workflows/main?verison=1", {}),
    "unknown parameter too": ("/workflows/main?namespace=NAMESPACE&verison=1", {}),
    "repeated parameter": ("/workflows/main?version=1&version=2", {}),
    "known parameter": ("/workflows/main?version=1", {}),
    "parts": ("/workflows/main?materialize=false", {}),
    "absent": ("/workflows/nope", {}),
    "bad name": ("/workflows/-bad", {}),
    "quoted slash": ("/workflows/with%2Fslash", {}),
    "quoted lower": ("/workflows/with%2fslash", {}),
    "quoted letter": ("/workflows/m%61in", {}),
    "not utf-8": ("/workflows/%ff", {}),
    "not quoted": ("/workflows/100%", {}),
    "nul": ("/workflows/a%00", {}),
    "space": ("/workflows/a%20b", {}),
    "more segments": ("/workflows/main/nope", {}),
    "match": ("/workflows/main", {"If-None-Match": "ETAG"}),
    "weak match": ("/workflows/main", {"If-None-Match": "W/ETAG"}),
    "match in a list": ("/workflows/main", {"If-None-Match": '"x", ETAG'}),
    "any": ("/workflows/main", {"If-None-Match": "*"}),
    "mismatch": ("/workflows/main", {"If-None-Match": '"x"'}),
    "malformed match": ("/workflows/main", {"If-None-Match": "x"}),
    "match of nothing": ("/workflows/nope", {"If-None-Match": "*"}),
    "if-match": ("/workflows/main", {"If-Match": '"x"'}),
    "range": ("/workflows/main", {"Range": "bytes=0-3"}),
    "accept": ("/workflows/main", {"Accept": "text/html"}),
    "blob": (f"/cas/{name(BLOB)}", {}),
    "blob in its namespace": (f"/cas/{name(BLOB)}?namespace=NAMESPACE", {}),
    "blob in another namespace": (f"/cas/{name(BLOB)}?namespace=nobody", {}),
    "blob in a bad namespace": (f"/cas/{name(BLOB)}?namespace=-a", {}),
    "blob in two namespaces": (f"/cas/{name(BLOB)}?namespace=a&namespace=b", {}),
    "blob with a parameter": (f"/cas/{name(BLOB)}?x=1", {}),
    "blob quoted": (f"/cas/{name(BLOB).replace(':', '%3A')}", {}),
    "blob absent": (f"/cas/{name(b'absent')}", {}),
    "blob bad name": ("/cas/blake3:xyz", {}),
    "blob not utf-8": ("/cas/%ff", {}),
    "blob second name": (f"/cas/sha256:{'0' * 64}", {}),
    "blob match": (f"/cas/{name(BLOB)}", {"If-None-Match": "ETAG"}),
    "blob any": (f"/cas/{name(BLOB)}", {"If-None-Match": "*"}),
    "blob mismatch": (f"/cas/{name(BLOB)}", {"If-None-Match": '"x"'}),
    "blob malformed match": (f"/cas/{name(BLOB)}", {"If-None-Match": "x"}),
    "blob range": (f"/cas/{name(BLOB)}", {"Range": "bytes=2-4"}),
    "blob range outside": (f"/cas/{name(BLOB)}", {"Range": "bytes=99-"}),
    "blob range malformed": (f"/cas/{name(BLOB)}", {"Range": "lines=1"}),
    "blob digest": (f"/cas/{name(BLOB)}", {"Want-Repr-Digest": "sha-256=1"}),
    "blob zstd": (f"/cas/{name(BLOB)}", {"Accept-Encoding": "zstd"}),
    "large": (f"/cas/{name(LARGE)}", {}),
    "large zstd": (f"/cas/{name(LARGE)}", {"Accept-Encoding": "zstd"}),
    "large range": (f"/cas/{name(LARGE)}", {"Range": "bytes=2-4"}),
}


@pytest.mark.parametrize("case", LOOKUPS, ids=[case.replace(" ", "-") for case in LOOKUPS])
async def test_both_ways_answer_a_read_alike(pair: Pair, case: str) -> None:
    where, headers = LOOKUPS[case]
    if "ETAG" in headers.get("If-None-Match", ""):
        current, _ = await pair.ask("GET", API + where)
        given = headers["If-None-Match"].replace("ETAG", current.headers["etag"])
        headers = {"If-None-Match": given}
    for _ in range(2):  # The second may come from memory.
        short, long = await pair.ask("GET", API + where, headers=headers)
        assert essence(short) == essence(long)
    short, long = await pair.ask("HEAD", API + where, headers=headers)
    assert (short.status_code, short.headers.keys()) == (long.status_code, long.headers.keys())
