"""Every way to install gives the same database, goes down and comes up again, side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.script import ScriptDirectory
from psycopg2.extensions import quote_ident

from conftest import ServerAddress
from installing import (
    AWKWARD,
    WAYS,
    database_name,
    dump,
    install_with_psql,
    run_program,
    run_sql,
)
from slotwarden import create_engine, migrations
from slotwarden.migrations import Roles
from support import (
    Connect,
    PgConnection,
    assert_consistent,
    attempt,
    call,
    coming_day,
    query,
    reserve,
    scalar,
    session,
)


@pytest.fixture
def another_database(server: ServerAddress, empty_database_url: str) -> Iterator[Callable[[], str]]:
    """Make further empty databases."""
    made: list[str] = []
    name = database_name(empty_database_url)

    def make() -> str:
        made.append(f"{name}_{len(made)}")
        janitor = server.janitor(made[-1])
        janitor.init()
        return server.url(made[-1])

    yield make
    for each in made:
        server.janitor(each).drop()


def _revisions() -> list[str]:
    script = ScriptDirectory.from_config(migrations._config("slotwarden", None))
    return [each.revision for each in script.walk_revisions()][::-1]


@pytest.mark.parametrize("schema", ["slotwarden", AWKWARD])
def test_every_way_to_install_gives_the_same_database(
    another_database: Callable[[], str], schema: str
) -> None:
    dumps = {}
    for way, install in WAYS.items():
        url = another_database()
        install(url, schema)
        assert migrations.current(url, schema=schema) == migrations.head()
        dumps[way] = dump(url)
    assert any("GRANT ALL ON FUNCTION" in line for line in dumps["psql"])
    assert any(line.startswith("COMMENT ON CONSTRAINT") for line in dumps["psql"])
    assert dumps["psql"] == dumps["alembic"]
    assert dumps["offline"] == dumps["alembic"]


def test_an_engine_in_autocommit_installs_into_the_schema_all_the_same(
    empty_database_url: str,
) -> None:
    engine = create_engine(empty_database_url, isolation_level="AUTOCOMMIT")
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.head()
    engine.dispose()
    made = "select distinct schemaname from pg_tables where schemaname !~ '^(pg_|information_)'"
    assert run_sql(empty_database_url, made) == "slotwarden\n"


def test_every_revision_goes_down_and_comes_up_again_with_data(
    empty_database_url: str, connect: Connect
) -> None:
    url = empty_database_url
    before: list[list[str]] = []
    for revision in _revisions():
        migrations.upgrade(url, revision=revision)
        before.append(dump(url, "--schema-only"))
        _put_data(connect, url)
    for revision, expected in zip(_revisions()[-2::-1], before[-2::-1], strict=True):
        migrations.downgrade(url, revision=revision)
        assert dump(url, "--schema-only") == expected
    assert_consistent(session(connect, dsn=url))
    migrations.upgrade(url)
    assert dump(url, "--schema-only") == before[-1]
    db = session(connect, dsn=url)
    assert_consistent(db)
    assert scalar(db, "select count(*) from slotwarden.reservation") == 2 * len(before)


def _put_data(connect: Connect, url: str) -> None:
    db = session(connect, dsn=url)
    booked = scalar(db, "select count(*) from slotwarden.reservation")
    day = coming_day(db, 30 + booked)
    # Every upload starts today, one a revision.
    query(db, "update slotwarden.daily_limit set max_units = 1000000 where limit_id = 'api_units'")
    kept = reserve(db, day, "final", "20:00", video=f"{booked}.mp4", key=f"k{booked}")
    gone = reserve(db, day, "short", "21:00")
    call(db, "cancel_reservation", p_reservation_id=gone.reservation_id)
    query(
        db,
        "update slotwarden.reservation set upload_status = 'uploading' where reservation_id = %s",
        kept.reservation_id,
    )
    call(db, "override_day", p_limit="final", p_day=day, p_max=1)
    query(
        db,
        "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
        " values ('default', '2000-01-01', '2000-01-02', 'holidays')",
    )
    db.close()


@pytest.mark.parametrize("install", ["psql", "alembic"])
def test_everything_goes_down_and_can_be_installed_again(
    database_url: str, connect: Connect, install: str
) -> None:
    _put_data(connect, database_url)
    fresh = dump(database_url, "--schema-only")
    migrations.downgrade(database_url, revision="base")
    left = run_sql(
        database_url,
        "select relname from pg_class where relnamespace = 'slotwarden'::regnamespace"
        " and relname !~ '^alembic_version'"
        " union all select proname from pg_proc where pronamespace = 'slotwarden'::regnamespace"
        " union all select typname from pg_type where typnamespace = 'slotwarden'::regnamespace"
        " and typname !~ 'alembic_version'",
    )
    assert left == ""
    assert migrations.current(database_url) is None
    WAYS[install](database_url)
    assert dump(database_url, "--schema-only") == fresh
    _put_data(connect, database_url)


def test_an_upgrade_keeps_the_lock_budgets_that_were_set(
    empty_database_url: str, connect: Connect
) -> None:
    migrations.upgrade(empty_database_url, revision=_revisions()[0])
    db = session(connect, dsn=empty_database_url)
    functions = query(
        db,
        "select oid::regprocedure::text as name from pg_proc"
        " where pronamespace = 'slotwarden'::regnamespace"
        " and array_to_string(proconfig, ' ') ~ 'lock_timeout'",
    )
    assert len(functions) > 5
    for each in functions:
        query(db, f"alter function {each.name} set lock_timeout = '9s'")
    migrations.upgrade(empty_database_url)
    lost = [
        each.name
        for each in functions
        if "lock_timeout=9s"
        not in scalar(db, "select proconfig from pg_proc where oid = %s::regprocedure", each.name)
    ]
    assert lost == []


def test_a_dump_is_restored_whole_and_goes_on(
    database_url: str, empty_database_url: str, connect: Connect
) -> None:
    _put_data(connect, database_url)
    run_sql(empty_database_url, run_program("pg_dump", database_url))
    assert dump(empty_database_url) == dump(database_url)
    _put_data(connect, empty_database_url)
    assert_consistent(session(connect, dsn=empty_database_url))


def test_two_workspaces_of_one_database_are_independent(
    database_url: str, connect: Connect
) -> None:
    install_with_psql(database_url, AWKWARD)
    db = session(connect)
    day = coming_day(db)
    other = f"{quote_ident(AWKWARD, db)}."
    for at in ("10:00", "11:00"):
        reserve(db, day, "final", at)
        query(db, f"select from {other}reserve_slot('{day}', 'final', '{at}')")
    refused = attempt(db, f"select from {other}reserve_slot('{day}', 'final', '12:00')")
    assert refused.sqlstate == "SWLIM"
    migrations.downgrade(database_url, revision="base")
    assert scalar(db, f"select count(*) from {other}reservation") == 2
    assert query(db, f"select from {other}usage_drift") == []
    booked = query(db, f"select * from {other}reserve_slot('{day}', 'short', '12:00')")[0]
    assert booked.video_type == "short"


def _until(watcher: PgConnection, waiting: int, sql: str) -> None:
    for _ in range(20_000):
        if scalar(watcher, sql) >= waiting:
            return
    pytest.fail(f"not {waiting}: {sql}")


_UPGRADE = """
import sys
from threading import Thread
from slotwarden import migrations

