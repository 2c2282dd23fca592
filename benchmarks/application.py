"""Contenders that are application code: the wrapper, an ORM, SERIALIZABLE, a lock in Redis.

Each books the wishes of a round through a pool of connections and says whether it did; False is a
refusal because the day is full. They are written as somebody who knows the tools would.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import insert

from benchmarks.wishes import Wish
from benchmarks.workspace import UNITS
from slotwarden import DailyLimitReached, Scheduler, create_engine

_TTL_SECONDS = 10
_POLL_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.05


class Contender(ABC):
    """Something that books."""

    def __init__(self, url: str, threads: int, room: dict[str, int]) -> None:
        self.engine = create_engine(url, pool_size=threads, max_overflow=0)
        self.room = room

    @abstractmethod
    def book(self, wish: Wish) -> bool:
        """Book a slot; False when the day is full."""

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


class Wrapper(Contender):
    """slotwarden's own Python."""

    def __init__(self, url: str, threads: int, room: dict[str, int]) -> None:
        super().__init__(url, threads, room)
        self._scheduler = Scheduler(self.engine)

    def book(self, wish: Wish) -> bool:
        try:
            self._scheduler.reserve_slot(wish.day, "short", wish.time, channel=wish.channel)
        except DailyLimitReached:
            return False
        return True


class _Base(orm.DeclarativeBase):
    pass


class _Usage(_Base):
    __tablename__ = "orm_usage"
    __table_args__ = {"schema": "bench"}  # noqa: RUF012
    limit_id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    day: orm.Mapped[dt.date] = orm.mapped_column(primary_key=True)
    used_units: orm.Mapped[int]
    max_units: orm.Mapped[int]


class _Booking:
    reservation_id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    channel_id: orm.Mapped[str]
    video_type: orm.Mapped[str]
    scheduled_publish_time: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    upload_time: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    local_date: orm.Mapped[dt.date]
    time_zone: orm.Mapped[str]
    upload_status: orm.Mapped[str]
    attempt: orm.Mapped[int]
    held_units: orm.Mapped[int]
    version: orm.Mapped[int]
    charged_at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    created_at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    created_by: orm.Mapped[str]


class _Reservation(_Booking, _Base):
    __tablename__ = "orm_reservation"
    __table_args__ = {"schema": "bench"}  # noqa: RUF012


class _SerialReservation(_Booking, _Base):
    __tablename__ = "serial_reservation"
    __table_args__ = {"schema": "bench"}  # noqa: RUF012
    pool: orm.Mapped[str]


_LIVE = ("scheduled", "uploading", "completed")


def _columns(wish: Wish) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    slot = dt.datetime.combine(wish.day, wish.time, dt.UTC)
    return {
        "channel_id": wish.channel, "video_type": "short", "scheduled_publish_time": slot,
        "upload_time": slot, "local_date": wish.day, "time_zone": "UTC",
        "upload_status": "scheduled", "attempt": 1, "held_units": UNITS + 1, "version": 1,
        "charged_at": now, "created_at": now, "created_by": "application",
    }  # fmt: skip


class Orm(Contender):
    """Lock the day's rows, look at the slot, insert, update, commit: five round trips."""

    def book(self, wish: Wish) -> bool:
        units = {f"{wish.pool}/api_units": UNITS, f"{wish.pool}/short": 1}
        with orm.Session(self.engine, expire_on_commit=False) as session, session.begin():
            days = self._locked(session, wish, list(units))
            if len(days) < len(units):
                # A row that is not there cannot be locked.
                session.execute(
                    insert(_Usage).on_conflict_do_nothing(),
                    [
                        {
                            "limit_id": limit,
                            "day": wish.day,
                            "used_units": 0,
                            "max_units": self.room[limit],
                        }
                        for limit in sorted(units)
                    ],
                )
                days = self._locked(session, wish, list(units))
            if any(day.used_units + units[day.limit_id] > day.max_units for day in days):
                return False
            values = _columns(wish)
            taken = session.scalar(
                sa.select(_Reservation.reservation_id).where(
                    _Reservation.channel_id == wish.channel,
                    _Reservation.scheduled_publish_time == values["scheduled_publish_time"],
                    _Reservation.upload_status.in_(_LIVE),
                )
            )
            if taken is not None:
                raise RuntimeError(f"{wish} is taken: wishes are distinct")
            session.add(_Reservation(**values))
            for day in days:
                day.used_units += units[day.limit_id]
        return True

    @staticmethod
    def _locked(session: orm.Session, wish: Wish, limits: list[str]) -> list[_Usage]:
        return list(
            session.scalars(
                sa.select(_Usage)
                .where(_Usage.limit_id.in_(limits), _Usage.day == wish.day)
                .order_by(_Usage.limit_id)
                .with_for_update()
            )
        )


class Serializable(Contender):
    """Count and insert under SERIALIZABLE, again and again until no conflict is left."""

    def __init__(self, url: str, threads: int, room: dict[str, int]) -> None:
        super().__init__(url, threads, room)
        self._engine = self.engine.execution_options(isolation_level="SERIALIZABLE")
        table = _SerialReservation.__table__
        pool = sa.func.coalesce(table.c.pool, table.c.channel_id)
        # One limit of shorts and one of units, both counted on this day.
        self._count = sa.select(
            sa.func.count().filter(table.c.video_type == "short"),
            sa.func.coalesce(sa.func.sum(table.c.held_units - 1), 0),
        ).where(
            pool == sa.bindparam("pool"),
            table.c.local_date == sa.bindparam("day"),
            table.c.upload_status.in_(_LIVE),
        )
        self._insert = sa.insert(_SerialReservation)

    def book(self, wish: Wish) -> bool:
        pause = 0.001
        while True:
            try:
                return self._try(wish)
            except sa.exc.OperationalError as error:
                if getattr(error.orig, "pgcode", None) not in ("40001", "40P01"):
                    raise
            time.sleep(random.uniform(0, pause))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _try(self, wish: Wish) -> bool:
        with self._engine.begin() as connection:
            row = connection.execute(self._count, {"pool": wish.pool, "day": wish.day}).one()
            full = row[0] + 1 > self.room[f"{wish.pool}/short"]
            if full or row[1] + UNITS > self.room[f"{wish.pool}/api_units"]:
                return False
            connection.execute(self._insert, {**_columns(wish), "pool": wish.pool})
        return True


class RedisLock(Orm):
    """The same behind a lock in Redis that expires."""

    def __init__(self, url: str, threads: int, room: dict[str, int], redis_socket: str) -> None:
        super().__init__(url, threads, room)
        # Only here, so that the others run without it.
        import redis  # noqa: PLC0415

        self._redis = redis.Redis(unix_socket_path=redis_socket, max_connections=threads + 1)

    def book(self, wish: Wish) -> bool:
        name = f"day:{wish.pool}:{wish.day}"
        with self._redis.lock(name, timeout=_TTL_SECONDS, sleep=_POLL_SECONDS):
            return super().book(wish)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._redis.close()
        super().close()


def make(
    name: str, url: str, threads: int, room: dict[str, int], redis_socket: str | None
) -> Contender:
    """Make a contender by its name."""
    if name == "redis":
        if redis_socket is None:
            raise ValueError("the contender redis needs a running Redis")
        return RedisLock(url, threads, room, redis_socket)
    kinds: dict[str, Callable[[str, int, dict[str, int]], Contender]] = {
        "python": Wrapper,
        "orm": Orm,
        "serializable": Serializable,
    }
    return kinds[name](url, threads, room)
