"""The cases of json-patch-tests (tests.json, spec_tests.json) and of RFC 7396, appendix A, as data.

All of them are here but those that no parsed value can express: an operation with two `op` members
is refused by the parser. The cases that the suite disables are here too.
"""

from typing import Any


def add(path: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value, **more}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def move(source: str, path: str) -> dict[str, Any]:
    return {"op": "move", "from": source, "path": path}


def copy(source: str, path: str) -> dict[str, Any]:
    return {"op": "copy", "from": source, "path": path}


def test(path: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value, **more}


# Pytest must not take the helper of this name for a test.
test.__test__ = False  # type: ignore[attr-defined]  # As pytest has it.

_QUX: list[Any] = [{"qux": "hello"}]
_NET = {"bar": {"baz": [{"boo": "net"}]}}
_KEYS = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
_TESTS_OF_KEYS = [
    test("/foo", ["bar", "baz"]),
    test("/foo/0", "bar"),
    test("/", 0),
    test("/a~1b", 1),
    test("/c%d", 2),
    test("/e^f", 3),
    test("/g|h", 4),
    test("/i\\j", 5),
    test('/k"l', 6),
    test("/ ", 7),
    test("/m~0n", 8),
]

# Each a document, the operations on it, and what must come out.
PASSING_CASES: list[tuple[Any, list[Any], Any]] = [
    # No operation changes nothing; the order of members does not count.
    ({}, [], {}),
    ({"foo": 1}, [], {"foo": 1}),
    ({"foo": 1, "bar": 2}, [], {"bar": 2, "foo": 1}),
    ([{"foo": 1, "bar": 2}], [], [{"bar": 2, "foo": 1}]),
    ({"foo": {"foo": 1, "bar": 2}}, [], {"foo": {"bar": 2, "foo": 1}}),
    (["foo"], [], ["foo"]),
    # Add.
    ({"foo": None}, [add("/foo", 1)], {"foo": 1}),
    ([], [add("/0", "foo")], ["foo"]),
    ({}, [add("/foo", "1")], {"foo": "1"}),
    ({}, [add("/foo", 1)], {"foo": 1}),
    ({}, [add("", [])], []),
    ([], [add("", {})], {}),
    ([], [add("/-", "hi")], ["hi"]),
    ({}, [add("/", 1)], {"": 1}),
    ({"foo": {}}, [add("/foo/", 1)], {"foo": {"": 1}}),
    ({"foo": 1}, [add("/bar", [1, 2])], {"foo": 1, "bar": [1, 2]}),
    (
        {"foo": 1, "baz": _QUX},
        [add("/baz/0/foo", "world")],
        {"foo": 1, "baz": [{"qux": "hello", "foo": "world"}]},
    ),
    ({"foo": 1}, [add("/bar", value=True)], {"foo": 1, "bar": True}),
    ({"foo": 1}, [add("/bar", value=False)], {"foo": 1, "bar": False}),
    ({"foo": 1}, [add("/bar", None)], {"foo": 1, "bar": None}),
    ({"foo": 1}, [add("/0", "bar")], {"foo": 1, "0": "bar"}),
    (["foo"], [add("/1", "bar")], ["foo", "bar"]),
    (["foo", "sil"], [add("/1", "bar")], ["foo", "bar", "sil"]),
    (["foo", "sil"], [add("/0", "bar")], ["bar", "foo", "sil"]),
    (["foo", "sil"], [add("/2", "bar")], ["foo", "sil", "bar"]),
    (["foo", "sil"], [add("/1", ["bar", "baz"])], ["foo", ["bar", "baz"], "sil"]),
    ({"foo": "bar"}, [add("", {"baz": "qux"})], {"baz": "qux"}),
    ([1, 2], [add("/-", {"foo": ["bar", "baz"]})], [1, 2, {"foo": ["bar", "baz"]}]),
    (
        [1, 2, [3, [4, 5]]],
        [add("/2/1/-", {"foo": ["bar", "baz"]})],
        [1, 2, [3, [4, 5, {"foo": ["bar", "baz"]}]]],
    ),
    ({"foo": "bar"}, [add("/FOO", "BAR")], {"foo": "bar", "FOO": "BAR"}),
    # Remove.
    ({"foo": 1, "bar": [1, 2, 3, 4]}, [remove("/bar")], {"foo": 1}),
    ({"foo": 1, "baz": _QUX}, [remove("/baz/0/qux")], {"foo": 1, "baz": [{}]}),
    ({"foo": None}, [remove("/foo")], {}),
    (1, [remove("")], None),
    ([1, 2, 3, 4], [remove("/0")], [2, 3, 4]),
    ([1, 2, 3, 4], [remove("/1"), remove("/2")], [1, 3]),
    # Replace.
    ({"foo": 1, "baz": _QUX}, [replace("/foo", [1, 2, 3, 4])], {"foo": [1, 2, 3, 4], "baz": _QUX}),
    ({"foo": 1, "baz": _QUX}, [replace("/baz/0/qux", "x")], {"foo": 1, "baz": [{"qux": "x"}]}),
    (["foo"], [replace("/0", "bar")], ["bar"]),
    ([""], [replace("/0", 0)], [0]),
    ([""], [replace("/0", value=True)], [True]),
    ([""], [replace("/0", value=False)], [False]),
    ([""], [replace("/0", None)], [None]),
    (["foo", "sil"], [replace("/1", ["bar", "baz"])], ["foo", ["bar", "baz"]]),
    ({"foo": "bar"}, [replace("", {"baz": "qux"})], {"baz": "qux"}),
    ("foo", [replace("", "bar")], "bar"),
    ({"foo": None}, [replace("/foo", "truthy")], {"foo": "truthy"}),
    ({"foo": "bar"}, [replace("/foo", None)], {"foo": None}),
    # Test.
    ({"1e0": "foo"}, [test("/1e0", "foo")], {"1e0": "foo"}),
    ({"foo": 1}, [test("/foo", 1, spurious=1)], {"foo": 1}),
    ({"foo": None}, [test("/foo", None)], {"foo": None}),
    (
        {"foo": {"foo": 1, "bar": 2}},
        [test("/foo", {"bar": 2, "foo": 1})],
        {"foo": {"foo": 1, "bar": 2}},
    ),
    (
        {"foo": [{"foo": 1, "bar": 2}]},
        [test("/foo", [{"bar": 2, "foo": 1}])],
        {"foo": [{"foo": 1, "bar": 2}]},
    ),
    (
        {"foo": {"bar": [1, 2, 5, 4]}},
        [test("/foo", {"bar": [1, 2, 5, 4]})],
        {"foo": {"bar": [1, 2, 5, 4]}},
    ),
    ({"foo": 1}, [test("", {"foo": 1})], {"foo": 1}),
    ({"": 1}, [test("/", 1)], {"": 1}),
    (_KEYS, _TESTS_OF_KEYS, _KEYS),
    # Move and copy.
    ({"foo": None}, [move("/foo", "/bar")], {"bar": None}),
    ({"foo": None}, [copy("/foo", "/bar")], {"foo": None, "bar": None}),
    ({"foo": 1}, [move("/foo", "/foo")], {"foo": 1}),
    ({"foo": 1, "baz": _QUX}, [move("/foo", "/bar")], {"baz": _QUX, "bar": 1}),
    ({"baz": _QUX, "bar": 1}, [move("/baz/0/qux", "/baz/1")], {"baz": [{}, "hello"], "bar": 1}),
    (
        {"baz": _QUX, "bar": 1},
        [copy("/baz/0", "/boo")],
        {"baz": _QUX, "bar": 1, "boo": {"qux": "hello"}},
    ),
    (
        {"foo": _NET},
        [copy("/foo", "/bak"), replace("/bak/bar/baz/0/boo", "qux")],
        {"foo": _NET, "bak": {"bar": {"baz": [{"boo": "qux"}]}}},
    ),
    (
        {"foo": _NET},
        [copy("/foo", "/bak"), replace("/foo/bar/baz/0/boo", "qux")],
        {"foo": {"bar": {"baz": [{"boo": "qux"}]}}, "bak": _NET},
    ),
    # RFC 6902, appendix A.
    ({"foo": "bar"}, [add("/baz", "qux")], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [add("/foo/1", "qux")], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [remove("/baz")], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [remove("/foo/1")], {"foo": ["bar", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [replace("/baz", "boo")], {"baz": "boo", "foo": "bar"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [move("/foo/waldo", "/qux/thud")],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [move("/foo/1", "/foo/3")],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [test("/baz", "qux"), test("/foo/1", 2)],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        {"foo": "bar"},
        [add("/child", {"grandchild": {}})],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    ({"foo": "bar"}, [add("/baz", "qux", xyz=123)], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [test("/~01", 10)], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [add("/foo/-", ["abc", "def"])], {"foo": ["bar", ["abc", "def"]]}),
]

# Each a document, the operations on it, and the rule that they break.
FAILING_CASES: list[tuple[Any, list[Any], str]] = [
    # Indices out of range, or none at all.
    ({"bar": [1, 2]}, [add("/bar/8", "5")], "not-found"),
    ({"bar": [1, 2]}, [add("/bar/-1", "5")], "index"),
    (["foo", "sil"], [add("/3", "bar")], "not-found"),
    (["foo", "sil"], [add("/bar", 42)], "index"),
    (["foo", "sil"], [add("/1e0", "bar")], "index"),
    (["foo", "bar"], [test("/1e0", "bar")], "index"),
    (["foo", "bar"], [test("/00", "foo")], "index"),
    (["foo", "bar"], [test("/01", "bar")], "index"),
    ({"foo": 1, "baz": _QUX}, [remove("/baz/1e0/qux")], "index"),
    ([1, 2, 3, 4], [remove("/1e0")], "index"),
    ([""], [replace("/1e0", value=False)], "index"),
    ({"baz": [1, 2, 3], "bar": 1}, [copy("/baz/1e0", "/boo")], "index"),
    ({"foo": 1, "baz": [1, 2, 3, 4]}, [move("/baz/1e0", "/foo")], "index"),
    (["foo", "bar"], [remove("/2")], "not-found"),
    # What an operation needs is not in the document.
    ({"q": {"bar": 2}}, [add("/a/b", 1)], "not-found"),
    ({"foo": "bar"}, [add("/baz/bat", "qux")], "not-found"),
    ({"bar": "baz"}, [replace("/foo/bar", value=False)], "not-found"),
    ({"foo": "bar"}, [remove("/baz")], "not-found"),
    ({"foo": "bar"}, [remove("/missing1/missing2")], "not-found"),
    ({"foo": 1}, [copy("/bar", "/foo")], "not-found"),
    ({"foo": 1}, [move("/bar", "/foo")], "not-found"),
    # The value is another one.
    ({"foo": {"bar": [1, 2, 5, 4]}}, [test("/foo", [1, 2])], "test"),
    ({"baz": "qux"}, [test("/baz", "bar")], "test"),
    ({"/": 9, "~1": 10}, [test("/~01", "10")], "test"),
    # The shape of the operation.
    ({}, [{"op": "add", "value": "bar"}], "required"),
    ({}, [{"op": "add", "path": None, "value": "bar"}], "pointer"),
    ({}, [add("foo", "bar")], "pointer"),
    ([1], [{"op": "add", "path": "/-"}], "required"),
    ([1], [{"op": "replace", "path": "/0"}], "required"),
    ([None], [{"op": "test", "path": "/0"}], "required"),
    ([False], [{"op": "test", "path": "/0"}], "required"),
    ([1], [{"op": "copy", "path": "/-"}], "required"),
    ({"foo": 1}, [{"op": "move", "path": ""}], "required"),
    ({"foo": 1}, [{"op": "spam", "path": "/foo", "value": 1}], "op"),
]

# Each a document, a merge patch, and what must come out.
MERGE_PATCH_CASES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
