"""``slotwarden doctor``: each illness is made, found, and told with what to do."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import make_url

from cli_support import call
from slotwarden import migrations
from slotwarden.embedded import EmbeddedServer
from support import APP, READER, Connect, WaitUntilBlocked, background, be_patient, query, session

DAY = "2035-03-05"
_SECONDS = 30
# Of the tests' server, which need not survive a crash.
_CARELESS = {"fsync", "full_page_writes", "synchronous_commit"}
# PostgreSQL's own defaults, which the embedded server does not have.
_RISKY_DEFAULTS = ("client_connection_check_interval", "idle_in_transaction_session_timeout")


def examined(url: str, *arguments: str) -> tuple[int, Any]:
    done = call(url, "doctor", "--json", *arguments)
    return done.code, done.json


def findings(url: str, check: str) -> list[Any]:
    _, told = examined(url)
    return [finding for finding in told["findings"] if finding["check"] == check]


def as_role(url: str, role: str, *options: str) -> str:
    wanted = " ".join(f"-c {option}" for option in (f"role={role}", *options))
    return make_url(url).update_query_dict({"options": wanted}).render_as_string()


def with_risky_defaults(url: str) -> str:
    wanted = " ".join(f"-c {name}=0" for name in _RISKY_DEFAULTS)
    return make_url(url).update_query_dict({"options": wanted}).render_as_string()


def test_the_embedded_server_is_sound_and_exit_code_0() -> None:
    durable = dict.fromkeys(_CARELESS, "on")
    with EmbeddedServer(durable=False, settings=durable) as server:
        migrations.upgrade(server.url())
        done = call(server.url(), "doctor")
        assert (done.code, done.err) == (0, "")
        assert "Nothing was found." in done.out
        careless = "options=-c%20synchronous_commit%3Doff"
        code, told = examined(f"{server.url()}&{careless}")
        assert code == 1
        assert [finding["found"].split()[0] for finding in told["findings"]] == [
            "synchronous_commit"
        ]


def test_versions_and_risky_settings_are_told(database_url: str) -> None:
    risky_url = with_risky_defaults(database_url)
    code, told = examined(risky_url)
    assert code == 1
    assert told["revision"] == told["head"] == migrations.head()
    assert told["not_looked_at"] == {}
    assert {finding["check"] for finding in told["findings"]} == {"settings"}
    names = {finding["found"].split()[0] for finding in told["findings"]}
    assert names == _CARELESS | set(_RISKY_DEFAULTS)
    shown = call(risky_url, "doctor").prose
    assert "fsync is off" in shown
    assert "alter system set fsync = 'on'" in shown


def test_what_is_set_for_the_applications_role_is_no_finding(
    database_url: str, connect: Connect
) -> None:
    database = make_url(database_url).database
    query(
        session(connect),
        f"alter role {APP} in database {database} set idle_in_transaction_session_timeout = '10s'",
    )
    told = findings(with_risky_defaults(database_url), "settings")
    names = {finding["found"].split()[0] for finding in told}
    assert names == _CARELESS | {"client_connection_check_interval"}


def test_a_database_without_slotwarden_is_told(empty_database_url: str) -> None:
    code, told = examined(empty_database_url)
    assert (code, told["revision"]) == (1, None)
    assert told["findings"][0]["check"] == "installation"
    assert "slotwarden db upgrade" in told["findings"][0]["advice"]


def test_migrations_that_wait_are_named(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url, revision="0002")
    (found,) = findings(empty_database_url, "migrations")
    assert found["found"].startswith("not applied yet: 0003")
    assert str(migrations.head()) in found["found"]


def test_a_revision_from_the_future_is_told(database_url: str, connect: Connect) -> None:
    query(session(connect), "update slotwarden.alembic_version set version_num = '9999'")
    (found,) = findings(database_url, "migrations")
    assert "does not know" in found["found"]


def test_drift_zones_and_triggers_that_are_off_are_found(
    database_url: str, connect: Connect
) -> None:
    call(database_url, "reserve", DAY, "final", "10:00")
    owner = session(connect)
    query(owner, "set session_replication_role = replica")
    query(owner, "delete from slotwarden.reservation")
    query(owner, "update slotwarden.channel set time_zone = 'Mars/Base'")
    query(owner, "alter table slotwarden.reservation disable trigger user")
    (drift,) = findings(database_url, "usage drift")
    assert "the reservation is gone" in drift["found"]
    assert f"slotwarden recalculate --from {DAY}" in drift["advice"]
    (zone,) = findings(database_url, "zones")
    assert "Mars/Base of channel default" in zone["found"]
    off = findings(database_url, "triggers")
    assert off
    assert "enable trigger" in off[0]["advice"]


def test_a_booking_that_waits_long_is_told_with_its_blocker(
    database_url: str, connect: Connect, wait_until_blocked: WaitUntilBlocked
) -> None:
    be_patient(session(connect), "reserve_slot")
    holder = session(connect, autocommit=False)
    query(holder, "select slotwarden.reserve_slot(%s, 'final', '10:00')", DAY)
    waiting = background(
        session(connect), "reserve_slot", p_date=DAY, p_type="final", p_time="11:00"
    )
    wait_until_blocked(waiting.pid)
    deadline = time.monotonic() + _SECONDS
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        found = findings(database_url, "lock waits")
    holder.rollback()
    assert f"process {waiting.pid} waits for" in found[0]["found"]
    assert str(holder.info.backend_pid) in found[0]["advice"]
    assert waiting.outcome.sqlstate is None


def test_lock_timeouts_that_do_not_bound_are_found(database_url: str, connect: Connect) -> None:
    owner = session(connect)
    query(owner, "alter function slotwarden.cancel_reservation set lock_timeout = 0")
    query(owner, "alter function slotwarden.lock_day set lock_timeout = '800ms'")
    (unbound,) = findings(database_url, "lock timeout")
    assert unbound["found"].endswith(": cancel_reservation")
    (late,) = findings(database_url, "deadlock timeout")
    assert late["found"].endswith(": lock_day")


@pytest.mark.parametrize(
    ("role", "unseen"),
    [
        (APP, {"migrations", "usage drift", "lock waits", "zones"}),
        (READER, {"migrations", "zones"}),
    ],
)
def test_what_a_role_may_not_see_is_told(database_url: str, role: str, unseen: set[str]) -> None:
    _, told = examined(as_role(database_url, role))
    assert (told["role"], set(told["not_looked_at"])) == (role, unseen)
    assert {finding["check"] for finding in told["findings"]} == {"settings"}


def test_the_applications_role_may_forecast_with_the_channels_lead(database_url: str) -> None:
    assert call(database_url, "channel", "set", "default", "--lead", "2h").code == 0
    done = call(as_role(database_url, APP), "forecast", "final=3", "--from", DAY, "--json")
    assert (done.code, done.json["upload_lead"]) == (0, 7200)
