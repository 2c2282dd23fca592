"""Database addresses as people write them."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from slotwarden import InvalidArgument, create_engine, normalise_url


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p%40ss@h:5433/d?sslmode=require",
        "postgresql://u:p%40ss@h:5433/d?sslmode=require",
        "postgresql+psycopg2://u:p%40ss@h:5433/d?sslmode=require",
        make_url("postgresql://u:p%40ss@h:5433/d?sslmode=require"),
    ],
)
def test_what_people_write_means_psycopg2(url: str) -> None:
    found = normalise_url(url)
    assert found.render_as_string(hide_password=False) == (
        "postgresql+psycopg2://u:p%40ss@h:5433/d?sslmode=require"
    )
    assert found.get_dialect().driver == "psycopg2"


def test_another_driver_that_works_is_kept() -> None:
    assert normalise_url("postgresql+psycopg://h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@/d?host=/tmp/socket&port=5433",
        "postgresql://u@%2Ftmp%2Fsocket:5433/d",
        "postgresql://u@%2ftmp%2fsocket:5433/d",
    ],
)
def test_unix_sockets(url: str) -> None:
    found = normalise_url(url)
    assert found.query == {"host": "/tmp/socket", "port": "5433"}  # noqa: S108
    assert (found.host, found.username, found.database) == (None, "u", "d")
    assert normalise_url(found.render_as_string(hide_password=False)) == found


def test_several_hosts_are_kept() -> None:
    found = normalise_url("postgresql:///d?host=a:1&host=b:2&target_session_attrs=read-write")
    assert found.query["host"] == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("a:1,b:2", "a,b", "1,2"),
        ("a,b:2", "a,b", ",2"),
        ("[::1]:1,b:2", "::1,b", "1,2"),
    ],
)
def test_several_hosts_may_be_written_as_libpq_has_them(hosts: str, host: str, port: str) -> None:
    engine = create_engine(f"postgresql://u:p@{hosts}/d?target_session_attrs=read-write")
    _, parameters = engine.dialect.create_connect_args(engine.url)
    assert parameters == {
        "host": host,
        "port": port,
        "user": "u",
        "password": "p",
        "dbname": "d",
        "target_session_attrs": "read-write",
    }
    assert normalise_url(engine.url.render_as_string(hide_password=False)) == engine.url


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "postgresql+asyncpg://u:secret@h/d",
        "postgresql://u:secret@h:port/d",
        "postgresql://u:secret@h:port,i/d",
        "host=h password=secret",
        "",
    ],
)
def test_other_addresses_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        normalise_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


def test_the_callers_settings_come_before_the_defaults(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "77")
    url = normalise_url(database_url).update_query_dict({"keepalives_idle": "55"})
    engine = create_engine(url, connect_args={"fallback_application_name": "mine"})
    try:
        with engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            settings = driver.get_dsn_parameters()
    finally:
        engine.dispose()
    assert settings["keepalives_idle"] == "55"
    assert settings["fallback_application_name"] == "mine"
    assert settings.get("connect_timeout") != "10"


def test_sessions_are_named_and_speak_utf8(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        with engine.begin() as connection:
            name = normalise_url(database_url).database
            connection.exec_driver_sql(f'alter database "{name}" set client_encoding to latin1')
        engine.dispose()
        with engine.connect() as connection:
            shown = connection.exec_driver_sql(
                "select current_setting('application_name'), current_setting('client_encoding')"
            ).one()
    finally:
        engine.dispose()
    assert tuple(shown) == ("slotwarden", "UTF8")
