"""The rules of the layers that imports alone do not show."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

PACKAGE = Path(__file__).parent.parent / "orchestrator"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SQL = re.compile(r"\b(SELECT\s.+\bFROM|INSERT INTO|UPDATE\s+\w+\s+SET|DELETE FROM)\b", re.DOTALL)
#: Of the migrations' own bookkeeping: alembic owns that table, not a repository. And of a file of
#: a backup, which is SQLite's.
SQL_OUTSIDE = {"migration.py", "migrate.py", "inline.py"}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def strings(path: Path) -> list[str]:
    return [
        node.value
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_sql_stands_in_repositories_only() -> None:
    places = {
        str(path.relative_to(PACKAGE)): found
        for path in SOURCES
        if "repository" not in path.parts and path.name not in SQL_OUTSIDE
        if (found := [text for text in strings(path) if SQL.search(text)])
    }
    assert places == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(PACKAGE)) for path in SOURCES if not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """import-linter sees circles between folders, and those inside a folder, not longer ones."""
    graph = grimp.build_graph("orchestrator")
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    assert list(TopologicalSorter(imports).static_order())  # Else it raises, and names the circle.


def test_the_composition_root_is_thin_and_decides_nothing() -> None:
    source = (PACKAGE / "app.py").read_text()
    assert source.count("\n") <= 200
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.If)]


@pytest.mark.parametrize("layer", ["repository", "service"])
def test_a_concept_of_the_store_has_the_same_file_in_each_layer(layer: str) -> None:
    names = {path.stem for path in (PACKAGE / layer).glob("*.py")}
    assert {"artifact", "cas", "tag"} <= names


def test_nothing_but_the_settings_and_the_entry_points_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        if "os.environ" in path.read_text() and path.parent.name != "cli"
    }
    assert readers <= {
        "app.py",
        "core/own_module.py",  # It passes the environment on to another process.
        "server/parent.py",
        "server/migrate.py",
        "server/migrate_child.py",
    }
