"""``slotwarden import``: what it refuses, whose clock it reads, what a later run says."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

from sqlalchemy import Engine

from cli_support import call
from slotwarden import Scheduler
from support import Connect, query, scalar, session

ROWS = (
    "channel,type,publish_time,video\n"
    "default,final,2035-03-05 10:00,v1\n"
    "default,final,2035-03-06 11:00,v2\n"
    "default,final,2035-03-07 10:00,v3\n"
)


def test_refused_rows_are_written_with_all_their_columns(database_url: str, tmp_path: Path) -> None:
    content = (
        "note,channel,type,publish_time,video\n"
        '"a, b",default,final,2035-03-05T10:00,v1\n'
        "x,default,final,2035-03-05T10:00:59,v2\n"
        "x,default,podcast,2035-03-05T11:00,v3\n"
        "x,nobody,final,2035-03-05T11:00,v4\n"
        "x,default,final,whenever,v5\n"
        "x,default,final,2001-01-01T00:00,v6\n"
        "x,default\n"
    )
    (tmp_path / "in.csv").write_text(content, encoding="utf-8")
    refused = tmp_path / "refused.csv"
    done = call(database_url, "import", tmp_path / "in.csv", "--refused", refused)
    assert done.code == 1
    written = list(csv.DictReader(io.StringIO(refused.read_text(encoding="utf-8"))))
    assert list(written[0]) == [
        "note", "channel", "type", "publish_time", "video", "sqlstate", "reason",
    ]  # fmt: skip
    assert [(row["video"], row["sqlstate"]) for row in written] == [
        ("v2", "SWTKN"), ("v3", "SWTYP"), ("v4", "SWCHN"), ("v5", "SWARG"), ("v6", "SWPST"),
        ("", "SWARG"),
    ]  # fmt: skip
    assert "2035-03-05 10:00" in written[0]["reason"]
    for line in "345678":
        assert f"│    {line} │" in done.out

    corrected = refused.read_text(encoding="utf-8").replace(
        "2035-03-05T10:00:59", "2035-03-05T12:00"
    )
    (tmp_path / "again.csv").write_text(corrected, encoding="utf-8")
    again = call(database_url, "import", tmp_path / "again.csv", "--refused", refused)
    assert again.code == 1
    assert refused.read_text(encoding="utf-8").count("sqlstate") == 1
    assert "v2" not in refused.read_text(encoding="utf-8")


def test_the_refused_file_may_not_be_the_file_itself(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text(ROWS, encoding="utf-8")
    before = file.read_bytes()
    assert call(database_url, "import", file, "--refused", file).code == 2
    unwritable = call(database_url, "import", file, "--refused", tmp_path / "none" / "r.csv")
    assert unwritable.code == 2
    assert file.read_bytes() == before


def test_local_times_are_on_each_channels_clock(database_url: str, engine: Engine) -> None:
    scheduler = Scheduler(engine)
    scheduler.create_channel("Seoul", time_zone="Asia/Seoul")
    content = (
        "channel,type,publish_time,video\n"
        "Seoul,final,2035-03-05T01:00:30Z,v2\n"
        "Seoul,final,2035-03-05 10:00,v1\n"
        "York,final,2035-03-11 02:30,v3\n"
        "York,final,2035-03-11 03:30,v4\n"
    )
    done = call(
        database_url, "import", "-", "--create-channels", "--time-zone", "America/New_York",
        "--json", stdin=content,
    )  # fmt: skip
    assert done.json["refused"] == {"SWTKN": 1, "SWGAP": 1}
    (seoul,) = scheduler.calendar(dt.date(2035, 3, 5), 1, channel="Seoul")
    assert (seoul.video_path, seoul.publish_time.isoformat()) == ("v1", "2035-03-05T01:00:00+00:00")
    (york,) = scheduler.calendar(dt.date(2035, 3, 11), 1, channel="York")
    assert (york.video_path, york.time_zone) == ("v4", "America/New_York")


def test_all_booked_is_exit_code_0_and_what_a_person_cancelled_stays_so(
    database_url: str, engine: Engine
) -> None:
    content = b"channel,type,publish_time,video\ndefault,final,2035-03-05T10:00Z,v1\n"
    done = call(database_url, "import", "-", "--json", stdin=content)
    assert (done.code, done.json["booked"]) == (0, 1)
    (entry,) = Scheduler(engine).calendar(dt.date(2035, 3, 5), 1)
    Scheduler(engine).cancel_reservation(entry.reservation_id)
    again = call(database_url, "import", "-", "--json", stdin=content)
    assert (again.code, again.json["refused"]) == (1, {"SWSTA": 1})
    assert Scheduler(engine).calendar(dt.date(2035, 3, 5), 1) == []


def test_a_later_run_gives_the_reason_that_held_in_its_turn(database_url: str) -> None:
    # v3 is one final too many; the short that then gets its minute must not become its reason.
    # v5 finds its minute taken by v4; that v5 is booked later must not become its reason.
    content = (
        "channel,type,publish_time,video\n"
        "default,final,2035-03-05T09:00,v1\n"
        "default,final,2035-03-05T10:00,v2\n"
        "default,final,2035-03-05T11:00,v3\n"
        "default,short,2035-03-05T11:00,v4\n"
        "default,short,2035-03-05T11:00:30,v5\n"
        "default,final,2035-03-06T11:00,v5\n"
    )
    first = call(database_url, "import", "-", "--json", stdin=content).json
    assert [(row["line"], row["sqlstate"]) for row in first["not_booked"]] == [
        (4, "SWLIM"),
        (6, "SWTKN"),
    ]
    second = call(database_url, "import", "-", "--json", stdin=content).json
    assert second["not_booked"] == first["not_booked"]
    assert second["booked_before"] == first["booked_now"] == 4


def test_a_row_that_is_new_in_the_file_is_refused_for_what_is_there(database_url: str) -> None:
    header = "channel,type,publish_time,video\n"
    later = "default,short,2035-03-05T11:00:30,v2\n"
    call(database_url, "import", "-", stdin=header + later)
    earlier = "default,short,2035-03-05T11:00,v1\n"
    done = call(database_url, "import", "-", "--json", stdin=header + earlier + later).json
    assert done["refused"] == {"SWTKN": 1}
    assert done["booked_before"] == 1


def test_an_import_as_the_application_needs_no_table_rights(
    database_url: str, connect: Connect
) -> None:
    admin = session(connect)
    name = scalar(admin, "select 'import_' || current_database()")
    query(admin, f"create role {name} login")
    try:
        query(admin, f"grant slotwarden_app to {name}")
        url = database_url.replace("postgresql://postgres@", f"postgresql://{name}@")
        content = "channel,type,publish_time,video\ndefault,final,2035-03-05 10:00,v1\n"
        done = call(url, "import", "-", "--json", stdin=content)
        assert (done.code, done.json["booked"]) == (0, 1)
        forbidden = call(
            url, "import", "-", "--create-channels", stdin=content.replace("default", "x")
        )
        assert forbidden.code == 3
        assert "42501" in forbidden.err
    finally:
        query(admin, f"drop role {name}")


def test_it_stops_at_a_lock_that_it_does_not_get_and_says_so(
    database_url: str, connect: Connect
) -> None:
    holder = session(connect, autocommit=False)
    query(holder, "select slotwarden.reserve_slot('2035-03-06', 'final', '10:00')")
    query(
        session(connect),
        "alter function slotwarden.reserve_slot(date, text, time, text, text, text)"
        " set lock_timeout = '20ms'",
    )
    done = call(database_url, "import", "-", stdin=ROWS)
    assert done.code == 4
    assert "Stopped after 1 of 3 rows" in done.err
    holder.rollback()
    again = call(database_url, "import", "-", "--json", stdin=ROWS).json
    assert (again["booked"], again["booked_before"]) == (3, 1)


def test_the_example_file_books_and_shows_each_reason(database_url: str) -> None:
    example = Path(__file__).parents[1] / "examples" / "videos.csv"
    done = call(database_url, "import", example, "--create-channels", "--json").json
    assert done["booked"] == 7
    assert done["refused"] == {"SWDUP": 1, "SWLIM": 1, "SWTKN": 1, "SWTYP": 1}
    assert done["bad_rows"] == 1
