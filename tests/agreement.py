"""Doing a step to PostgreSQL and to the model, and comparing what came of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from model import Refused, Reservation, Wish, day_of
from model_settings import Workspace
from support import Outcome, PgConnection, assert_consistent, attempt, call_sql, query

_RESERVATIONS = """
select reservation_id, channel_id, video_type, video_path, scheduled_publish_time, upload_time,
  local_date, time_zone, upload_status, attempt, version, lease_token, lease_expires_at,
  youtube_video_id, error_message
from slotwarden.reservation
order by reservation_id
"""
_STEP = "release step; update slotwarden.stopped_clock set at = %s; savepoint step"
_USAGE = "select limit_id, day, used_units, max_units from slotwarden.daily_usage"


M = TypeVar("M", bound=Callable[..., None])


def operation(weight: int, **arguments: st.SearchStrategy[Any]) -> Callable[[M], M]:
    """Make a method one of the operations that a step chooses from, with such arguments.

    Hypothesis leaves out many rules of each sequence, so that few would meet: hence one rule.
    """

    def marked(method: M) -> M:
        method.operation = (weight, st.fixed_dictionaries(arguments))  # type: ignore[attr-defined]
        return method

    return marked


def _reservation_id(row: Any) -> int:
    """Return the key of a reservation, also where it is a column, as text."""
    if hasattr(row, "reservation_id"):
        return int(row.reservation_id)
    return int(row.reservation[1:].partition(",")[0])


class Agreement(RuleBasedStateMachine):
    """Each sequence is one transaction, rolled back; its clock moves only between steps."""

    db: ClassVar[PgConnection]
    seen: ClassVar[Counter[str]]
    choices: ClassVar[st.SearchStrategy[str]]

    def __init_subclass__(cls) -> None:
        names = [name for name in dir(cls) if hasattr(getattr(cls, name), "operation")]
        cls.choices = st.sampled_from(
            [name for name in names for _ in range(getattr(cls, name).operation[0])]
        )

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        chosen = getattr(self, data.draw(self.choices, label="operation"))
        chosen(**data.draw(chosen.operation[1], label="arguments"))

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[int, int] = {}
        self.tokens: dict[int, str] = {}
        self.model = Workspace(dt.datetime(2031, 1, 1, tzinfo=dt.UTC))
        query(self.db, "savepoint step")

    def teardown(self) -> None:
        try:
            query(self.db, "set constraints all immediate")
            assert_consistent(self.db)
        finally:
            self.db.rollback()

    def agree(
        self, expected: Callable[[], Any], function: str, **named: Any
    ) -> tuple[Any, Outcome]:
        """Return what the model and PostgreSQL gave; a refusal must be the same of both."""
        self.model.now += dt.timedelta(seconds=1)
        try:
            wanted = expected()
        except Refused as refusal:
            wanted = refusal
        sql, parameters = call_sql(function, **named)
        outcome = attempt(self.db, f"{_STEP}; {sql}", self.model.now, *parameters)
        if outcome.sqlstate is not None:
            query(self.db, "rollback to step")
        code, facts = outcome.sqlstate, {}
        if code == "SWLIM":
            facts = outcome.facts
        elif function == "try_reserve_slot" and code is None and outcome.row.reservation is None:
            code, facts = outcome.row.outcome, outcome.row.detail
        assert code == (wanted.code if isinstance(wanted, Refused) else None), outcome
        if code == "SWLIM":
            assert facts.items() >= wanted.facts.items()
        self.seen[code or function] += 1
        return wanted, outcome

    def agree_on_one(self, expected: Callable[[], Any], function: str, **named: Any) -> None:
        """The same, where a reservation is returned."""
        wanted, outcome = self.agree(expected, function, **named)
        if isinstance(wanted, Reservation):
            self.know(wanted, outcome.row)

    def know(self, reservation: Reservation, row: Any) -> None:
        """Remember by which key PostgreSQL knows a reservation, and the token of its upload."""
        key = _reservation_id(row)
        assert self.ids.setdefault(reservation.number, key) == key
        token = getattr(row, "lease_token", None)
        if reservation.token is not None and token is not None:
            assert self.tokens.setdefault(reservation.token, token) == token

    def today(self, channel: str) -> dt.date:
        here = self.model.channels.get(channel, self.model.channels["default"])
        return day_of(self.model.now, here.time_zone)

    def pick(self, choice: int, *statuses: str) -> tuple[int, int]:
        """Choose a reservation, mostly one in a fitting status: its number and its key."""
        everything = self.model.reservations.values()
        fitting = [each.number for each in everything if each.status in statuses]
        pool = fitting * 5 + [each.number for each in everything] + [0]
        number = pool[choice % len(pool)]
        return number, self.ids.get(number, -1)

    def version(self, number: int, staleness: int | None) -> int | None:
        if staleness is None or number not in self.model.reservations:
            return None
        return self.model.reservations[number].version - staleness

    def local(self, channel: str, day: int, time: dt.time) -> dt.datetime:
        return dt.datetime.combine(self.today(channel) + dt.timedelta(day), time)

    def wish(self, given: tuple[Any, ...]) -> Wish:
        channel, kind, day, time, video, key = given
        return Wish(channel, kind, self.local(channel, day, time), video, key)

    @invariant()
    def the_same_reservations(self) -> None:
        found = [tuple(row) for row in query(self.db, _RESERVATIONS)]
        expected = [
            (
                self.ids[each.number],
                each.channel,
                each.kind,
                each.video,
                each.publish_time,
                each.upload_time,
                day_of(each.publish_time, each.time_zone),
                each.time_zone,
                each.status,
                each.attempt,
                each.version,
                None if each.token is None else self.tokens[each.token],
                each.lease_expires_at,
                each.youtube_video_id,
                each.error_message,
            )
            for each in self.model.reservations.values()
        ]
        assert found == expected

    @invariant()
    def the_same_usage(self) -> None:
        rows = query(self.db, _USAGE)
        found = {(row.limit_id, row.day): row.used_units for row in rows if row.used_units}
        assert found == {key: units for key, units in self.model.used.items() if units}
        for row in rows:
            # What a day's maximum was when it passed is kept; the model knows today's only.
            if row.day > self.model.now.date() + dt.timedelta(days=1):
                assert row.max_units == self.model.max_units(row.limit_id, row.day)
