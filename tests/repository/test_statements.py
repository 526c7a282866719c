"""Every SQL constant of the product against the migrated schema."""

import importlib
import pkgutil
from types import ModuleType

import msgspec
import pytest

import orchestrator.repository
from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact
from orchestrator.models.rate import RateCount
from orchestrator.models.tag import Landing, Tag, TagMove, TagReference
from orchestrator.models.tag_search import NamedMove, NamedTag
from orchestrator.models.workflow import WorkflowEntry
from orchestrator.repository.upkeep.backup import Export

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(orchestrator.repository.__path__, "orchestrator.repository.")
]
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def statements(module: ModuleType) -> list[tuple[str, str]]:
    constants = [
        (name, value)
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_")  # Fragments are no statements.
    ]
    exports = [each for _, value in constants for each in _exports(value)]
    return [
        (name, value)
        for name, value in constants
        if isinstance(value, str) and value.split(maxsplit=1)[0] in VERBS
    ] + [(f"{each.table}-{len(each.columns)}", each.select) for each in exports]


def _exports(value: object) -> list[Export]:
    """What a backup reads is a statement with the names of its columns."""
    found = value if isinstance(value, tuple) else (value,)
    return [each for each in found if isinstance(each, Export)]


ALL = [
    pytest.param(sql, id=f"{module.__name__.rpartition('.')[2]}.{name}")
    for module in MODULES
    for name, sql in statements(module)
]


def test_there_are_statements_to_check() -> None:
    assert len(ALL) > 30


@pytest.mark.parametrize("sql", ALL)
async def test_every_statement_prepares_on_the_migrated_schema(sql: str, conn: Connection) -> None:
    await conn.prepare(sql)


@pytest.mark.parametrize(
    ("module", "name", "struct"),
    [
        ("artifact", "GET", Artifact),
        ("artifact", "LIST_CHAIN", Artifact),
        ("tag", "GET", Tag),
        ("tag_move", "GET_MOVE", TagMove),
        ("tag_move", "LIST_MOVES", NamedMove),
        ("move_search", "LIST", NamedMove),
        ("tag_step", "LIST_UNDO", Landing),
        ("tag_step", "LIST_REDO", Landing),
        ("artifact", "LIST_VERSIONS", Artifact),
        ("artifact_lineage", "LIST_COMMON_ANCESTORS", Artifact),
        ("tag_move", "LIST_BY_TARGET", TagReference),
        ("tag_search", "LIST", NamedTag),
        ("tag_search", "LIST_AT", NamedTag),
        ("workflow", "LIST", WorkflowEntry),
        ("workflow", "LIST_AT", WorkflowEntry),
        ("rate", "COUNT", RateCount),
    ],
)
async def test_a_statement_returns_the_fields_of_its_struct(
    module: str, name: str, struct: type[msgspec.Struct], conn: Connection
) -> None:
    found = importlib.import_module(f"orchestrator.repository.{module}")
    prepared = await conn.prepare(getattr(found, name))
    columns = {attribute.name for attribute in prepared.get_attributes()}
    assert columns - {"looked", "is_wanted"} == set(struct.__struct_fields__)
