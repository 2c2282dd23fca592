"""The web application of a test's own database, on a real socket, as the application's role."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from embedded_support import wait_until
from sessions import APP
from slotwarden import Scheduler, create_engine
from slotwarden.web import WebSettings, create_app
from slotwarden.web.server import listening_socket

CHANNEL = "/api/channels/default"
RESERVATIONS = f"{CHANNEL}/reservations"
TOKEN = "a token of sixteen and more"  # noqa: S105


def coming(days: int = 30) -> dt.date:
    """Return a day to come."""
    return dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)


@contextmanager
def application(url: str, **settings: Any) -> Iterator[FastAPI]:
    """Make the application over `url`."""
    engine = create_engine(
        url, pool_size=10, max_overflow=0, connect_args={"options": f"-c role={APP}"}
    )
    settings.setdefault("poll_seconds", 0.05)
    try:
        yield create_app(Scheduler(engine), WebSettings(**settings))
    finally:
        engine.dispose()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application; yields its address."""
    listening = listening_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the application did not start")
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        app.state.live.end()
        server.should_exit = True
        thread.join(10)
        listening.close()
    assert not thread.is_alive(), "the application did not end"


@contextmanager
def client_of(url: str, **settings: Any) -> Iterator[httpx.Client]:
    """Open a client of an application over `url`."""
    with (
        application(url, **settings) as app,
        served(app) as address,
        # Settings of this machine's proxies are not for it.
        httpx.Client(base_url=address, timeout=20, trust_env=False) as client,
    ):
        yield client


def wish(time: str = "10:00", kind: str = "final", days: int = 30, **more: Any) -> dict[str, Any]:
    """Return the body of a booking."""
    return {"type": kind, "date": coming(days).isoformat(), "time": time, **more}


def booked(client: httpx.Client, *arguments: Any, **more: Any) -> dict[str, Any]:
    """Book a slot, which must succeed."""
    answer = client.post(RESERVATIONS, json=wish(*arguments, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: httpx.Response, status: int, name: str | None = None) -> dict[str, Any]:
    """Return the members of a problem, which the answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    assert members["status"] == status
    assert re.fullmatch(r"[A-Z]\w+", members["name"]), members
    if name is not None:
        assert members["name"] == name
    return members


def states(answer: httpx.Response) -> Iterator[str | None]:
    """Give the fingerprints of a stream of changes."""
    for line in answer.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))["fingerprint"]
        elif line.startswith(":"):
            pytest.fail("nothing was told until the stream had to be kept alive")
