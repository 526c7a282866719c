"""Moments as they were written, in local time, and as ages."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.cli.times import age, shown_moment

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(milliseconds=400), "now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=119), "1 minute ago"),
        (timedelta(hours=25), "1 day ago"),
        (timedelta(days=364), "12 months ago"),
        (timedelta(days=800), "2 years ago"),
        (-timedelta(hours=3), "in 3 hours"),
    ],
)
def test_an_age_is_said_in_its_longest_unit(distance: timedelta, text: str) -> None:
    assert age(NOW - distance, NOW) == text


def test_local_time_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert shown_moment("2026-11-21T12:00:00.5Z", "local", NOW) == "2026-11-21 21:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "2026-11-21", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_stays_as_it_is(text: str) -> None:
    for style in ("relative", "rfc3339"):
        assert shown_moment(text, style, NOW) == text
