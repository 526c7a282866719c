"""Names, digests, ids and settings: parsed once, at the edge."""

import pytest
from blake3 import blake3

from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.errors import InvalidInput
from orchestrator.models.name import parse_namespace, parse_tag
from orchestrator.settings import Settings


@pytest.mark.parametrize("size", [0, 1, 1_000, 300_000])
def test_a_cas_id_is_the_blake3_of_the_bytes(size: int) -> None:
    content = bytes(size)
    cas_id = CasId.of(content)
    assert str(cas_id) == f"blake3:{blake3(content).hexdigest()}"
    assert CasId.parse(str(cas_id)) == cas_id
    assert len(cas_id.raw) == 33
    assert hash(CasId(cas_id.raw)) == hash(cas_id)
    assert cas_id != str(cas_id)
    assert str(cas_id) in repr(cas_id)


@pytest.mark.parametrize("text", ["", "blake3", "blake3:" + "g" * 64, "BLAKE3:" + "0" * 64])
def test_a_text_that_is_no_cas_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        CasId.parse(text)


@pytest.mark.parametrize("text", ["default", "team/app", "a.b_c__d--e/f0", "x" * 255])
def test_a_namespace_is_a_repository_name(text: str) -> None:
    assert parse_namespace(text) == text


@pytest.mark.parametrize(
    "text", ["", "A", "a/", "/a", "a//b", "-a", "a-", "a..b", "a___b", "_global_", "é", "a" * 256]
)
def test_other_namespaces_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_namespace(text)
    assert refusal.value.errors[0].pointer == "/namespace"


def test_a_tag_ends_where_it_ends() -> None:
    with pytest.raises(InvalidInput):
        parse_tag("main\n")


def test_a_hostile_name_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput):
        parse_namespace("a-" * 100 + "!")


def test_ids_are_version_7_and_in_order() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert {each.version for each in ids} == {7}
    assert ids == sorted(ids)


REQUIRED = {
    "ORCHESTRATOR_BLOB_STORE": "file:///blobs",
    "ORCHESTRATOR_DATABASE_URL": "postgresql://x/y",
    "ORCHESTRATOR_ADMIN_TOKEN_SHA256": "0" * 64,
}


def test_settings_come_from_prefixed_variables() -> None:
    settings = Settings.from_environ(
        {
            **REQUIRED,
            "ORCHESTRATOR_WORKFLOW_BYTES_MAX": "5",
            "ORCHESTRATOR_ACCESS_LOG": "false",
            "ORCHESTRATOR_ALLOWED_HOSTS": "a.example, b.example",
            "ORCHESTRATOR_ALLOWED_ORIGINS": "",
            "ORCHESTRATOR_TOKEN": "the command line's, not ours",
            "PATH": "/bin",
        }
    )
    assert settings.workflow_bytes_max == 5
    assert settings.access_log is False
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.allowed_origins == ()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ORCHESTRATOR_WORKFLOW_BYTE_MAX": "5"}, "workflow_byte_max"),
        ({"ORCHESTRATOR_WORKFLOW_BYTES_MAX": "many"}, "workflow_bytes_max"),
        ({"ORCHESTRATOR_ACCESS_LOG": "yes"}, "access_log"),
        ({"ORCHESTRATOR_REBASE_ATTEMPTS_MAX": "0"}, "rebase_attempts_max"),
        ({"ORCHESTRATOR_MERGE_BASES_MAX": "1"}, "merge_bases_max"),
    ],
)
def test_a_misspelt_or_mistyped_variable_stops_the_start(
    changed: dict[str, str], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        Settings.from_environ({**REQUIRED, **changed})


def test_limits_that_contradict_each_other_stop_the_start() -> None:
    limits = {
        "ORCHESTRATOR_WORKFLOW_BYTES_MAX": "11",
        "ORCHESTRATOR_BLOB_INLINE_BYTES_MAX": "10",
        "ORCHESTRATOR_BLOB_BYTES_MAX": "10",
    }
    with pytest.raises(ValueError, match="workflow_bytes_max"):
        Settings.from_environ({**REQUIRED, **limits})


def test_a_log_level_that_there_is_not_stops_the_start() -> None:
    with pytest.raises(ValueError, match="log_level is one of"):
        Settings.from_environ({**REQUIRED, "ORCHESTRATOR_LOG_LEVEL": "loud"})


def test_a_missing_variable_stops_the_start() -> None:
    with pytest.raises(ValueError, match="database_url"):
        Settings.from_environ({})
