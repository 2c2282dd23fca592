"""The calendar page in a real browser: what people see and do."""

from __future__ import annotations

import datetime as dt
import io
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pages import (
    MONDAY,
    SIZES,
    ZONE,
    Image,
    Watched,
    address_fixture,  # noqa: F401
    browser_fixture,  # noqa: F401
    calendar,
    needs_chromium,
)

from sessions import Connect, call, session
from web_support import TOKEN

pytestmark = needs_chromium

_HERE = Path(__file__).parent
_IMAGES = _HERE.parents[1] / "docs" / "images"
_PHONE, _TABLET, _DESKTOP = SIZES
_MOST_SHIFT = 0.001
_COLOURS = 200


def _picture(page: Any, name: str) -> None:
    """Keep a screenshot where that is asked for: else they would change with each font."""
    if os.environ.get("SLOTWARDEN_WRITE_IMAGES"):
        _IMAGES.mkdir(exist_ok=True)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            small = picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE)
        small.save(_IMAGES / f"{name}.png", optimize=True)


def _violations(page: Any) -> list[str]:
    page.evaluate((_HERE / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}px")
def test_nothing_moves_complains_or_keeps_people_out(
    browser: Any, address: str, size: tuple[int, int]
) -> None:
    for scheme in ("light", "dark"):
        for name, fragment in (("week", ""), ("month", "view=month")):
            watched = Watched(browser, size, color_scheme=scheme)
            page = watched.open(address, f"date={MONDAY}&{fragment}")
            _picture(page, f"{name}-{size[0]}-{scheme}")
            shifted, movers = page.evaluate("[window.shifted, window.movers]")
            assert shifted <= _MOST_SHIFT, movers
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            assert _violations(page) == []
            assert watched.complaints == []
            watched.context.close()


def test_dialogs_are_accessible_on_a_phone_and_in_the_dark(browser: Any, address: str) -> None:
    for size, scheme in ((_PHONE, "light"), (_DESKTOP, "dark")):
        watched = Watched(browser, size, color_scheme=scheme)
        page = watched.open(address, f"date={MONDAY}")
        page.locator("button.day").nth(2).click()
        page.wait_for_selector("dialog[open] .limits li")
        _picture(page, f"day-{size[0]}-{scheme}")
        assert "resets" in page.locator("dialog").inner_text()
        assert _violations(page) == []
        page.get_by_role("button", name="Book on this day").click()
        page.wait_for_selector("dialog .times > *")
        assert _violations(page) == []
        page.keyboard.press("Escape")
        page.locator("#warnings").click()
        assert _violations(page) == []
        page.keyboard.press("Escape")
        assert watched.complaints == []
        watched.context.close()


def test_a_video_is_dragged_to_a_free_slot(browser: Any, address: str) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    free = page.locator(".fc-event.free", has_text="10:00").first
    watched.drag(watched.event("bloopers"), free)
    assert "Moved: bloopers.mp4" in watched.notice().inner_text()
    page.wait_for_function(
        "[...document.querySelectorAll('.fc-event.booked')].some("
        "(e) => e.textContent.includes('bloopers') && e.textContent.includes('10:00'))"
    )
    assert watched.complaints == []


@pytest.mark.parametrize("hold", [8, 30], ids=["above", "below"])
def test_wherever_a_video_is_held_it_goes_where_it_is_dropped(
    browser: Any, address: str, hold: int
) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}&type=short")
    free = page.locator(".fc-event.free", has_text="14:00").first
    watched.drag(watched.event("bloopers"), free, hold=hold)
    watched.event("bloopers").filter(has_text="14:00").wait_for()
    assert watched.complaints == []


def test_a_video_is_dragged_with_a_finger(browser: Any, address: str) -> None:
    watched = Watched(browser, _TABLET, has_touch=True)
    page = watched.open(address, f"date={MONDAY}")
    free = page.locator(".fc-event.free", has_text="10:00").first
    watched.drag_by_touch(watched.event("bloopers"), free)
    assert "Moved: bloopers.mp4" in watched.notice().inner_text()
    assert watched.complaints == []


