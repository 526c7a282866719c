"""Settings that cannot be meant are refused before anything starts, and no secret is told."""

import pytest

from orchestrator.settings import Settings

SECRET = "s3cretword"
READABLE = [
    f"postgresql://user:{SECRET}@localhost/name",
    f"postgres://user:{SECRET}@localhost:5433/name?sslmode=require",
    f"postgresql://user:{SECRET}%23%2F%40%3F@[::1]:5432/name",
    f"postgresql://user:{SECRET}@one:5432,two:5433/name?target_session_attrs=read-write",
    f"postgresql://user:{SECRET}@/postgres?host=%2Ftmp%2Fsocket&port=5432",
    "postgresql:///name",
    "postgresql:///name?ssl_min_protocol_version=TLSv1.2&sslmode=verify-full&search_path=a",
    "postgresql://localhost",
]
UNREADABLE = [
    f"postgresql://user:{SECRET}#x@localhost/name",
    f"postgresql://user:{SECRET}/x@localhost/name",
    f"postgresql://user:{SECRET}?x@localhost/name",
    f"postgresql://user:{SECRET}@[::1/name",
    f"postgresql://user:{SECRET}@localhost:notaport/name",
    f"postgresql://user:{SECRET}@localhost:99999/name",
    f"postgresql://user:{SECRET}@localhost:0/name",
    f"postgresql://user:{SECRET}@one,,two/name",
    f"postgresql:///name?host=one:{SECRET}",
    "postgresql:///name?host=one,",
    f"postgresql:///name?port=5432?work_mem={SECRET}",
    f"postgresql:///name?host=%00{SECRET}",
    f"postgresql://user:{SECRET}@one:5432,two:{SECRET}/name",
    f"mysql://user:{SECRET}@localhost/name",
    f"user:{SECRET}@localhost",
    SECRET,
    f"postgresql://user@localhost/name?{SECRET}",
    *(
        f"postgresql://user@localhost/name?{name}={SECRET}"
        for name in (
            *("sslmode", "sslnegotiation", "target_session_attrs", "gsslib", "port"),
            *("ssl_min_protocol_version", "ssl_max_protocol_version"),
        )
    ),
]


def settings_on(url: str) -> Settings:
    return Settings(database_url=url, admin_token_sha256="", blob_store="file:///none")


@pytest.mark.parametrize("url", READABLE)
def test_a_database_url_that_a_driver_reads_is_taken(url: str) -> None:
    assert settings_on(url).database_url == url


@pytest.mark.parametrize("url", UNREADABLE)
def test_another_one_is_refused_in_one_line_without_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="database_url") as refusal:
        settings_on(url)
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)
