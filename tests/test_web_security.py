"""Who may call the web application, and what it never gives away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sessions import Connect, query, session
from slotwarden import InvalidArgument
from slotwarden.web import WebSettings
from web_support import CHANNEL, RESERVATIONS, TOKEN, booked, client_of, problem, wish

JSON = {"content-type": "application/json"}


def test_every_answer_has_the_headers_that_protect_a_page(database_url: str) -> None:
    with client_of(database_url) as client:
        for path in ("/", "/static/js/main.js", "/api/channels", "/api/nothing", "/static/nothing"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert "server" not in headers or "uvicorn" in headers["server"]


def test_pages_of_other_sites_can_change_nothing(database_url: str) -> None:
    with client_of(database_url) as client:
        for headers in (
            {"origin": "http://elsewhere.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": str(client.base_url)},
        ):
            problem(client.post(RESERVATIONS, json=wish(), headers=headers), 403)
        plain = client.post(
            RESERVATIONS, content=json.dumps(wish()), headers={"content-type": "text/plain"}
        )
        problem(plain, 415)
        assert client.get(f"{CHANNEL}/calendar?days=60").json()["entries"] == []
        own = {"sec-fetch-site": "same-origin", "origin": str(client.base_url)}
        assert client.post(RESERVATIONS, json=wish(), headers=own).status_code == 201


def test_names_that_others_can_lead_here_are_refused(database_url: str) -> None:
    with client_of(database_url, hosts=frozenset({"calendar.lan"})) as client:
        problem(client.get("/api/channels", headers={"host": "rebound.example"}), 403)
        problem(client.get("/api/channels", headers={"host": "[::"}), 403)
        for host in ("localhost:1", "127.0.0.1", "[::1]:80", "Calendar.LAN:8765"):
            assert client.get("/api/channels", headers={"host": host}).status_code == 200


def test_with_a_token_nothing_is_told_without_it(database_url: str) -> None:
    with client_of(database_url, token=TOKEN) as client:
        problem(client.get("/api/channels"), 401)
        problem(client.get("/api/openapi.json"), 401)
        problem(client.post(RESERVATIONS, json=wish()), 401)
        problem(client.get("/api/channels", headers={"authorization": "Bearer wrong"}), 401)
        bearer = {"authorization": f"Bearer {TOKEN}", "host": "calendar.example"}
        assert client.get("/api/channels", headers=bearer).status_code == 200
        assert client.get("/").status_code == 200


def test_a_page_exchanges_the_token_for_a_cookie(database_url: str) -> None:
    with client_of(database_url, token=TOKEN) as client:
        problem(client.post("/api/session", json={"token": "wrong"}), 401)
        entered = client.post("/api/session", json={"token": TOKEN})
        assert entered.status_code == 204
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        feed_token = client.get("/api/channels").json()["feed_token"]
        client.delete("/api/session")
        problem(client.get("/api/channels"), 401)
        # The feed's token opens the feed and nothing else.
        feed = f"{CHANNEL}/calendar.ics"
        assert client.get(feed, params={"token": feed_token}).status_code == 200
        problem(client.get(feed, params={"token": TOKEN}), 401)
        problem(client.get(f"{CHANNEL}/calendar", params={"token": feed_token}), 401)
        (name, _) = entered.headers["set-cookie"].split("=", 1)
        problem(client.get("/api/channels", headers={"cookie": f"{name}={feed_token}"}), 401)


@pytest.mark.parametrize(
    "other", ["theme", 'prefs={"a":1}', "path=/x", "k@x=1", "slotwarden_session_00000000=abc"]
)
def test_cookies_of_other_applications_lock_nobody_out(database_url: str, other: str) -> None:
    settings = WebSettings(token=TOKEN)
    own = f"{settings.cookie}={settings.derived('session')}"
    with client_of(database_url, token=TOKEN) as client:
        for cookies in (f"{other}; {own}", f"{own}; {other}"):
            assert client.get("/api/channels", headers={"cookie": cookies}).status_code == 200


def test_two_applications_on_one_host_do_not_share_a_cookie() -> None:
    assert WebSettings(token=TOKEN).cookie != WebSettings(token=TOKEN[::-1]).cookie


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 16"):
        WebSettings(token="short")  # noqa: S106


def test_bodies_and_requests_are_bounded(database_url: str) -> None:
    with client_of(database_url, most_body_bytes=1000, requests_per_minute=4) as client:
        long = json.dumps(wish(video="x" * 2000)).encode()
        problem(client.post(RESERVATIONS, content=long, headers=JSON), 413)
        # Without a length it is counted while it comes in.
        pieces = (long[at : at + 100] for at in range(0, len(long), 100))
        problem(client.post(RESERVATIONS, content=pieces, headers=JSON), 413)
        assert booked(client)
        assert client.get("/api/channels").status_code == 200
        refused = client.get("/api/channels")
        problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0


def test_what_is_no_json_is_a_problem(database_url: str) -> None:
    with client_of(database_url) as client:
        for body in (b"", b"{", b"[" * 5000, b'"x"', b"\xff\xfe", b"1" * 5000, b"null"):
            answer = client.post(RESERVATIONS, content=body, headers=JSON)
            problem(answer, 400 if answer.status_code == 400 else 422)


def test_a_database_that_is_away_is_503_without_its_words() -> None:
    with client_of("postgresql://secret_user:secret_word@127.0.0.1:1/secret_base") as client:
        for answer in (client.get(CHANNEL), client.post(RESERVATIONS, json=wish())):
            assert problem(answer, 503, "DatabaseUnavailable")["sqlstate"] is None
            assert answer.headers["retry-after"] == "5"
            assert "secret" not in answer.text
            assert "127.0.0.1" not in answer.text


def test_an_error_that_is_not_slotwardens_says_nothing_of_the_database(
    database_url: str, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    query(
        session(connect), "revoke execute on function slotwarden.daily_status from slotwarden_app"
    )
    with client_of(database_url) as client:
        found: dict[str, Any] = problem(client.get(f"{CHANNEL}/status"), 503, "DatabaseUnusable")
        assert "permission" not in json.dumps(found)
        assert "daily_status" not in json.dumps(found)
    assert "42501" in caplog.text
