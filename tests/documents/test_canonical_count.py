"""What takes long to read is known by its text."""

import json

import pytest

from orchestrator.documents.canonical_count import size_of_reading

#: From here on work is done elsewhere.
LONG = 32 * 1024


@pytest.mark.parametrize("value", ["1", "0.123456", "1e22", "1e-300", '"bike 300"'])
def test_usual_texts_are_as_long_as_they_are(value: str) -> None:
    for count in (1, 2_000):
        text = f"[{','.join([value] * count)}]".encode()
        json.loads(text)
        assert size_of_reading(text) == len(text)


@pytest.mark.parametrize("number", ["1e300", "1E+300", "9.7e107", "-1e299"])
def test_numbers_with_large_exponents_take_long(number: str) -> None:
    """To read 31 KiB of them takes 70 ms."""
    text = f"[{','.join([number] * 1_000)}]".encode()
    assert len(text) < LONG < size_of_reading(text)


def test_of_a_long_text_nothing_is_counted() -> None:
    text = b"[" + b"1e300," * 1_000_000 + b"1]"
    assert size_of_reading(text) == len(text)
