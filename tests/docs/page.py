"""A page of documentation as its commands and what they should print; runs nothing.

A `sh` block is run, and the `text`, `json` or `http` block directly after it is what it prints. A
comment directly before a block makes an exemption, with a reason:

    <!-- not run: it needs Docker -->
    <!-- not compared: an excerpt of a log -->
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^<!-- (?P<marker>not run|not compared): (?P<reason>[^\n]+?) -->\n\s*)?"
    r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: What a command may be followed by, if it prints something.
OUTPUTS = ("text", "json", "http")


@dataclass(frozen=True)
class Exemption:
    """A block that is not run, or an output that is compared with nothing."""

    page: str
    marker: str
    reason: str


@dataclass(frozen=True)
class Command:
    """A `sh` block, and the block that directly follows it with what it prints."""

    line: int
    script: str
    kind: str = ""
    output: str | None = None
    #: It prints something that cannot be compared.
    is_compared: bool = True


@dataclass(frozen=True)
class Page:
    """What a page says, in order."""

    path: Path
    commands: list[Command]
    exemptions: list[Exemption]
    #: Lines of outputs that follow no command and do not say why.
    stray: list[int]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def pages() -> list[Path]:
    """All pages that a reader may follow."""
    return [ROOT / "README.md", ROOT / "deploy/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def read(path: Path) -> Page:
    text = path.read_text()
    page = Page(path, [], [], [])
    pending: Command | None = None
    end = 0
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("kind")) + 1
        follows = not text[end : found.start()].strip()
        end = found.end()
        if found["marker"]:
            if pending and follows and found["marker"] == "not compared":
                page.commands[-1] = Command(pending.line, pending.script, is_compared=False)
            page.exemptions.append(Exemption(page.name, found["marker"], found["reason"]))
            pending = None
        elif found["kind"] == "sh":
            pending = Command(line, found["text"])
            page.commands.append(pending)
        elif found["kind"] in OUTPUTS:
            if pending and follows:
                page.commands[-1] = Command(
                    pending.line, pending.script, found["kind"], found["text"]
                )
            else:
                page.stray.append(line)
            pending = None
    return page
