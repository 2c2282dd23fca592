"""Books a week of videos, and shows what a caller gets to see.

Run it with: python examples/book_a_week.py

It starts a PostgreSQL of its own, and leaves nothing behind.
"""

from __future__ import annotations

import datetime as dt

from slotwarden import DailyLimitReached, Scheduler, SlotTaken, create_engine, migrations
from slotwarden.embedded import EmbeddedServer

MONDAY = dt.date(2035, 3, 5)
MORNING = dt.time(10, 0)
EVENING = dt.time(18, 0)


def main() -> None:
    with EmbeddedServer(durable=False) as server:
        engine = create_engine(server.url())
        migrations.upgrade(engine)
        scheduler = Scheduler(engine)

        for number in range(5):
            day = MONDAY + dt.timedelta(days=number)
            booked = scheduler.reserve_slot(day, "final", MORNING, video=f"ep-{number}.mp4")
            print(f"#{booked.reservation_id}: {booked.video_path} at {booked.local_publish_time}")

        try:
            scheduler.reserve_slot(MONDAY, "short", MORNING)
        except SlotTaken as error:
            print(f"\nThat slot is taken: {error}. {error.hint}")

        scheduler.reserve_slot(MONDAY, "final", EVENING, video="special.mp4")
        try:
            scheduler.reserve_slot(MONDAY, "final", dt.time(20, 0))
        except DailyLimitReached as error:
            print(f"That day is full: {error.used} of {error.max} {error.limit}. {error.hint}")

        # With a key a call may be repeated, after a lost connection say: it books once.
        first = scheduler.reserve_slot(MONDAY, "short", dt.time(12, 0), request_key="order-17")
        again = scheduler.reserve_slot(MONDAY, "short", dt.time(12, 0), request_key="order-17")
        print(f"Asked twice under one key: #{first.reservation_id} and #{again.reservation_id}\n")

        scheduler.cancel_reservation(first.reservation_id)
        for status in scheduler.daily_status(MONDAY):
            print(f"{status.day} {status.limit_id}: {status.used_units} of {status.max_units}")
        engine.dispose()


if __name__ == "__main__":
    main()
