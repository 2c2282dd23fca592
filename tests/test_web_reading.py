"""What the API tells of a channel's days, its feed, and its stream of changes."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from icalendar import Calendar

from sessions import Connect, call, query, session
from web_support import (
    CHANNEL,
    application,
    booked,
    client_of,
    coming,
    problem,
    served,
    states,
    wish,
)


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    with client_of(database_url) as made:
        yield made


def test_a_channel_tells_its_zone_and_what_its_types_take(
    client: httpx.Client, connect: Connect
) -> None:
    call(session(connect), "set_channel", p_channel="default", p_time_zone="Asia/Tokyo")
    found = client.get(CHANNEL).json()
    assert (found["time_zone"], found["posting_times"]) == (
        "Asia/Tokyo",
        ["10:00", "14:00", "18:00"],
    )
    assert [each["video_type"] for each in found["types"]] == ["final", "short"]
    assert {each["limit_id"] for each in found["types"][0]["charges"]} == {"final", "api_units"}
    ahead = dt.datetime.fromisoformat(found["local_now"]) - dt.datetime.now(dt.UTC).replace(
        tzinfo=None
    )
    assert abs(ahead - dt.timedelta(hours=9)) < dt.timedelta(minutes=1)


def test_blackouts_are_told_on_the_channels_clock(client: httpx.Client, connect: Connect) -> None:
    owner = session(connect)
    call(owner, "set_channel", p_channel="default", p_time_zone="Asia/Tokyo")
    day = coming()
    # The second ends after the last day of a calendar in Tokyo; the function would refuse it.
    for start, end in ((f"{day} 01:00Z", f"{day} 02:30Z"), ("-infinity", "9999-12-31 20:00Z")):
        query(
            owner,
            "insert into slotwarden.blackout (channel_id, from_time, to_time, reason)"
            " values ('default', %s, %s, 'the studio moves')",
            start,
            end,
        )
    endless, short = client.get(f"{CHANNEL}/blackouts").json()
    assert (endless["from_time"], endless["local_from"], endless["local_to"]) == (None, None, None)
    assert short == {
        "blackout_id": 1,
        "from_time": f"{day}T01:00:00Z",
        "to_time": f"{day}T02:30:00Z",
        "local_from": f"{day}T10:00:00",
        "local_to": f"{day}T11:30:00",
        "reason": "the studio moves",
    }
    assert client.get("/api/channels/nobody/blackouts").status_code == 404


def test_free_slots_are_those_of_the_days_that_were_asked_for(client: httpx.Client) -> None:
    booked(client, "10:00")
    asked: dict[str, Any] = {"type": "final", "from": coming().isoformat(), "count": 50}
    for days in (1, 2):
        found = client.get(f"{CHANNEL}/slots", params={**asked, "horizon_days": days}).json()
        assert found[0]["local_time"] == "14:00"
        assert {each["day"] for each in found} == {coming(30 + n).isoformat() for n in range(days)}


def test_limits_are_told_day_by_day(client: httpx.Client) -> None:
    booked(client, "10:00")
    booked(client, "11:00")
    day = coming().isoformat()
    status = {row["limit_id"]: row for row in client.get(f"{CHANNEL}/status?day={day}").json()}
    assert (status["final"]["used_units"], status["final"]["remaining_units"]) == (2, 0)
    assert status["api_units"]["time_zone"] == "America/Los_Angeles"
    usage = client.get(f"{CHANNEL}/usage", params={"from": day, "days": 2}).json()
    assert len(usage) == 2 * 3
    assert [row["resets_at"] for row in usage if row["limit_id"] == "final"] == [
        f"{coming(31)}T00:00:00Z",
        f"{coming(32)}T00:00:00Z",
    ]
    warnings = client.get(f"{CHANNEL}/warnings", params={"from": day}).json()
    assert [(row["limit_id"], row["used_percent"]) for row in warnings] == [("final", 100.0)]
    history = client.get(f"{CHANNEL}/history", params={"from": day, "to": day}).json()
    assert {row["limit_id"]: row["version"] for row in history} == {"final": 2, "api_units": 2}
    problem(client.get(f"{CHANNEL}/history?from={day}"), 422, "InvalidArgument")


def test_other_calendars_can_read_the_feed(client: httpx.Client) -> None:
    made = booked(client, video="films/ß, one; two.mp4")
    answer = client.get(f"{CHANNEL}/calendar.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    event: Any
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert event["uid"] == f"{made['reservation_id']}@slotwarden.slotwarden"
    assert event["summary"] == "final: films/ß, one; two.mp4"
    assert event["dtstart"].dt == dt.datetime.fromisoformat(made["scheduled_publish_time"])
    again = client.get(f"{CHANNEL}/calendar.ics", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    booked(client, "11:00")
    changed = client.get(
        f"{CHANNEL}/calendar.ics", headers={"if-none-match": answer.headers["etag"]}
    )
    assert changed.status_code == 200


def test_whatever_a_worker_calls_its_video_the_feed_can_be_read(
    client: httpx.Client, connect: Connect
) -> None:
    query(
        session(connect),
        "select slotwarden.complete_upload(s.reservation_id, s.lease_token, %s)"
        " from slotwarden.start_upload(%s) as s",
        "a/b\n",
        booked(client)["reservation_id"],
    )
    feed = client.get(f"{CHANNEL}/calendar.ics")
    event: Any
    (event,) = Calendar.from_ical(feed.content).walk("VEVENT")
    assert event["url"] == "https://youtu.be/a%2Fb%0A"


def test_a_change_is_told_to_those_who_look_at_its_days(database_url: str) -> None:
    with (
        application(database_url) as app,
        served(app) as address,
        httpx.Client(base_url=address, timeout=20, trust_env=False) as client,
    ):
        asked = {"from": coming().isoformat(), "days": "7"}
        with client.stream("GET", f"{CHANNEL}/events", params=asked) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            seen = states(answer)
            before = next(seen)
            made = booked(client)
            after_booking = next(seen)
            # A move within the day changes no balance.
            move = {"date": made["local_date"], "time": "20:00"}
            client.patch(f"/api/reservations/{made['reservation_id']}", json=move)
            after_move = next(seen)
        assert len({before, after_booking, after_move}) == 3
        problem(client.get("/api/channels/nope/events", params=asked), 404, "UnknownChannel")


def test_no_more_streams_than_allowed_and_their_end_makes_room(database_url: str) -> None:
    with (
        application(database_url, most_streams=1) as app,
        served(app) as address,
        httpx.Client(base_url=address, timeout=20, trust_env=False) as client,
    ):
        path = f"{CHANNEL}/events?from={coming()}"
        with client.stream("GET", path) as answer:
            # Kept: a stream ends with what reads it.
            following = states(answer)
            next(following)
            problem(client.get(path), 503, "TooManyStreams")
        ended = threading.Event()
        while app.state.live.streams:
            ended.wait(0.01)
        with client.stream("GET", path) as answer:
            assert next(states(answer)) is not None


def test_two_who_take_one_slot_at_the_same_moment(client: httpx.Client) -> None:
    first, second = booked(client, "10:00"), booked(client, "14:00", "short")
    start = threading.Barrier(2)
    answers: list[httpx.Response] = []

    def drop(reservation: dict[str, Any]) -> None:
        move = {"date": coming().isoformat(), "time": "16:00"}
        start.wait()
        answers.append(
            client.patch(f"/api/reservations/{reservation['reservation_id']}", json=move)
        )

    threads = [threading.Thread(target=drop, args=[each]) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert won.status_code == 200
    found = problem(lost, 409, "SlotTaken")
    assert found["fields"]["reservation_id"] == won.json()["reservation_id"]
    assert wish("16:00")["time"] not in found["hint"]