threads = [Thread(target=migrations.upgrade, args=sys.argv[1:2]) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.daemon = True
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize(("processes", "threads"), [(2, 1), (1, 2)])
def test_installations_of_the_same_schema_at_once_are_one(
    empty_database_url: str, connect: Connect, processes: int, threads: int
) -> None:
    gate = session(connect, dsn=empty_database_url)
    query(gate, "select pg_advisory_lock(hashtext('slotwarden'), hashtext('slotwarden'))")
    command = [sys.executable, "-c", _UPGRADE, empty_database_url, str(threads)]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(processes)]
    try:
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        _until(gate, processes, waiting)
        query(gate, "select pg_advisory_unlock_all()")
        for run in runs:
            assert run.communicate(timeout=20)[1] == b""
    finally:
        for run in runs:
            run.kill()
            run.communicate()
    assert migrations.current(empty_database_url) == migrations.head()


def test_installations_of_two_databases_at_once_share_the_roles(
    another_database: Callable[[], str], empty_database_url: str, connect: Connect
) -> None:
    prefix = database_name(empty_database_url)
    roles = Roles(*(f"{prefix}_{purpose}" for purpose in ("owner", "app", "reader", "admin")))
    # Both see no role, and both are at creating it.
    gate = session(connect, dsn=empty_database_url, autocommit=False)
    query(gate, f"create role {roles.owner} nologin")
    watcher = session(connect, dsn=empty_database_url)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(install_with_psql, url, "slotwarden", roles)
            for url in (another_database(), another_database())
        ]
        _until(
            watcher,
            2,
            "select count(*) from pg_stat_activity where"
            f" {gate.info.backend_pid} = any (pg_blocking_pids(pid))",
        )
        gate.commit()
        for run in runs:
            run.result()
    gone = query(watcher, "select rolname from pg_roles where starts_with(rolname, %s)", prefix)
    assert len(gone) == 4
