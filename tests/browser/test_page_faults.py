"""The page when answers are late, lost or refused, and when others change what it shows."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest
from pages import (
    MONDAY,
    SIZES,
    Watched,
    address_fixture,  # noqa: F401
    browser_fixture,  # noqa: F401
    needs_chromium,
)

from sessions import Connect, call, query, session

pytestmark = needs_chromium

_DESKTOP = SIZES[-1]
_PATIENCE_SECONDS = 30
_AWAY = {
    "status": 503,
    "content_type": "application/problem+json",
    "body": json.dumps(
        {"name": "DatabaseUnavailable", "title": "Database away", "detail": "It is away."}
    ),
}
_LOST = {
    "status": 504,
    "content_type": "application/problem+json",
    "body": json.dumps({"name": "OutcomeUnknown", "title": "Unknown", "detail": "Who knows."}),
}
# What the page was told of changes, counted before it hears of them itself.
_COUNT_STATES = """
window.told = 0;
window.EventSource = class extends EventSource {
  constructor(path) {
    super(path);
    this.addEventListener("state", () => { window.told += 1; });
  }
};
"""


class Held:
    """Requests that are answered when the test says so."""

    def __init__(self, page: Any, pattern: str) -> None:
        self.page = page
        self.routes: list[Any] = []
        page.route(pattern, self._hold)

    def _hold(self, route: Any) -> None:
        self.routes.append(route)

    def wait(self) -> Any:
        """Return the next request that came in."""
        patience = time.monotonic() + _PATIENCE_SECONDS
        while not self.routes:
            self.page.evaluate("new Promise(requestAnimationFrame)")
            if time.monotonic() > patience:
                pytest.fail("the page did not ask")
        return self.routes.pop(0)


@pytest.fixture
def watched(browser: Any, address: str) -> Watched:
    made = Watched(browser, _DESKTOP)
    made.open(address, f"date={MONDAY}")
    return made


def _answered(page: Any, pattern: str, route: Any, **answer: Any) -> None:
    """Answer a request that was held, and wait until the page has dealt with it."""
    with page.expect_response(pattern):
        if answer:
            route.fulfill(**answer)
        else:
            route.continue_()
    page.evaluate("new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve)))")


def _book(connect: Connect, video: str, days: int = 5, at: str = "09:00") -> None:
    """Book as somebody else."""
    call(
        session(connect),
        "reserve_slot",
        p_date=MONDAY + dt.timedelta(days=days),
        p_type="short",
        p_time=at,
        p_video=video,
    )


def test_the_channel_that_was_chosen_last_is_shown(
    browser: Any, address: str, connect: Connect
) -> None:
    owner = session(connect)
    for name in ("b", "c"):
        call(owner, "create_channel", p_channel=name)
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    held = Held(page, "**/api/channels/b")
    picker = page.locator("#channel")
    picker.select_option("b")
    late = held.wait()
    # Until it is known what is shown, nothing can be booked.
    assert page.locator("#next-free").is_disabled()
    assert page.locator("#calendar").evaluate("(node) => node.inert")
    picker.select_option("c")
    page.wait_for_url("**channel=c**")
    _answered(page, "**/api/channels/b", late)
    assert picker.input_value() == "c"
    assert "channel=c" in page.url
    assert page.locator("#next-free").is_enabled()
    assert watched.complaints == []

    # One that cannot be read leaves the one before.
    picker.select_option("b")
    _answered(page, "**/api/channels/b", held.wait(), **_AWAY)
    assert "b cannot be shown" in watched.notice().inner_text()
    assert picker.input_value() == "c"
    assert "channel=c" in page.url
    assert page.locator("#next-free").is_enabled()


def test_a_booking_whose_answer_was_lost_is_not_made_twice(
    watched: Watched, connect: Connect
) -> None:
    page = watched.page
    held = Held(page, "**/reservations/next")
    page.get_by_role("button", name="Book next free").click()
    page.get_by_role("button", name="Book", exact=True).click()
    first = held.wait()
    first.fetch()
    first.fulfill(**_LOST)
    held.wait().fulfill(**_AWAY)
    page.get_by_text("may have been carried out, or not").wait_for()
    page.get_by_role("button", name="Book", exact=True).click()
    held.wait().continue_()
    page.wait_for_selector("dialog[open]", state="detached")
    counted = "select count(*) from slotwarden.reservation where video_path is null"
    assert query(session(connect), counted)[0][0] == 1
    # Whoever asks once more after that wants one more.
    page.get_by_role("button", name="Book next free").click()
    page.get_by_role("button", name="Book", exact=True).click()
    held.wait().continue_()
    page.wait_for_selector("dialog[open]", state="detached")
    assert query(session(connect), counted)[0][0] == 2


def test_late_answers_of_other_days_change_nothing(watched: Watched) -> None:
    page = watched.page
    held = Held(page, f"**/usage?from={MONDAY + dt.timedelta(days=7)}*")
    page.get_by_role("button", name="Later").click()
    late = held.wait()
    page.get_by_role("button", name="Earlier").click()
    page.wait_for_selector("#calendar[aria-busy=false]")
    watched.event("ep-044").wait_for()
    filled = page.locator(".track .fill").count()
    assert filled > 2
    _answered(page, "**/usage?*", late)
    assert page.locator(".track .fill").count() == filled
    assert watched.complaints == []


def test_what_cannot_be_read_is_not_told_as_nothing_free(watched: Watched) -> None:
    page = watched.page
    page.route("**/slots?*", lambda route: route.fulfill(**_AWAY))
    page.get_by_role("button", name="Book next free").click()
    page.locator("dialog").get_by_text("It is away.").wait_for()
    page.keyboard.press("Escape")
    page.locator("button.day").nth(5).click()
    page.get_by_role("button", name="Book on this day").click()
    page.locator("dialog").get_by_text("It is away.").wait_for()
    assert "Nothing is free" not in page.locator("dialog").inner_text()


def test_what_comes_of_a_call_is_told_though_its_dialog_was_put_away(watched: Watched) -> None:
    page = watched.page
    held = Held(page, "**/reservations")

    def book(video: str) -> Any:
        page.locator(".fc-event.free").first.click()
        page.get_by_label("Video (its path or name)").fill(video)
        page.get_by_role("button", name="Book", exact=True).click()
        route = held.wait()
        page.keyboard.press("Escape")
        return route

    _answered(page, "**/reservations", book("refused.mp4"), **_AWAY)
    assert "It is away." in watched.notice().inner_text()
    booking = book("booked.mp4")
    watched.event("ep-046").click()
    _answered(page, "**/reservations", booking)
    watched.event("booked.mp4").wait_for()
    # The dialog of the other one stays, with what was typed there.
    assert "ep-046" in page.locator("dialog[open]").inner_text()
    assert page.get_by_role("button", name="Move", exact=True).is_visible()


def test_a_drag_that_comes_to_nothing_hides_no_change_of_others(
    browser: Any, address: str, connect: Connect
) -> None:
    watched = Watched(browser, _DESKTOP)
    page, mouse = watched.page, watched.page.mouse
    page.add_init_script(_COUNT_STATES)
    watched.open(address, f"date={MONDAY}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    video = watched.event("bloopers")
    video.scroll_into_view_if_needed()
    box = video.bounding_box()
    mouse.move(box["x"] + 20, box["y"] + 8)
    mouse.down()
    mouse.move(box["x"] + 20, box["y"] - 100, steps=6)
    told = page.evaluate("window.told")
    _book(connect, "meanwhile.mp4")
    page.wait_for_function("(before) => window.told > before", arg=told)
    assert watched.event("meanwhile").count() == 0, "not read anew under the hand"
    # Beside the calendar nothing can be dropped.
    mouse.move(20, 20, steps=6)
    mouse.up()
    watched.event("meanwhile").wait_for()
    assert "PATCH" not in asked
    assert watched.complaints == []


def test_what_changed_before_the_page_could_follow_is_shown(
    browser: Any, address: str, connect: Connect
) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.page
    held = Held(page, "**/events?*")
    page.goto(f"{address}/#date={MONDAY}")
    held.wait().fulfill(**_AWAY)
    watched.event("ep-044").wait_for()
    _book(connect, "unseen.mp4")
    held.wait().continue_()
    watched.event("unseen").wait_for()


def test_one_read_that_fails_is_forgotten_with_the_next(watched: Watched) -> None:
    page = watched.page
    page.route("**/usage?*", lambda route: route.fulfill(**_AWAY))
    page.locator("#type").select_option("short")
    page.wait_for_selector("#pulse[data-state=away]")
    page.unroute("**/usage?*")
    page.get_by_role("button", name="Try now").click()
    page.wait_for_selector("#pulse[data-state=live]")
    page.wait_for_selector("#overlay", state="hidden")


def test_the_keyboard_keeps_its_place_when_others_book(watched: Watched, connect: Connect) -> None:
    page = watched.page
    watched.event("ep-046").focus()
    _book(connect, "by-others.mp4")
    watched.event("by-others").wait_for()
    page.locator(".fc-event:focus", has_text="ep-046").wait_for()
    # Also when it comes back from a dialog.
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    _book(connect, "once-more.mp4", at="08:00")
    watched.event("once-more").wait_for()
    page.keyboard.press("Escape")
    page.locator(".fc-event:focus", has_text="ep-046").wait_for()
    assert watched.complaints == []


def test_a_page_that_nobody_looks_at_holds_no_connection(
    watched: Watched, connect: Connect
) -> None:
    page = watched.page

    def look(hidden: str) -> None:
        page.evaluate(
            """(hidden) => {
              Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
              document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden == "hidden",
        )

    with page.expect_event("requestfailed", lambda request: "/events" in request.url):
        look("hidden")
    _book(connect, "in-the-dark.mp4")
    with page.expect_request("**/events?*"):
        look("shown")
    watched.event("in-the-dark").wait_for()
    assert watched.complaints == []
