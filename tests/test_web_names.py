"""Channels whose names hold what means something in a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from sessions import Connect, call, session
from slotwarden.web.paths import WholeSegments, name_in
from web_support import TOKEN, client_of, coming, problem, states, wish

# The last two would be another route's, or open to the feed's token, if their slash counted.
NAMES = (
    "team/news?x#y%41",
    "a%2Fb",
    "a/b",
    "100%",
    "with a space; ß",
    "default/calendar",
    "default/calendar.ics",
)


def path_of(name: str) -> str:
    return f"/api/channels/{quote(name, safe='')}"


@pytest.fixture
def channels(connect: Connect) -> tuple[str, ...]:
    owner = session(connect)
    for name in NAMES:
        call(owner, "create_channel", p_channel=name, p_time_zone="Asia/Tokyo")
    return NAMES


@pytest.fixture
def client(database_url: str, channels: tuple[str, ...]) -> Iterator[httpx.Client]:
    del channels
    with client_of(database_url) as made:
        yield made


def test_every_channel_of_the_picker_can_be_read(client: httpx.Client) -> None:
    picked = client.get("/api/channels").json()["channels"]
    assert set(picked) == {*NAMES, "default"}
    for name in NAMES:
        shown = client.get(path_of(name)).json()
        assert (shown["channel"], shown["time_zone"]) == (name, "Asia/Tokyo")
        for what in ("status", "calendar", "usage", "warnings", "history", "blackouts"):
            assert client.get(f"{path_of(name)}/{what}").status_code == 200
        feed = client.get(f"{path_of(name)}/calendar.ics")
        assert f"slotwarden: {name}".encode() in feed.content.replace(b"\\", b"")
        asked = {"from": coming().isoformat()}
        with client.stream("GET", f"{path_of(name)}/events", params=asked) as answer:
            assert next(states(answer)) is not None


def test_every_channel_of_the_picker_can_be_booked_on(client: httpx.Client) -> None:
    for name in NAMES:
        where = f"{path_of(name)}/reservations"
        made = client.post(where, json=wish()).json()
        assert made["channel_id"] == name
        following = {"type": "final", "from": coming().isoformat()}
        assert client.post(f"{where}/next", json=following).json()["channel_id"] == name
        # The limit is this channel's own, so its reset is found through its name alone.
        full = problem(client.post(where, json=wish("20:00")), 429, "DailyLimitReached")
        assert full["resets_at"].startswith(coming().isoformat())
        # A move names no channel.
        other = client.post(where, json=wish(days=32)).json()
        move = {"date": coming().isoformat(), "time": "20:00"}
        moved = client.patch(f"/api/reservations/{other['reservation_id']}", json=move)
        assert problem(moved, 429)["resets_at"] == full["resets_at"]
    problem(client.get(path_of("team/newspaper")), 404, "UnknownChannel")


def test_a_name_opens_nothing_to_the_token_of_the_feed(
    database_url: str, channels: tuple[str, ...]
) -> None:
    with client_of(database_url, token=TOKEN) as client:
        bearer = {"authorization": f"Bearer {TOKEN}"}
        feed_token = client.get("/api/channels", headers=bearer).json()["feed_token"]
        for name in channels:
            asked = {"token": feed_token}
            assert client.get(f"{path_of(name)}/calendar.ics", params=asked).status_code == 200
            problem(client.get(path_of(name), params=asked), 401)


@pytest.mark.parametrize(
    ("path", "raw", "seen"),
    [
        ("/a/b%/c", b"/a%2fb%25/c", ["", "a/b%", "c"]),
        ("/ß", b"/%c3%9f", ["", "ß"]),
        ("/a/100%", None, ["", "a", "100%"]),
        ("/behind/a%2Fb", b"/before/behind/a%252Fb", ["", "behind", "a%2Fb"]),
    ],
    ids=["whole", "beyond ASCII", "no raw path", "rewritten before"],
)
def test_each_name_of_a_path_stays_whole(path: str, raw: bytes | None, seen: list[str]) -> None:
    found: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.extend(map(name_in, scope["path"].split("/")))

    async def unused(*_: object) -> Any:
        raise AssertionError("neither read nor answered")

    scope = {"type": "http", "path": path, "raw_path": raw}
    asyncio.run(WholeSegments(app)(scope, unused, unused))
    assert found == seen
