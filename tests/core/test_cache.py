"""What is kept in memory: least recently used goes first, up to so many bytes."""

from orchestrator.core.cache import ENTRY_BYTES, Cache

#: Room for ten entries with this content; one of them is less than an eighth.
CONTENT_BYTES = 1_000
SIZE = CONTENT_BYTES + ENTRY_BYTES


def filled(count: int, bytes_max: int) -> Cache[str, int]:
    cache: Cache[str, int] = Cache(bytes_max)
    for number in range(count):
        cache.put(f"k{number}", number, CONTENT_BYTES)
    return cache


def kept(cache: Cache[str, int]) -> list[str]:
    """Without using any of them."""
    return list(cache._entries)


def test_what_was_put_is_found_and_the_rest_is_not() -> None:
    cache = filled(2, 10 * SIZE)
    assert (cache.get("k0"), cache.get("k1"), cache.get("k2")) == (0, 1, None)


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = filled(10, 10 * SIZE)
    assert cache.get("k0") == 0
    cache.put("k1", 11, CONTENT_BYTES)
    cache.put("new", 1, CONTENT_BYTES)
    cache.put("newer", 2, CONTENT_BYTES)
    assert kept(cache) == ["k4", "k5", "k6", "k7", "k8", "k9", "k0", "k1", "new", "newer"]
    assert (cache.get("k0"), cache.get("k1"), cache.get("k2"), cache.get("k3")) == (
        0,
        11,
        None,
        None,
    )


def test_never_more_than_so_many_bytes_and_no_room_is_lost() -> None:
    cache: Cache[str, int] = Cache(10 * SIZE)
    for number in range(200):
        size = number * 37 % 1_500
        cache.put(f"k{number * 7 % 23}", number, size)
        if number % 11 == 0:
            cache.discard(f"k{number % 23}")
        counted = sum(size for _, size in cache._entries.values())
        assert cache._bytes == counted <= 10 * SIZE


def test_an_entry_that_is_replaced_counts_once() -> None:
    cache = filled(10, 10 * SIZE)
    for number in range(50):
        cache.put("k9", number, CONTENT_BYTES)
    assert kept(cache) == [f"k{number}" for number in range(10)]
    assert cache.get("k9") == 49
    cache.put("k9", 1, CONTENT_BYTES + 1)
    assert kept(cache) == [f"k{number}" for number in range(1, 10)], "it is larger now"


def test_an_empty_content_takes_room_too() -> None:
    cache: Cache[str, int] = Cache(10 * ENTRY_BYTES)
    for number in range(30):
        cache.put(f"k{number}", number, 0)
    assert len(kept(cache)) == 10


def test_what_is_too_large_pushes_nothing_out_and_is_not_kept() -> None:
    cache = filled(10, 10 * SIZE)
    most = 10 * SIZE // 8 - ENTRY_BYTES
    cache.put("large", 1, most + 1)
    assert cache.get("large") is None
    assert len(kept(cache)) == 10
    cache.put("k0", 1, most + 1)
    assert cache.get("k0") is None, "what it had before is not true any more"
    cache.put("large", 1, most)
    assert cache.get("large") == 1


def test_with_no_room_nothing_is_kept() -> None:
    cache: Cache[str, int] = Cache(0)
    cache.put("k", 1, 0)
    assert cache.get("k") is None


def test_what_is_discarded_is_gone_and_what_was_never_there_is_no_error() -> None:
    cache = filled(2, 10 * SIZE)
    cache.discard("k0")
    cache.discard("nope")
    assert (cache.get("k0"), cache.get("k1")) == (None, 1)
    assert cache._bytes == SIZE
