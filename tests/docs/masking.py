"""What may differ between two runs of a command is masked; everything else must be equal."""

import json
import re
from collections.abc import Callable

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:?\d\d:?\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} [\d:]{8} GMT"), "<time>"),
    (re.compile(r'(correlation[-_]id"?: ?"?)[0-9a-f]{32}'), r"\1<id>"),
    (re.compile(r'("next": ")[\w-]{20,}'), r"\1<cursor>"),
    (re.compile(r'("duration_ms": ?)[\d.]+'), r"\1<duration>"),
]
#: Headers that the pages leave out, unless they are what a page is about.
LEFT_OUT = {
    "date",
    "server",
    "content-length",
    "cache-control",
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
}


class Masks:
    """Masks for the outputs of one page. The same id gets the same number wherever it stands."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def apply(self, text: str) -> str:
        def number(found: re.Match[str]) -> str:
            return f"<id {self._numbers.setdefault(found[0], len(self._numbers) + 1)}>"

        text = UUID.sub(number, text)
        for pattern, replacement in MASKS:
            text = pattern.sub(replacement, text)
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def laid_out(text: str) -> str:
    """JSON with one layout, the order of members as it came; other text as it is."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return text


def _http(shown: set[str]) -> Callable[[str], str]:
    def lay_out(text: str) -> str:
        text = text.replace("\r", "").removeprefix("HTTP/1.1 100 Continue\n\n")
        head, _, body = text.partition("\n\n")
        status, *headers = head.splitlines()
        lines = [
            line
            for line in sorted(headers)
            if (name := line.partition(":")[0].lower()) not in LEFT_OUT or name in shown
        ]
        return "\n".join([status, *lines, "", laid_out(body)])

    return lay_out


def comparable(kind: str, expected: str, actual: str) -> tuple[str, str]:
    """Both in one layout, for a block of this kind."""
    if kind == "json":
        return laid_out(expected), laid_out(actual)
    if kind == "http":
        lay_out = _http({line.partition(":")[0].lower() for line in expected.splitlines()})
        return lay_out(expected), lay_out(actual)
    return expected, actual
