"""What the API does and how it refuses, against a real PostgreSQL, as the application's role."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from zoneinfo import ZoneInfoNotFoundError

import httpx
import pytest

from sessions import Connect, query, session
from web_support import CHANNEL, RESERVATIONS, booked, client_of, coming, problem, wish


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    with client_of(database_url) as made:
        yield made


def test_a_slot_is_booked_once_and_shown(client: httpx.Client) -> None:
    answer = client.post(RESERVATIONS, json=wish(video="a.mp4"))
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    made = answer.json()
    assert (made["local_time"], made["upload_status"]) == ("10:00", "scheduled")
    assert made["created_by"] == "slotwarden_app"
    assert "lease_token" not in made

    taken = problem(client.post(RESERVATIONS, json=wish(kind="short")), 409, "SlotTaken")
    assert taken["sqlstate"] == "SWTKN"
    assert taken["fields"]["reservation_id"] == made["reservation_id"]
    assert "next free slot" in taken["hint"]

    shown = client.get(f"{CHANNEL}/calendar", params={"from": made["local_date"], "days": 1}).json()
    assert [entry["reservation_id"] for entry in shown["entries"]] == [made["reservation_id"]]
    assert shown["entries"][0]["etag"] == '"1"'


def test_a_zone_that_python_lacks_does_not_hide_a_booking(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    # PostgreSQL reads zones of its own, which may be newer.
    monkeypatch.setattr("slotwarden.channels.ZoneInfo", unknown)
    monkeypatch.setattr("slotwarden.models.ZoneInfo", unknown)
    made = booked(client, "10:00")
    assert (made["local_date"], made["local_time"]) == (coming().isoformat(), "10:00")
    assert made["time_zone"] == "UTC"


def test_an_instant_is_booked_with_its_offset(client: httpx.Client) -> None:
    body = {"type": "final", "publish_time": f"{coming()}T12:00:00+02:00"}
    assert client.post(RESERVATIONS, json=body).json()["local_time"] == "10:00"


def test_a_reached_limit_is_429_until_its_reset(client: httpx.Client) -> None:
    booked(client, "10:00")
    booked(client, "11:00")
    answer = client.post(RESERVATIONS, json=wish("12:00"))
    found = problem(answer, 429, "DailyLimitReached")
    assert found["fields"]["limit"] == "final"
    assert (found["fields"]["used"], found["fields"]["max"]) == (2, 2)
    assert dt.datetime.fromisoformat(found["resets_at"]).date() == coming(31)
    resets_in = dt.datetime.fromisoformat(found["resets_at"]) - dt.datetime.now(dt.UTC)
    assert abs(int(answer.headers["retry-after"]) - resets_in.total_seconds()) < 60
    # A move names no channel, and is told the same.
    other = booked(client, "10:00", "final", 31)
    moved = client.patch(
        f"/api/reservations/{other['reservation_id']}",
        json={"date": coming().isoformat(), "time": "15:00"},
    )
    assert "retry-after" in moved.headers
    problem(moved, 429, "DailyLimitReached")


def test_the_next_free_slot_is_booked_after_those_before_it(client: httpx.Client) -> None:
    body = {"type": "final", "from": coming().isoformat()}
    times = [client.post(f"{RESERVATIONS}/next", json=body).json() for _ in range(3)]
    assert [(each["local_date"], each["local_time"]) for each in times] == [
        (coming().isoformat(), "10:00"),
        (coming().isoformat(), "14:00"),
        (coming(31).isoformat(), "10:00"),
    ]


def test_a_version_that_is_not_current_is_409(client: httpx.Client) -> None:
    made = booked(client)
    where = f"/api/reservations/{made['reservation_id']}"
    move = {"date": made["local_date"], "time": "15:00"}
    first = client.patch(where, json=move, headers={"if-match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    stale = client.patch(where, json={**move, "time": "16:00"}, headers={"if-match": '"1"'})
    assert problem(stale, 409, "StaleVersion")["fields"]["version"] == 2
    problem(client.delete(where, headers={"if-match": '"1"'}), 409, "StaleVersion")
    problem(client.delete(where, headers={"if-match": 'W/"2"'}), 422)
    gone = client.delete(where, headers={"if-match": '"2"'})
    assert gone.json()["upload_status"] == "cancelled"


def test_the_same_key_books_once(client: httpx.Client) -> None:
    key = {"idempotency-key": "order-17"}
    first = client.post(RESERVATIONS, json=wish(), headers=key)
    again = client.post(RESERVATIONS, json=wish(), headers=key)
    assert first.json()["reservation_id"] == again.json()["reservation_id"]
    other = client.post(RESERVATIONS, json=wish("11:00"), headers=key)
    problem(other, 422, "RequestKeyReused")


def test_a_batch_is_all_or_nothing_or_each_by_itself(client: httpx.Client) -> None:
    wishes = [wish("10:00"), wish("10:00"), wish("11:00")]
    refused = client.post("/api/batch", json={"requests": wishes})
    assert problem(refused, 409, "SlotTaken")["fields"]["item"] == 2
    key = {"idempotency-key": "week-1"}
    body = {"requests": wishes, "all_or_nothing": False}
    first = client.post("/api/batch", json=body, headers=key).json()
    assert [item["outcome"] for item in first["results"]] == ["reserved", "SWTKN", "reserved"]
    assert first["reserved"] == 2
    again = client.post("/api/batch", json=body, headers=key).json()
    assert again == first


def test_a_failed_upload_gets_another_time(client: httpx.Client, connect: Connect) -> None:
    made = booked(client)
    owner = session(connect)
    query(
        owner,
        "select slotwarden.fail_upload(s.reservation_id, s.lease_token, 'no network')"
        " from slotwarden.start_upload(%s) as s",
        made["reservation_id"],
    )
    where = f"/api/reservations/{made['reservation_id']}"
    move = {"date": coming(31).isoformat(), "time": "14:00"}
    problem(client.patch(where, json=move), 409, "IllegalTransition")
    again = client.post(f"{where}/retry", json=move).json()
    assert (again["attempt"], again["local_time"]) == (2, "14:00")


BAD: list[dict[str, object]] = [
    {"type": "final"},
    {"type": "final", "date": "2035-03-05"},
    {"type": "final", "date": "2035-03-05", "time": "24:00"},
    {"type": "final", "date": "2035-03-05", "time": "10:00+02:00"},
    {"type": "final", "date": "2035-03-05", "time": "10:00:30"},
    {"type": "final", "date": 5, "time": "10:00"},
    {"type": "final", "publish_time": "2035-03-05T10:00:00"},
    {"type": "final", "date": "2035-03-05", "time": "10:00", "more": 1},
    {"type": "no such type", "date": "2035-03-05", "time": "10:00"},
    {"type": "final", "date": "2005-03-05", "time": "10:00"},
    {"type": "final", "date": "2035-03-05", "time": "10:00", "video": "a\0b"},
    {"type": "final", "date": "2035-03-05", "time": "10:00", "video": "\ud800"},
]


def test_bad_input_is_422_and_books_nothing(client: httpx.Client) -> None:
    for body in BAD:
        raw = json.dumps(body).encode()
        answer = client.post(
            RESERVATIONS, content=raw, headers={"content-type": "application/json"}
        )
        problem(answer, 422)
    assert client.get(f"{CHANNEL}/history").json() == []
    entries = client.get(f"{CHANNEL}/calendar", params={"from": "2035-03-05"}).json()["entries"]
    assert entries == []


def test_what_is_not_there_is_404(client: httpx.Client) -> None:
    problem(client.get("/api/channels/nope/calendar"), 404, "UnknownChannel")
    problem(client.delete("/api/reservations/123456"), 404, "ReservationNotFound")
    problem(client.get("/api/nothing"), 404)


def test_a_method_that_is_not_there_is_told_all_that_are(client: httpx.Client) -> None:
    for method, path, allowed in (
        ("GET", "/api/reservations/1", {"PATCH", "DELETE"}),
        ("PUT", "/api/channels", {"GET"}),
        ("GET", "/api/session", {"POST", "DELETE"}),
        ("GET", "/api/batch", {"POST"}),
        ("DELETE", "/", {"GET"}),
        ("DELETE", "/static/js/main.js", {"GET", "HEAD"}),
    ):
        refused = client.request(method, path)
        problem(refused, 405)
        assert set(refused.headers["allow"].split(", ")) == allowed, path


def test_what_the_calendar_shows_is_what_if_match_takes(client: httpx.Client) -> None:
    made = booked(client)
    asked = {"from": made["local_date"], "days": 1}
    (read,) = client.get(f"{CHANNEL}/calendar", params=asked).json()["entries"]
    assert read["etag"] == f'"{read["version"]}"'
    where = f"/api/reservations/{made['reservation_id']}"
    move = {"date": made["local_date"], "time": "15:00"}
    moved = client.patch(where, json=move, headers={"if-match": read["etag"]})
    assert moved.status_code == 200
    problem(client.delete(where, headers={"if-match": read["etag"]}), 409, "StaleVersion")
    (again,) = client.get(f"{CHANNEL}/calendar", params=asked).json()["entries"]
    assert again["etag"] == moved.headers["etag"] != read["etag"]
