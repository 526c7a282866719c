"""Each change has a file of its own, and all of them together make the changelog."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAGMENTS = sorted((ROOT / "changelog" / "unreleased").glob("*.md"))
KINDS = {"added", "changed", "deprecated", "removed", "fixed", "security"}


@pytest.mark.parametrize("file", FRAGMENTS, ids=lambda file: file.name)
def test_a_change_is_one_paragraph_of_a_known_kind(file: Path) -> None:
    assert file.name.split(".")[1:] in [[kind, "md"] for kind in KINDS]
    text = file.read_text()
    assert text.endswith(".\n")
    assert "\n\n" not in text
    assert not text.startswith(("-", "*"))


def test_a_release_takes_them_all_and_stands_above_the_former_one(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "changelog", tmp_path / "changelog")
    unreleased = tmp_path / "changelog" / "unreleased"

    def release(version: str) -> None:
        words = ("build", "--yes", "--version", version, "--date", "2026-12-01")
        subprocess.run([sys.executable, "-m", "towncrier", *words], cwd=tmp_path, check=True)

    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    release("0.2.0")
    assert list(unreleased.glob("*.md")) == []
    text = (tmp_path / "CHANGELOG.md").read_text()
    for file in FRAGMENTS:
        assert "- " + file.read_text().strip().replace("\n", "\n  ") in text
    assert "begin here -->\n\n## [0.2.0] - 2026-12-01\n\n### " in text
    (unreleased / "late.fixed.md").write_text("A later change.\n")
    release("0.3.0")
    text = (tmp_path / "CHANGELOG.md").read_text()
    later = "begin here -->\n\n## [0.3.0] - 2026-12-01\n\n### Fixed\n\n- A later change.\n\n"
    assert later + "## [0.2.0]" in text
