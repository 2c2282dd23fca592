"""The model, continued: what becomes of a booking. Tokens are numbered as uploads begin."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from model import Charges, Model, Refused, Reservation, day_of, net


class Life(Model):
    """Moves, cancellations and uploads."""

    def __init__(self, now: dt.datetime) -> None:
        super().__init__(now)
        self.tokens = 0

    def found(self, number: int) -> Reservation:
        if number not in self.reservations:
            raise Refused("SWNFD")
        return self.reservations[number]

    def change(self, reservation: Reservation, **values: Any) -> Reservation:
        for name, value in values.items():
            setattr(reservation, name, value)
        reservation.version += 1
        return reservation

    def expect(self, reservation: Reservation, status: str, version: int | None = None) -> None:
        if reservation.status != status:
            raise Refused("SWSTA")
        if version not in (None, reservation.version):
            raise Refused("SWVER")

    def move(
        self, function: str, number: int, local: dt.datetime, version: int | None, key: str | None
    ) -> Reservation:
        """Reschedule what is scheduled, or retry what has failed."""
        moved = self.found(number)
        channel = self.channels[moved.channel]
        publish = self.instant(moved.channel, local)
        call = (function, number, local, version)
        if (done := self.replayed(key, call)) is not None:
            return done
        failed = function == "retry_upload"
        self.expect(moved, "failed" if failed else "scheduled", version)
        if not failed and moved.publish_time == publish:
            self.remember(key, call, moved)
            return moved
        self.free(moved.channel, publish, moved.video, moved)
        upload = self.upload_time(moved.channel, publish)
        attempt = moved.attempt + failed
        take = self.charges(moved.channel, moved.kind, publish, upload, attempt)
        change = take if failed else net(take, moved.held())
        self.room_for(change)
        self.post(moved, change)
        self.remember(key, call, moved)
        return self.change(
            moved,
            publish_time=publish,
            upload_time=upload,
            time_zone=channel.time_zone,
            status="scheduled",
            attempt=attempt,
            token=None if failed else moved.token,
            lease_expires_at=None,
        )

    def cancel(self, number: int, version: int | None) -> Reservation:
        cancelled = self.found(number)
        if cancelled.status == "cancelled":
            return cancelled
        self.expect(cancelled, "scheduled", version)
        self.post(cancelled, net(Counter(), cancelled.held()))
        return self.change(cancelled, status="cancelled")

    # Uploads.

    def start_charges(self, reservation: Reservation) -> Charges:
        """Return what beginning now takes: a move of its units, or those of a new attempt."""
        if reservation.status == "uploading":
            charges = self.charges(
                reservation.channel, reservation.kind, reservation.publish_time, self.now,
                reservation.attempt + 1,
            )  # fmt: skip
            return Counter({key: units for key, units in charges.items() if key[2] is not None})
        moved: Charges = Counter()
        for (limit, day, attempt), units in reservation.held().items():
            today = day_of(self.now, self.zone_of(limit, reservation.time_zone))
            moved[limit, day if attempt is None else today, attempt] += units
        return net(moved, reservation.held())

    def begin(
        self, reservation: Reservation, charges: Charges, lease: dt.timedelta | None
    ) -> Reservation:
        self.post(reservation, charges)
        self.tokens += 1
        return self.change(
            reservation,
            attempt=reservation.attempt + (reservation.status == "uploading"),
            status="uploading",
            upload_time=self.now,
            token=self.tokens,
            lease_expires_at=None if lease is None else self.now + lease,
            error_message=None,
        )

    def start(self, number: int, lease: dt.timedelta | None) -> Reservation:
        started = self.found(number)
        self.expect(started, "scheduled")
        charges = self.start_charges(started)
        self.room_for(charges)
        return self.begin(started, charges, lease)

    def is_due(self, reservation: Reservation) -> bool:
        if reservation.status == "scheduled":
            return reservation.upload_time <= self.now
        expires = reservation.lease_expires_at
        return reservation.status == "uploading" and expires is not None and expires <= self.now

    def claim(self, count: int, lease: dt.timedelta, channel: str | None) -> list[Reservation]:
        """Begin what is due, the first `count` at first, then more for those that did not fit.

        The later ones may need no other days than the first: those are what the call has locked.
        """
        if channel is not None and channel not in self.channels:
            raise Refused("SWCHN")
        due = sorted(
            (
                each
                for each in self.reservations.values()
                if self.is_due(each) and channel in (None, each.channel)
            ),
            key=lambda each: (each.upload_time, each.number),
        )
        locked = {key[:2] for each in due[:count] for key in self.start_charges(each)}
        claimed: list[Reservation] = []
        for each in due:
            charges = self.start_charges(each)
            if len(claimed) == count or not {key[:2] for key in charges} <= locked:
                continue
            try:
                self.room_for(charges)
            except Refused:
                continue
            claimed.append(self.begin(each, charges, lease))
        return claimed

    def complete(self, number: int, token: int, video_id: str | None) -> Reservation:
        done = self.found(number)
        if (done.status, done.token, done.youtube_video_id) == ("completed", token, video_id):
            return done
        self.expect(done, "uploading")
        if done.token != token:
            raise Refused("SWSTA")
        return self.change(
            done, status="completed", youtube_video_id=video_id, lease_expires_at=None
        )

    def fail(self, number: int, token: int, message: str | None) -> Reservation:
        failed = self.found(number)
        if (failed.status, failed.token) == ("failed", token):
            return failed
        self.expect(failed, "uploading")
        if failed.token != token:
            raise Refused("SWSTA")
        slot = {key: units for key, units in failed.held().items() if key[2] is None}
        self.post(failed, net(Counter(), Counter(slot)))
        return self.change(failed, status="failed", error_message=message, lease_expires_at=None)
