"""Canonical JSON: what is refused and where, and that the fast way equals RFC 8785 to the byte."""

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.canonical import (
    DEPTH_MAX,
    JSONValue,
    canonicalise,
    parse,
)
from orchestrator.errors import VIOLATIONS_MAX, InvalidInput, TooLarge
from tests.documents.json_texts import FLOATS, VALUES, places, read, refusals


def test_the_example_of_rfc_8785_gives_the_bytes_of_the_rfc() -> None:
    body = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert (
        canonicalise(read(body))
        == (
            '{"literals":[null,true,false],'
            '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_sort_by_utf_16_as_in_the_example_of_rfc_8785() -> None:
    body = r"""{"\u20ac": "Euro Sign", "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji: Grinning",
      "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}"""
    keys = list(json.loads(canonicalise(read(body))))
    assert keys == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


@pytest.mark.parametrize(
    ("bits", "spelled"),
    [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0xFFEFFFFFFFFFFFFF, "-1.7976931348623157e+308"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x44B52D02C7E14AF7, "1.0000000000000001e+23"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0x41B3DE4355555557, "333333333.33333343"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_in_appendix_b_of_rfc_8785(bits: int, spelled: str) -> None:
    number = float(struct.unpack(">d", bits.to_bytes(8, "big"))[0])
    assert canonicalise(number) == spelled.encode()
    assert canonicalise(read(spelled)) == spelled.encode()


@given(VALUES)
def test_canonical_bytes_are_those_of_the_reference_implementation(value: JSONValue) -> None:
    assert canonicalise(value) == rfc8785.dumps(value)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_was_read_is_written_and_read_again_as_the_same(
    value: JSONValue, ensure_ascii: Any, indent: Any
) -> None:
    once = read(json.dumps(value, ensure_ascii=ensure_ascii, indent=indent))
    assert once == value
    content = canonicalise(once)
    assert read(content) == once
    assert canonicalise(read(content)) == content


@given(st.text('[]{}",:\\0123456789.eE+-truefalsn \n\0\x1f\ud800é', max_size=30))
def test_what_is_no_json_is_refused_and_what_is_json_reads_as_the_standard_says(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    try:
        value = read(body)
    except InvalidInput:
        return
    assert value == json.loads(body)


@given(FLOATS | st.floats())
def test_a_float_is_refused_exactly_when_its_canonical_form_cannot_be_read(number: float) -> None:
    try:
        content = canonicalise(number)
    except InvalidInput:
        with pytest.raises((InvalidInput, rfc8785.CanonicalizationError)):
            read(rfc8785.dumps(number))
    else:
        assert read(content) == number


@pytest.mark.parametrize("spelled", ["1", "1.0", "1e0", "10e-1", "0.1e1"])
def test_spellings_of_one_number_have_one_canonical_form(spelled: str) -> None:
    value = read(f'{{"a": [{spelled}, {{"b": {spelled}}}]}}')
    assert repr(value) == "{'a': [1, {'b': 1}]}"
    assert canonicalise(value) == b'{"a":[1,{"b":1}]}'


@pytest.mark.parametrize("spelled", ["0", "-0", "0.0", "-0.0", "-0e5", "1e-400"])
def test_all_zeros_are_the_integer_zero(spelled: str) -> None:
    assert repr(read(spelled)) == "0"


def test_a_value_put_together_by_hand_is_not_changed() -> None:
    value: JSONValue = {"b": [1.0, -0.0], "a": 1e-7}
    assert canonicalise(value) == b'{"a":1e-7,"b":[1,0]}'
    assert repr(value) == "{'b': [1.0, -0.0], 'a': 1e-07}"


@pytest.mark.parametrize(
    ("body", "pointers", "rule"),
    [
        ('{"a":1,"b":2,"a":3}', ["/a"], "duplicate-key"),
        ('{"a~/b":[{"c":1,"\\u0063" : 2}]}', ["/a~0~1b/0/c"], "duplicate-key"),
        ('{"a":{"a":1},"b":{"x":1,"x":1,"x":1}}', ["/b/x", "/b/x"], "duplicate-key"),
        ('[NaN,{"a":Infinity},-Infinity]', ["/0", "/1/a", "/2"], "not-finite"),
        ('{"a":1e400,"b":-1e309}', ["/a", "/b"], "not-finite"),
        ("[9007199254740992,-9007199254740992,1e17]", ["/0", "/1", "/2"], "integer-range"),
        ('{"a":[18446744073709551616,9007199254740993.0]}', ["/a/0", "/a/1"], "integer-range"),
        ('["\\ud800",{"a":"\\udc00\\ud800"},"\\ud83d\\ude00"]', ["/0", "/1/a"], "lone-surrogate"),
        ('{"a":{"x\\ud800y":1}}', ["/a/x?y"], "lone-surrogate"),
        ('{"a":"x\\u0000y","b":"\\\\u0000"}', ["/a"], "nul"),
        ('[{"\\u0000":1}]', ["/0/\0"], "nul"),
    ],
)
def test_every_forbidden_value_is_named_by_its_pointer(
    body: str, pointers: list[str], rule: str
) -> None:
    assert places(refusals(body)) == [(place, rule) for place in pointers]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("", "line 1, column 1"),
        ("[1,\n 2,]", "line 2, column 4"),
        ('{"a":1}\n x', "line 2, column 2"),
        ('{"a" 1}', "line 1, column 6"),
        ("[01]", "line 1, column 3"),
        ("\0", "line 1, column 1"),
        ('["a\0"]', "line 1, column 4"),
        ("'a'", "line 1, column 1"),
        ("1 2", "line 1, column 3"),
    ],
)
def test_a_syntax_error_is_named_by_line_and_column(body: str, place: str) -> None:
    [violation] = refusals(body)
    assert (violation.pointer, violation.rule) == ("", "syntax")
    assert place in violation.message


@pytest.mark.parametrize("body", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'{"\xff":1}'])
def test_invalid_utf_8_is_named_by_its_byte(body: bytes) -> None:
    [violation] = refusals(body)
    assert violation.rule == "utf-8"
    assert f"byte {body.find(bytes([max(body)]))}" in violation.message


def test_a_byte_order_mark_is_refused() -> None:
    [violation] = refusals(b"\xef\xbb\xbf{}")
    assert violation.rule == "syntax"
    assert "byte order mark" in violation.message


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_the_depth_is_limited_and_the_first_level_too_many_is_named(
    opened: str, closed: str
) -> None:
    inner = opened.replace("[", "[1") if opened == "[" else '{"a":1'
    at_limit = opened * (DEPTH_MAX - 1) + inner + closed * DEPTH_MAX
    assert canonicalise(read(at_limit)) == at_limit.encode()
    [violation] = refusals(opened * DEPTH_MAX + inner + closed * (DEPTH_MAX + 1))
    assert violation.rule == "depth"
    assert violation.pointer == ("/0" if opened == "[" else "/a") * DEPTH_MAX


@pytest.mark.parametrize("body", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"":' * 100_000])
def test_a_very_deep_body_is_refused_without_a_crash(body: str) -> None:
    assert places(refusals(body)) == [("", "depth")]


@pytest.mark.parametrize(
    ("number", "rule"),
    [("9" * 10_000_000, "integer-range"), ("9" * 10_000_000 + ".5", "not-finite")],
)
def test_a_number_of_ten_million_digits_is_refused_at_once(number: str, rule: str) -> None:
    assert places(refusals(f'{{"a":[{number}]}}')) == [("/a/0", rule)]


def test_text_that_only_looks_like_an_escaped_nul_is_accepted() -> None:
    content = rb'{"a":["\\u0000",1.5,1,true,null]}'
    spaced = content.replace(b"1,", b"1.0, ")
    assert read(spaced) == {"a": ["\\u0000", 1.5, 1, True, None]}
    assert canonicalise(read(spaced)) == content


def test_a_body_over_the_limit_is_too_large_whatever_it_holds() -> None:
    assert parse(b"[1]", bytes_max=3) == [1]
    with pytest.raises(TooLarge) as refused:
        parse(b"[1]x", bytes_max=3, kind="patch")
    assert (refused.value.kind, refused.value.limit_bytes) == ("patch", 3)


def test_the_kind_stands_in_the_message() -> None:
    with pytest.raises(InvalidInput, match="The patch is not valid JSON"):
        parse(b"[", bytes_max=9, kind="patch")


def test_the_list_of_violations_is_bounded() -> None:
    found = refusals("[" + "NaN," * 10 * VIOLATIONS_MAX + "1]")
    assert len(found) == VIOLATIONS_MAX + 1
    assert [violation.rule for violation in found[-2:]] == ["not-finite", "more-violations"]


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"a":1,}',
            "[1,]",
            '{"a"}',
            '{"a":}',
            "{1:2}",
            '{"a":1 "b"',
            '["a" "b"]',
            "[1}",
            '{"a":1]',
        ),
        *('["\\x"]', '["\\u12"]', '["\\u12g4"]', '["a', '["a\\', '{"a', '{"a\\q":1}', "[-]"),
        *(
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[tru]",
            "[nul",
            "[",
            "{",
            '{"a":1',
            "]",
            "1 2",
            '["\t"]',
        ),
    ],
)
def test_an_error_of_syntax_is_told_as_the_standard_library_does(body: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(body)
    [violation] = refusals(body)
    assert violation.message.endswith(
        f"{expected.value.msg.removesuffix(' at')} at line 1, column {expected.value.colno}."
    )


@pytest.mark.parametrize(
    ("value", "place", "rule"),
    [
        ({"a": [math.nan]}, "/a/0", "not-finite"),
        ({"a": 10**5000}, "/a", "integer-range"),
        ({"a": 1e17}, "/a", "integer-range"),
        ({"a": "\ud800"}, "/a", "lone-surrogate"),
        ({"a": "\0"}, "/a", "nul"),
    ],
)
def test_a_value_that_could_not_be_read_again_is_not_written(
    value: JSONValue, place: str, rule: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        canonicalise(value)
    assert places(refused.value.errors) == [(place, rule)]


def test_a_value_that_nests_too_deep_or_in_itself_is_not_written() -> None:
    value: list[JSONValue] = []
    value.append(value)
    with pytest.raises(InvalidInput) as refused:
        canonicalise(value)
    assert places(refused.value.errors) == [("/0" * DEPTH_MAX, "depth")]


def test_what_is_no_json_value_is_an_error_of_the_program() -> None:
    forbidden: Any = {"a": (1, 2)}
    with pytest.raises(TypeError, match="tuple"):
        canonicalise(forbidden)
