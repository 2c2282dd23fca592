"""Reading a CSV of videos: which rows there are, on which lines, and what is wrong with others."""

from __future__ import annotations

import datetime as dt

import pytest

from slotwarden.exceptions import InvalidArgument
from slotwarden.importer import Columns, Row, UnusableFile, VideoFile, read_videos
from slotwarden.importer.groups import grouped
from slotwarden.importer.rows import parse_time

HEADER = "channel,type,publish_time,video\n"


def read(text: str, *, shift_days: int = 0) -> VideoFile:
    return read_videos((HEADER + text).encode(), Columns(), shift_days=shift_days)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2027-03-01T10:00", dt.datetime(2027, 3, 1, 10)),  # noqa: DTZ001
        (" 2027-03-01 10:00:59 ", dt.datetime(2027, 3, 1, 10, 0, 59)),  # noqa: DTZ001
        ("2027-03-01T10:00:00.000Z", utc(2027, 3, 1, 10)),
        ("2027-03-01 10:00:30,5z", utc(2027, 3, 1, 10, 0, 30, 500_000)),
        ("2027-03-01 10:00 +0100", utc(2027, 3, 1, 9)),
        ("2027-03-01T10:00-05", utc(2027, 3, 1, 15)),
    ],
)
def test_times_are_instants_or_on_the_channels_clock(text: str, time: dt.datetime) -> None:
    parsed = parse_time(text)
    assert parsed == time
    assert (parsed.tzinfo is None) == (time.tzinfo is None)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2027-03-01", "2027-02-29T10:00", "2027-03-01T24:00", "2027-03-01T10:00:60",
     "01.03.2027 10:00", "2027-03-01T10:00 CET", "1898622000"],
)  # fmt: skip
def test_what_is_no_time_is_told_with_its_line(text: str) -> None:
    videos = read(f"a,final,{text},v1\na,final,2027-03-01T10:00,v2\n")
    assert [row.video for row in videos.rows] == ["v2"]
    (bad,) = videos.bad
    assert bad.line == 2
    assert repr(text) in bad.reason


def test_seconds_are_cut_and_not_rounded() -> None:
    (row,) = read("a,final,2027-03-01T10:00:59.999Z,v\n").rows
    assert row.slot == utc(2027, 3, 1, 10, 0)
    assert row.publish_time.second == 59


def test_days_are_added_to_the_instant_or_to_the_date() -> None:
    instant, local = read(
        "a,final,2027-03-01T23:30-01:00,v\na,final,2027-03-27 02:30,w\n", shift_days=1
    ).rows
    assert instant.publish_time == utc(2027, 3, 3, 0, 30)
    assert local.publish_time == dt.datetime(2027, 3, 28, 2, 30)  # noqa: DTZ001


def test_bad_rows_do_not_stop_the_others() -> None:
    videos = read(
        ",final,2027-03-01T10:00,v\n"
        "a,,2027-03-01T10:00,v\n"
        "a,final,2027-03-01T10:00,  \n"
        "a,final,2027-03-01T10:00\n"
        "a,final,2027-03-01T10:00,v,more\n"
        "\n"
        "a,final,9999-12-31T23:59-12:00,v\n"
        "a,final,2027-03-01T10:00,good\n"
    )
    assert [(row.line, row.video) for row in videos.rows] == [(9, "good")]
    assert [bad.line for bad in videos.bad] == [2, 3, 4, 5, 6, 8]
    assert "channel is empty" in videos.bad[0].reason
    assert "only 3 columns" in videos.bad[3].reason


def test_quotes_line_breaks_marks_and_other_columns() -> None:
    content = (
        "\ufefftitle,video,channel,publish_time,type\r\n"
        '"two\nlines, and a ""quote""",v1,"NBA Highlights · YouTube",2027-03-01T10:00,final\r\n'
        "x,v2,원더케이,2027-03-01T11:00,short\r\n"
    ).encode()
    videos = read_videos(content, Columns())
    assert videos.header[0] == "title"
    assert [(row.line, row.channel) for row in videos.rows] == [
        (2, "NBA Highlights · YouTube"),
        (4, "원더케이"),
    ]
    assert videos.rows[0].cells[0] == 'two\nlines, and a "quote"'