def test_a_drop_on_a_taken_slot_snaps_back_and_says_why(browser: Any, address: str) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    video = watched.event("bloopers")
    before = video.bounding_box()
    watched.drag(video, watched.event("ep-046"))
    page.wait_for_selector(".notice.bad .primary")
    told = watched.notice().inner_text()
    assert "bloopers.mp4 stays on Fri 5 Mar, 18:00" in told
    assert "taken by ep-046-landfall.mp4" in told
    _picture(page, "refused-1440-light")
    page.wait_for_selector("#calendar[aria-busy=false]")
    assert watched.event("bloopers").bounding_box() == before
    assert _violations(page) == []
    page.locator(".notice .primary").click()
    page.wait_for_selector(".notice.good")
    assert "Moved: bloopers.mp4" in watched.notice().inner_text()
    assert watched.complaints == []


def test_two_people_drop_a_video_on_one_slot(browser: Any, address: str) -> None:
    people = [Watched(browser, _DESKTOP) for _ in range(2)]
    pages = [each.open(address, f"date={MONDAY}&type=short") for each in people]
    slot = pages[0].locator(".fc-event.free").first.text_content()
    # The second has not seen the first one's move when dropping.
    pages[1].route("**/calendar?*", lambda route: route.abort())
    targets = [page.locator(".fc-event.free", has_text=slot) for page in pages]
    first, second = people[0].event("bloopers"), people[1].event("week-in-a-minute")
    people[0].drag(first, targets[0])
    assert "Moved: bloopers.mp4" in people[0].notice().inner_text()
    people[1].drag(second, targets[1])
    pages[1].unroute("**/calendar?*")
    pages[1].wait_for_selector(".notice.bad .primary")
    told = people[1].notice().inner_text()
    assert "week-in-a-minute.mp4 stays on Sun 7 Mar, 10:00" in told
    assert "taken" in told
    pages[1].locator(".notice .primary").click()
    pages[1].wait_for_selector(".notice.good")


def test_what_somebody_else_moved_is_shown_as_it_is_now(browser: Any, address: str) -> None:
    people = [Watched(browser, _DESKTOP) for _ in range(2)]
    pages = [each.open(address, f"date={MONDAY}") for each in people]
    for page, person in zip(pages, people, strict=True):
        person.event("ep-046").click()
        page.get_by_label("Day", exact=True).fill("2027-03-07")
    for page, time in zip(pages, ("14:00", "18:00"), strict=True):
        page.get_by_label("Time", exact=True).fill(time)
    pages[0].get_by_role("button", name="Move", exact=True).click()
    # The calendar behind the other one's dialog follows.
    pages[1].locator("[data-date='2027-03-07'] .fc-event", has_text="ep-046").wait_for()
    pages[1].get_by_role("button", name="Move", exact=True).click()
    pages[1].get_by_text("This is how it is now.").wait_for()
    assert "Sun 7 Mar, 14:00" in pages[1].locator("dialog dl").inner_text()
    pages[1].get_by_label("Time", exact=True).fill("18:00")
    pages[1].get_by_role("button", name="Move", exact=True).click()
    assert "final, Sun 7 Mar, 18:00" in people[1].notice().inner_text()
    assert [each.complaints for each in people] == [[], []]


def test_what_somebody_else_books_appears_by_itself(browser: Any, address: str) -> None:
    people = [Watched(browser, _DESKTOP) for _ in range(2)]
    pages = [each.open(address, f"date={MONDAY}") for each in people]
    pages[0].locator(".fc-event.free").first.click()
    pages[0].get_by_label("Video (its path or name)").fill("films/new.mp4")
    pages[0].get_by_role("button", name="Book", exact=True).click()
    people[1].event("new.mp4").wait_for()
    assert [each.complaints for each in people] == [[], []]


