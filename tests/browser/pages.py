"""A Chromium, the application on a database of the test's own, and a page on it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the extra slotwarden[browser] is not installed"
)
Image = pytest.importorskip("PIL.Image", reason="the extra slotwarden[browser] is not installed")

from sessions import APP, Connect, query, session  # noqa: E402
from slotwarden import Scheduler, create_engine  # noqa: E402
from slotwarden.web.example import book_example_week  # noqa: E402
from support import set_clock  # noqa: E402
from web_support import application, served  # noqa: E402

NOW = dt.datetime(2027, 3, 3, 9, 40, tzinfo=dt.UTC)
"""A Wednesday; both PostgreSQL's clock and the page's stand there."""

MONDAY = dt.date(2027, 3, 1)
ZONE = "Europe/Berlin"
SIZES = ((360, 740), (768, 1024), (1440, 900))

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Before the page's own code: what moved although nobody touched anything.
_WATCH_SHIFTS = """
window.shifted = 0;
window.movers = [];
const named = ({ node }) => node && (node.id || node.className || node.nodeName);
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.shifted += entry.value;
    window.movers.push(entry.sources.map(named));
  }
}).observe({ type: "layout-shift", buffered: true });
"""
# Chromium's own line for each answer that is an error; refusals are answers.
_REFUSALS = ("status of 409", "status of 429", "status of 401")

needs_chromium = pytest.mark.skipif(
    _CHROMIUM is None, reason="there is no chromium here: apt install chromium, then again"
)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser."""
    flags = _FLAGS if os.geteuid() == 0 else _FLAGS[1:]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=_CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def calendar(url: str, connect: Connect, **settings: Any) -> Iterator[str]:
    """Serve the example week and what came before it, with the clocks stopped at `NOW`."""
    owner = session(connect)
    query(owner, "select slotwarden.set_channel('default', p_time_zone => %s)", ZONE)
    # Booked as if a week earlier.
    set_clock(owner, (NOW - dt.timedelta(days=7)).isoformat())
    engine = create_engine(url, connect_args={"options": f"-c role={APP}"})
    scheduler = Scheduler(engine)
    booked = book_example_week(scheduler, MONDAY - dt.timedelta(days=7))
    _upload(owner, scheduler, [each.reservation_id for each in booked])
    set_clock(owner, NOW.isoformat())
    engine.dispose()
    settings.setdefault("clock", lambda: NOW)
    with application(url, **settings) as app, served(app) as address:
        yield address


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Any]:
    """A browser."""
    with chromium() as started:
        yield started


@pytest.fixture(name="address")
def address_fixture(database_url: str, connect: Connect) -> Iterator[str]:
    """The address of the calendar."""
    with calendar(database_url, connect) as found:
        yield found


def _upload(owner: Any, scheduler: Scheduler, ids: list[int]) -> None:
    """Let the first videos be published, one fail, and one be on its way."""
    for number, reservation_id in enumerate(ids[:5]):
        reservation = scheduler.calendar(MONDAY, 7)[number]
        set_clock(owner, reservation.publish_time.isoformat())
        started = scheduler.start_upload(reservation_id)
        assert started.lease_token is not None
        if number == 1:
            scheduler.fail_upload(reservation_id, started.lease_token, "quotaExceeded")
        elif number < 4:
            scheduler.complete_upload(reservation_id, started.lease_token, f"dQw4w9WgX{number}Q")


class Watched:
    """A page, and everything that it complained about."""

    def __init__(self, browser: Any, size: tuple[int, int], **options: Any) -> None:
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            reduced_motion="reduce",
            **options,
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        self.page.add_init_script(_WATCH_SHIFTS)

    def _console(self, message: Any) -> None:
        refusal = any(status in message.text for status in _REFUSALS)
        if message.type in {"error", "warning"} and not refusal:
            self.complaints.append(message.text)

    def open(self, address: str, fragment: str = "") -> Any:
        """Open the page and wait until it follows its days."""
        self.page.goto(f"{address}/#{fragment}")
        self.page.wait_for_selector("#pulse[data-state=live]")
        self.page.wait_for_selector("#calendar[aria-busy=false]")
        self.page.wait_for_function("document.querySelectorAll('.track .fill').length > 2")
        return self.page

    def event(self, text: str) -> Any:
        """Return a reservation on the calendar."""
        return self.page.locator(".fc-event.booked", has_text=text)

    def drag(self, source: Any, target: Any, *, hold: int = 8) -> None:
        """Drag one event, held so far below its upper edge, onto the slot of another."""
        source.scroll_into_view_if_needed()
        start, end = source.bounding_box(), target.bounding_box()
        mouse = self.page.mouse
        mouse.move(start["x"] + 20, start["y"] + hold)
        mouse.down()
        mouse.move(end["x"] + 24, end["y"] + hold + 4, steps=6)
        mouse.move(end["x"] + 20, end["y"] + hold, steps=2)
        mouse.up()

    def drag_by_touch(self, source: Any, target: Any) -> None:
        """Drag one event onto the slot of another with a finger that first rests on it."""
        source.scroll_into_view_if_needed()
        start, end = source.bounding_box(), target.bounding_box()
        fingers = self.context.new_cdp_session(self.page)

        def touch(kind: str, *points: tuple[float, float]) -> None:
            fingers.send(
                "Input.dispatchTouchEvent",
                {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
            )

        touch("touchStart", (start["x"] + 20, start["y"] + 8))
        self.page.wait_for_selector(".fc-event-selected", state="attached")
        for share in (0.25, 0.5, 0.75, 1):
            x = start["x"] + (end["x"] - start["x"]) * share
            y = start["y"] + (end["y"] - start["y"]) * share
            touch("touchMove", (x + 20, y + 8))
        touch("touchEnd")

    def notice(self) -> Any:
        """Return the notice, once it is there."""
        self.page.wait_for_selector(".notice")
        return self.page.locator(".notice")
