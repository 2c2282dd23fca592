"""Every problem has a name that is documented, and a next step that HTTP has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from web_support import (
    CHANNEL,
    RESERVATIONS,
    TOKEN,
    application,
    booked,
    client_of,
    coming,
    problem,
    served,
    wish,
)

_PAGE = Path(__file__).parents[1] / "docs" / "web.md"
_JSON = {"content-type": "application/json"}


def refused(answer: httpx.Response, status: int, name: str) -> None:
    assert problem(answer, status, name).get("sqlstate") is None
    assert f"`{name}`" in _PAGE.read_text(encoding="utf-8")


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    with client_of(database_url, most_body_bytes=1000) as made:
        yield made


def test_what_cannot_be_read_has_a_name(client: httpx.Client) -> None:
    where = f"/api/reservations/{booked(client)['reservation_id']}"
    refused(client.delete(where, headers={"if-match": "1"}), 422, "InvalidRequest")
    refused(client.get(f"{CHANNEL}/calendar?days=0"), 422, "InvalidRequest")
    refused(client.get("/api/nothing"), 404, "NotFound")
    refused(client.get(where), 405, "MethodNotAllowed")
    refused(client.post(RESERVATIONS, content=b"x" * 1001, headers=_JSON), 413, "BodyTooLong")
    pieces = (b" " * 100 for _ in range(20))
    refused(client.post(RESERVATIONS, content=pieces, headers=_JSON), 413, "BodyTooLong")
    refused(client.post(RESERVATIONS, content=json.dumps(wish())), 415, "NotJson")
    refused(client.post(RESERVATIONS, content=b'"\xff"', headers=_JSON), 400, "BadRequest")


def test_who_may_not_call_is_told_why_by_name(database_url: str, client: httpx.Client) -> None:
    elsewhere = {"origin": "http://elsewhere.example"}
    refused(client.get("/api/channels", headers={"host": "x.example"}), 403, "UnknownHost")
    other = client.post(RESERVATIONS, json=wish(), headers=elsewhere)
    refused(other, 403, "CrossSiteRequest")
    with client_of(database_url, token=TOKEN, requests_per_minute=2) as guarded:
        refused(guarded.get("/api/channels"), 401, "TokenNeeded")
        refused(guarded.post("/api/session", json={"token": "wrong"}), 401, "WrongToken")
        refused(guarded.get("/api/channels"), 429, "TooManyRequests")


def test_what_fails_here_has_a_name(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with application(database_url) as app, served(app) as address:

        def fails(error: Exception) -> httpx.Response:
            def local_now(*_: object) -> None:
                raise error

            monkeypatch.setattr(app.state.workspace, "local_now", local_now)
            return httpx.get(f"{address}{CHANNEL}", trust_env=False)

        refused(fails(PoolTimeout()), 503, "TooBusy")
        refused(fails(ArithmeticError()), 500, "UnexpectedError")


def test_hints_name_what_callers_over_http_can_do(client: httpx.Client) -> None:
    unknown = client.post("/api/channels/nobody/reservations", json=wish())
    gone = client.patch(
        "/api/reservations/123456", json={"date": coming().isoformat(), "time": "10:00"}
    )
    for answer, name, steps in (
        (unknown, "UnknownChannel", ("GET /api/channels", "slotwarden channel create")),
        (client.get("/api/channels/nobody/status"), "UnknownChannel", ("GET /api/channels",)),
        (
            client.post(RESERVATIONS, json=wish(kind="trailer")),
            "UnknownVideoType",
            ("GET /api/channels/{channel}", "slotwarden channel add-type"),
        ),
        (gone, "ReservationNotFound", ("GET /api/channels/{channel}/calendar",)),
    ):
        hint = problem(answer, answer.status_code, name)["hint"]
        assert all(step in hint for step in steps)
        # Functions and their parameters have one in their names.
        assert "_" not in hint