def test_everything_can_be_done_with_the_keyboard(browser: Any, address: str) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    page.locator(".fc-event.free").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.type("typed.mp4")
    page.keyboard.press("Enter")
    # What was booked is where the free slot was, and so is the keyboard.
    page.locator(".fc-event.booked:focus", has_text="typed.mp4").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel reservation").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    watched.event("typed.mp4").wait_for(state="detached")
    page.locator(".fc-event.free:focus").wait_for()
    assert watched.complaints == []


def test_what_a_month_has_no_room_for_is_in_the_day_s_dialog_alone(
    browser: Any, address: str
) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}&view=month")
    page.locator(".fc-daygrid-more-link").first.click()
    page.wait_for_selector("dialog[open] .booked-list")
    assert page.locator(".fc-popover").count() == 0
    assert watched.complaints == []


def test_a_full_day_leads_to_the_next_free_slot(browser: Any, address: str) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    # Wednesday has its two finals.
    page.locator("button.day").nth(2).click()
    page.get_by_role("button", name="Book on this day").click()
    page.get_by_role("button", name="First free: Thu 4 Mar, 10:00").click()
    # Blanks are no name.
    page.get_by_label("Video (its path or name)").fill("  ")
    page.get_by_role("button", name="Book", exact=True).click()
    assert "final, Thu 4 Mar, 10:00" in watched.notice().inner_text()
    watched.event("no video named").wait_for()
    # Within its own full day a video may still move.
    watched.event("ep-044").click()
    page.wait_for_selector("dialog .times p")
    assert "within the day this one may move" in page.locator("dialog").inner_text()
    assert watched.complaints == []


def test_the_next_free_slot_is_booked_for_a_video_that_has_a_name(
    browser: Any, address: str
) -> None:
    watched = Watched(browser, _PHONE)
    page = watched.open(address, f"date={MONDAY}")
    page.get_by_role("button", name="Book next free").click()
    page.get_by_text("At the moment that is Thu 4 Mar, 10:00").wait_for()
    page.get_by_label("Video (its path or name)").fill("episodes/soon.mp4")
    page.get_by_role("button", name="Book", exact=True).click()
    watched.event("soon.mp4").wait_for()
    page.get_by_role("button", name="Book next free").click()
    page.get_by_label("Video (its path or name)").fill("episodes/soon.mp4")
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text("soon.mp4 is booked already, on Thu 4 Mar, 10:00").wait_for()
    assert _violations(page) == []
    assert watched.complaints == []


def test_a_failed_upload_gets_another_time(browser: Any, address: str) -> None:
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    page.locator(".fc-event.failed").click()
    page.wait_for_selector("dialog .times > *")
    assert "false" not in page.locator("dialog").inner_text()
    page.get_by_label("Day", exact=True).fill("2027-03-07")
    page.get_by_label("Time", exact=True).fill("18:00")
    page.get_by_role("button", name="Try again").click()
    assert "Booked again" in watched.notice().inner_text()
    page.locator(".fc-event.failed").wait_for(state="detached")
    assert watched.complaints == []


def test_warnings_lead_to_their_day_and_usage_has_a_history(browser: Any, address: str) -> None:
    watched = Watched(browser, _PHONE)
    page = watched.open(address, "date=2027-06-07")
    page.locator("#warnings").click()
    page.get_by_role("button", name="Wed 3 Mar: final").click()
    watched.event("ep-044").wait_for()
    page.get_by_role("button", name="Usage history").click()
    row = page.locator("dialog tr", has_text="Wed 3 Mar")
    assert "2 of 2" in row.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= _PHONE[0]
    _picture(page, "history-360-light")
    assert _violations(page) == []
    page.get_by_role("button", name="Later").last.click()
    page.get_by_role("button", name="Earlier").last.click()
    row.wait_for()
    assert watched.complaints == []


