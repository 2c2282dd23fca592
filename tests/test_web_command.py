"""``slotwarden web``: how it starts, what it refuses, how it ends, and the example week."""

from __future__ import annotations

import re
import signal
import socket
import subprocess

import httpx

from cli_support import call, command, environment, run
from sessions import APP
from slotwarden import Scheduler, create_engine
from slotwarden.web.example import book_example_week, is_untouched, next_monday
from web_support import coming

_SECONDS = 20


def test_it_serves_until_ctrl_c_and_books_nothing_in_a_named_database(database_url: str) -> None:
    with subprocess.Popen(
        command("web", "--port", "0", "--no-open"),
        env=environment(database_url),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        found = re.search(r"http://\S+/", told)
        assert found, told
        page = httpx.get(found[0], trust_env=False, timeout=_SECONDS)
        assert "<title>slotwarden</title>" in page.text
        calendar = f"{found[0]}api/channels/default/calendar?days=60"
        assert httpx.get(calendar, trust_env=False, timeout=_SECONDS).json()["entries"] == []
        # A page that is open must not hold the end up.
        events = f"{found[0]}api/channels/default/events?from=2035-03-05"
        with httpx.stream("GET", events, trust_env=False, timeout=_SECONDS) as stream:
            lines = stream.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(_SECONDS) == 0
        assert "Stopped." in rest
        assert "Traceback" not in rest


def test_what_cannot_be_served_is_told_at_once(database_url: str) -> None:
    open_to_all = call(database_url, "web", "--host", "0.0.0.0", "--no-open")  # noqa: S104
    assert open_to_all.code == 2
    assert "SLOTWARDEN_WEB_TOKEN" in open_to_all.err
    # A process of its own: one that serves would not come back.
    empty = run(database_url, "web", "--host", "0.0.0.0", "--token", "", "--no-open")  # noqa: S104
    assert (empty.code, empty.err) == (open_to_all.code, open_to_all.err)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = call(database_url, "web", "--port", port, "--no-open")
    assert busy.code == 2
    assert "--port 0" in busy.err
    nowhere = call(database_url, "web", "--port", 0, "--channel", "nope", "--no-open")
    assert nowhere.code == 2
    assert "nope" in nowhere.err
    short = call(database_url, "web", "--port", 0, "--token", "short", "--no-open")
    assert short.code == 2


def test_the_example_week_is_for_a_workspace_that_nobody_used(database_url: str) -> None:
    engine = create_engine(database_url, connect_args={"options": f"-c role={APP}"})
    scheduler = Scheduler(engine)
    today = coming(0)
    assert is_untouched(scheduler, today)
    booked = book_example_week(scheduler, today)
    assert len(booked) == 15
    assert min(each.local_date for each in booked) == next_monday(today) > today
    assert next_monday(today).weekday() == 0
    for each in booked:
        scheduler.cancel_reservation(each.reservation_id)
    # Somebody was here, though nothing is booked any more.
    assert not is_untouched(scheduler, today)
    engine.dispose()