def test_names_are_taken_to_the_letter() -> None:
    composed, decomposed = read(
        "Bjo\u0308rk,final,2027-03-01T10:00,v\nBj\u00f6rk,final,2027-03-01T10:00,v\n"
    ).rows
    assert composed.channel != decomposed.channel


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no column 'channel'"),
        (b"channel,type,when,video\n", "no column 'publish_time' among channel, type, when, video"),
        (b"channel,type,publish_time,video,video\n", "several columns 'video'"),
        (HEADER.encode() + b"a,final,2027-03-01T10:00,v\n\xff,,,\n", "line 3 is not UTF-8"),
        (HEADER.encode() + b'a,final,2027-03-01T10:00,"v\n', "begins on line 2 is not CSV"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(content: bytes, told: str) -> None:
    with pytest.raises(UnusableFile, match=told):
        read_videos(content, Columns())


def test_keys_know_a_row_again_but_not_its_twin() -> None:
    first, twin, other = read(
        "a,final,2027-03-01T10:00:05Z,v\na,final,2027-03-01T10:00:50Z,v\na,short,2027-03-01T10:00Z,v\n"
    ).rows
    assert len({first.request_key, twin.request_key, other.request_key}) == 3
    (moved,) = read("a,final,2027-02-28T11:00:09+01:00,v\n", shift_days=1).rows
    assert moved.request_key == first.request_key
    (local,) = read("a,final,2027-03-01T10:00,v\n").rows
    assert local.request_key != first.request_key
    assert all(len(row.request_key) <= 200 for row in (first, twin))


def by_channel(*rows: Row) -> list[str]:
    return [row.channel for row in rows]


def test_channels_are_together_when_they_share_a_limit_even_by_way_of_others() -> None:
    rows = read("".join(f"{name},final,2027-03-0{day}T10:00Z,v\n" for day, name in
                        enumerate("dbaecf", start=1))).rows  # fmt: skip
    limits = {
        "a": frozenset({"a/final", "pool"}),
        "b": frozenset({"b/final", "pool", "team"}),
        "c": frozenset({"team"}),
        "d": frozenset({"d/final"}),
        "e": None,
        "f": frozenset[str](),
    }
    groups = grouped(rows, limits, {})
    assert by_channel(*groups[0].rows) == ["b", "a", "c"]
    assert sorted(by_channel(*group.rows) for group in groups[1:]) == [["d"], ["e"], ["f"]]
    assert [group.new_channel for group in groups if group.new_channel] == ["e"]


def test_rows_are_ordered_by_instant_whatever_clock_they_are_written_on() -> None:
    rows = read(
        "Seoul,final,2027-03-01 10:00,s\n"  # 01:00 UTC
        "York,final,2027-02-28 20:30,y\n"  # 01:30 UTC
        "York,final,2027-03-01T01:15Z,z\n"
        "Seoul,final,2027-03-01T01:15:00.5Z,t\n"
        "York,final,2027-03-01T02:15+01:00,last\n"
    ).rows
    limits = {"Seoul": frozenset({"pool"}), "York": frozenset({"pool"})}
    zones = {"Seoul": "Asia/Seoul", "York": "America/New_York"}
    (group,) = grouped(rows, limits, zones)
    assert [row.video for row in group.rows] == ["s", "z", "last", "t", "y"]


def test_an_order_that_cannot_be_known_is_not_guessed() -> None:
    limits = {"a": frozenset({"pool"}), "b": frozenset({"pool"})}
    alone = read("a,final,2027-03-01 10:00,v\na,final,2027-03-01 09:00,w\n").rows
    (group,) = grouped(alone, {"a": frozenset({"pool"})}, {})
    assert [row.video for row in group.rows] == ["w", "v"]
    mixed = read("a,final,2027-03-01 10:00,v\nb,final,2027-03-01 09:00,w\n").rows
    with pytest.raises(InvalidArgument, match="line 2"):
        grouped(mixed, limits, {"b": "UTC"})