def test_an_empty_week_and_a_lost_server_say_so(
    browser: Any, database_url: str, connect: Connect
) -> None:
    watched = Watched(browser, _PHONE)
    with calendar(database_url, connect) as address:
        page = watched.open(address, "date=2027-06-07")
        # The card asks once more, for where something is booked.
        page.locator("#overlay").get_by_text("Nothing is booked in these days").wait_for()
        page.get_by_role("button", name="Next booking: Wed 3 Mar").click()
        watched.event("ep-044").wait_for()
        page.wait_for_selector("#pulse[data-state=live]")
    page.wait_for_selector("#pulse[data-state=lost]")
    page.get_by_role("button", name="Later").click()
    page.wait_for_selector("#overlay .card.bad")
    assert "cannot be reached" in page.locator("#overlay").inner_text()


def test_the_page_asks_for_the_token(browser: Any, database_url: str, connect: Connect) -> None:
    with calendar(database_url, connect, token=TOKEN) as address:
        watched = Watched(browser, _PHONE)
        watched.page.goto(address)
        # Who puts the question away can come back to it, and finds nothing that does not work.
        watched.page.get_by_role("textbox", name="Token").press("Escape")
        assert watched.page.locator("button:enabled:visible").all_inner_texts() == [
            "Enter the token"
        ]
        watched.page.get_by_role("button", name="Enter the token").click()
        watched.page.get_by_role("textbox", name="Token").fill("not the right one")
        watched.page.get_by_role("button", name="Enter", exact=True).click()
        watched.page.wait_for_selector("dialog .inline p")
        watched.page.get_by_role("textbox", name="Token").fill(TOKEN)
        watched.page.get_by_role("button", name="Enter", exact=True).click()
        watched.page.wait_for_selector("#pulse[data-state=live]")
        assert TOKEN not in watched.page.url
        assert watched.complaints == []
        assert _violations(watched.page) == []


def test_blackouts_are_hatched_and_give_their_reason(
    browser: Any, address: str, connect: Connect
) -> None:
    saturday = MONDAY + dt.timedelta(days=5)
    begin = dt.datetime.combine(saturday, dt.time(12), ZoneInfo(ZONE))
    call(
        session(connect),
        "add_blackout",
        p_from=begin,
        p_to=begin + dt.timedelta(days=1, hours=12),
        p_reason="the studio moves",
    )
    # Half of Saturday, and Sunday; a month shows the days that are closed wholly.
    for view, days in (("week", 2), ("month", 1)):
        watched = Watched(browser, _DESKTOP)
        page = watched.open(address, f"date={MONDAY}&view={view}")
        closed = page.locator(".fc-bg-event.closed", has_text="the studio moves")
        closed.first.wait_for()
        assert closed.count() == days
        assert _violations(page) == []
        assert watched.complaints == []


def test_a_channel_may_be_called_what_means_something_in_a_url(
    browser: Any, address: str, connect: Connect
) -> None:
    name = "team/news?x#y%41"
    owner = session(connect)
    call(owner, "create_channel", p_channel=name, p_time_zone=ZONE)
    watched = Watched(browser, _DESKTOP)
    page = watched.open(address, f"date={MONDAY}")
    with page.expect_response(lambda answer: "%2Fnews" in answer.url and "/events" in answer.url):
        page.locator("#channel").select_option(name)
    call(
        owner,
        "reserve_slot",
        p_date=MONDAY + dt.timedelta(days=4),
        p_type="final",
        p_time="10:00",
        p_video="odd.mp4",
        p_channel=name,
    )
    watched.event("odd").wait_for()
    feed = page.evaluate("fetch(document.getElementById('feed').href).then((a) => a.status)")
    assert feed == 200
    page.reload()
    watched.event("odd").wait_for()
    assert page.locator("#channel").input_value() == name
    assert watched.complaints == []
