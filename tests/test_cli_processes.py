"""The command as a process of its own: exit codes, streams, signals, the embedded server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from cli_support import call, command, environment, run, waiting_backend
from slotwarden.cli.psql import connection_string
from support import Connect, query, session

DAY = "2035-03-05"


def test_results_are_on_stdout_and_everything_else_on_stderr(database_url: str) -> None:
    booked = run(database_url, "reserve", DAY, "final", "10:00", "--json")
    assert (booked.code, booked.err) == (0, "")
    assert booked.json["video_type"] == "final"
    taken = run(database_url, "reserve", DAY, "final", "10:00")
    assert (taken.code, taken.out) == (1, "")
    assert "Traceback" not in taken.err


def test_no_database_is_exit_code_3_without_a_traceback() -> None:
    done = run("postgresql://nobody@localhost:1/nothing", "status", "--json")
    assert done.code == 3
    assert done.json["error"]["exit_code"] == 3
    assert "Traceback" not in done.err


def test_a_lock_not_got_in_time_is_exit_code_4(database_url: str, connect: Connect) -> None:
    holder = session(connect, autocommit=False)
    query(holder, "select slotwarden.reserve_slot(%s, 'final', '10:00')", DAY)
    query(
        session(connect),
        "alter function slotwarden.reserve_slot(date, text, time, text, text, text)"
        " set lock_timeout = '50ms'",
    )
    done = run(database_url, "reserve", DAY, "final", "11:00")
    assert done.code == 4
    assert "55P03" in done.err


def test_ctrl_c_ends_with_130_and_books_nothing(database_url: str, connect: Connect) -> None:
    holder = session(connect, autocommit=False)
    query(holder, "select slotwarden.reserve_slot(%s, 'final', '10:00')", DAY)
    observer = session(connect)
    name = "cli-interrupted"
    with subprocess.Popen(
        command("reserve", DAY, "final", "11:00"),
        env=environment(database_url, PGAPPNAME=name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        backend = waiting_backend(observer, name)
        process.send_signal(signal.SIGINT)
        # Delivered when the call returns: psycopg2 waits inside libpq.
        query(observer, "select pg_cancel_backend(%s)", backend)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    holder.rollback()
    assert query(observer, "select * from slotwarden.calendar(%s, 1)", DAY) == []


def test_a_reader_that_goes_away_is_no_traceback(database_url: str) -> None:
    for as_json in ([], ["--json"]):
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run(
            command("status", *as_json),
            env=environment(database_url),
            stdout=writes,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writes)
        assert (done.returncode, done.stderr) == (141, "")


def test_psql_finds_the_functions_and_passes_arguments_on(
    database_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = f"select local_date, upload_status from reserve_slot('{DAY}', 'final', '10:00')"
    done = run(database_url, "psql", "--", "-At", "-c", booking)
    assert (done.code, done.out, done.err) == (0, f"{DAY}|scheduled\n", "")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=3MB")
    assert call(database_url, "psql", "-Atc", "show work_mem").code == 0
    assert capfd.readouterr().out == "3MB\n"
    failed = call(database_url, "psql", "-v", "ON_ERROR_STOP=1", "-c", "select nonsense")
    assert failed.code == 1
    assert "nonsense" in capfd.readouterr().err


def test_psql_reads_standard_input(database_url: str) -> None:
    done = run(database_url, "psql", stdin="select count(*) as bookings from reservation;\n")
    assert done.out.split()[:3] == ["bookings", "----------", "0"]


def test_psql_is_given_odd_schemas_and_options_of_the_url(
    database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = 'a "b" \\ c'
    call(
        f"{database_url}&options=-c%20work_mem%3D3MB", "--schema", odd,
        "psql", "-Atc", "show search_path", "-c", "show work_mem",
    )  # fmt: skip
    assert capfd.readouterr().out == '"a ""b"" \\ c",public\n3MB\n'


def test_the_password_is_not_among_the_arguments_of_psql() -> None:
    url = "postgresql://me:s%40crét@db.example:5433/it's?sslmode=require"
    dsn, hidden, options = connection_string(url)
    assert hidden == "s@crét"
    assert "crét" not in dsn
    assert options is None
    assert parse_dsn(dsn) == {
        "host": "db.example", "port": "5433", "user": "me", "dbname": "it's", "sslmode": "require",
    }  # fmt: skip


def test_the_embedded_server_is_set_up_at_first_use_and_keeps_its_data(
    embedded_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = call(None, "reserve", DAY, "final", "10:00", "--video", "kept.mp4")
    assert first.code == 0
    assert "Installing slotwarden" in first.err
    second = call(None, "calendar", "--from", DAY, "--json")
    assert (second.code, second.err) == (0, "")
    assert [entry["video_path"] for entry in second.json] == ["kept.mp4"]
    through_psql = call(None, "psql", "-Atc", "select video_path from calendar('2035-03-05', 1)")
    assert through_psql.code == 0
    assert capfd.readouterr().out == "kept.mp4\n"
    assert (embedded_home / "data").is_dir()
    # An empty variable names no database.
    assert call("", "db", "current", "--json").json["revision"] is not None


def test_two_commands_may_be_the_first(embedded_home: Path) -> None:
    assert embedded_home.is_dir()
    both = [
        subprocess.Popen(
            command("reserve", DAY, "final", f"{hour}:00"),
            env=environment(None),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for hour in (10, 11)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    entries = call(None, "calendar", "--from", DAY, "--json").json
    assert len(entries) == 2


def test_without_binaries_it_is_told_what_to_do(
    embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(embedded_home))
    done = call(None, "status")
    assert done.code == 3
    assert "SLOTWARDEN_PG_BIN" in done.err


def test_the_command_is_installed() -> None:
    script = Path(sys.executable).with_name("slotwarden")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("slotwarden ")
    assert os.access(script, os.X_OK)
