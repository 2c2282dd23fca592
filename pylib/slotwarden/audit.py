"""Recounts a workspace from its rows, trusting neither its views nor its ledger.

What was booked is added up in Python, from reservations, rules and zones, and compared with the
maximums; then the ledger is checked against that count.

Assumes that rules, zones and limits are those of the bookings, and that no upload was tried twice;
so it is for a workspace of which that is known, such as the demo's. `usage_drift` is the check for
all others.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, text

from slotwarden.database import quote_identifier

Day = tuple[str, dt.date]

_LIVE = ("scheduled", "uploading", "completed")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a recount found.

    Attributes
    ----------
    bookings : int
        Reservations that hold a slot.
    days : int
        Days of limits that they charge.
    overbooked : tuple of str
        Days with more than their maximum, slots and videos booked twice.
    inconsistent : tuple of str
        Everything else that does not add up.
    """

    bookings: int
    days: int
    overbooked: tuple[str, ...]
    inconsistent: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.overbooked and not self.inconsistent

    @property
    def verdict(self) -> str:
        """The result in one line."""
        counted = f"{self.bookings} bookings recounted on {self.days} days"
        if self.overbooked:
            return f"OVERBOOKED: {'; '.join(self.overbooked)} ({counted})"
        if self.inconsistent:
            return f"Nothing overbooked, but: {'; '.join(self.inconsistent)} ({counted})"
        return f"Nothing overbooked: {counted}, all adds up."


def audit(connection: Connection, schema: str) -> Audit:
    """Recount a workspace.

    Parameters
    ----------
    connection : Connection
        Of a role that may read the tables; nothing is locked or changed. Whoever books meanwhile
        makes the figures disagree.
    schema : str
        The workspace.
    """
    tables = _Tables(connection, schema)
    reservations = tables.read("reservation")
    live = [row for row in reservations if row["upload_status"] in _LIVE]
    recounted = _recount(tables, reservations)
    maximums = {(row["limit_id"], row["day"]): row["max_units"] for row in tables.read("limit_day")}
    ledger = tables.read("usage_ledger")
    return Audit(
        bookings=len(live),
        days=len(recounted),
        overbooked=(*_over_maximum(recounted, maximums), *_booked_twice(live)),
        inconsistent=(*_ledger_faults(ledger, recounted), *_drift(tables)),
    )


class _Tables:
    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._prefix = quote_identifier(schema).replace(":", r"\:")

    def read(self, table: str) -> Sequence[RowMapping]:
        query = text(f"select * from {self._prefix}.{table}")  # noqa: S608
        return self._connection.execute(query).mappings().all()


def _recount(tables: _Tables, reservations: Sequence[RowMapping]) -> Counter[Day]:
    limits = {row["limit_id"]: row for row in tables.read("daily_limit")}
    rules: dict[tuple[str, str], list[RowMapping]] = defaultdict(list)
    for rule in tables.read("charge_rule"):
        rules[rule["channel_id"], rule["video_type"]].append(rule)
    used: Counter[Day] = Counter()
    for reservation in reservations:
        for rule in rules[reservation["channel_id"], reservation["video_type"]]:
            limit = limits[rule["limit_id"]]
            if _holds(reservation, limit):
                used[rule["limit_id"], _day(reservation, limit)] += rule["units"]
    return used


def _holds(reservation: RowMapping, limit: RowMapping) -> bool:
    status = reservation["upload_status"]
    # A failed upload has spent its units, but publishes nothing.
    return status in _LIVE or (status == "failed" and limit["counted_at"] == "upload")


def _day(reservation: RowMapping, limit: RowMapping) -> dt.date:
    counted = "scheduled_publish_time" if limit["counted_at"] == "publish" else "upload_time"
    instant: dt.datetime = reservation[counted]
    return instant.astimezone(ZoneInfo(limit["time_zone"] or reservation["time_zone"])).date()


def _over_maximum(used: Mapping[Day, int], maximums: Mapping[Day, int]) -> Iterator[str]:
    for (limit, day), units in sorted(used.items()):
        maximum = maximums.get((limit, day))
        if maximum is None:
            yield f"{limit} on {day}: {units} used, though the day has no maximum"
        elif units > maximum:
            yield f"{limit} on {day}: {units} of {maximum} used"


def _booked_twice(live: Sequence[RowMapping]) -> Iterator[str]:
    slots = Counter((row["channel_id"], row["scheduled_publish_time"]) for row in live)
    videos = Counter((row["channel_id"], row["video_path"]) for row in live if row["video_path"])
    for (channel, booked), count in (slots + videos).items():
        if count > 1:
            yield f"{booked} of channel {channel} is booked {count} times"


def _ledger_faults(ledger: Sequence[RowMapping], recounted: Mapping[Day, int]) -> Iterator[str]:
    entries: dict[Day, list[RowMapping]] = defaultdict(list)
    for entry in ledger:
        entries[entry["limit_id"], entry["day"]].append(entry)
    for limit, day in sorted(entries.keys() | recounted.keys()):
        balance = 0
        history = sorted(entries[limit, day], key=lambda entry: entry["version"])
        for version, entry in enumerate(history, start=1):
            balance += entry["units"]
            if entry["version"] != version:
                yield f"the ledger of {limit} on {day} lacks version {version}"
                break
            if entry["used_units"] != balance:
                yield f"the ledger of {limit} on {day} is wrong from version {version} on"
                break
            if entry["units"] > 0 and balance > entry["max_units"]:
                yield f"the ledger of {limit} on {day} passed the maximum in version {version}"
                break
        else:
            counted = recounted.get((limit, day), 0)
            if balance != counted:
                yield f"the ledger of {limit} on {day} says {balance}, the bookings {counted}"


def _drift(tables: _Tables) -> Iterator[str]:
    for row in tables.read("usage_drift"):
        yield f"usage_drift: {row['limit_id']} on {row['day']}: {row['detail']}"
