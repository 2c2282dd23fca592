"""The database of the runs: set up once, emptied before each run, read after it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

import psycopg2

from slotwarden import migrations

from .calls import Registry, first_day
from .history import Channel, Entry, History, LimitDay, Rule, State, World
from .plan import DEFAULT, SECOND, UNITS, Planner, Shape, limits
from .workload import Client, run_clients, settle

_ZONES = {DEFAULT: "America/New_York", SECOND: "Asia/Tokyo"}
_LEADS = {DEFAULT: dt.timedelta(days=60), SECOND: dt.timedelta(days=1)}
_POSTING_TIMES = (dt.time(10), dt.time(14), dt.time(18), dt.time(20, 30))
_BOOKED = ("reservation", "usage_ledger", "request", "limit_day", "external_usage", "blackout")


class Workspace:
    """A database with slotwarden, and clients that stay connected from run to run."""

    def __init__(self, url: str, clients: int) -> None:
        self._url = url
        self._count = clients
        self.connection = psycopg2.connect(url, options="-c TimeZone=UTC")
        self.connection.autocommit = True
        self._clients: list[Client] = []

    def install(self) -> None:
        """Install slotwarden, with two channels and four types that charge in different ways."""
        migrations.upgrade(self._url)
        self._call("set_channel", DEFAULT, _ZONES[DEFAULT], _LEADS[DEFAULT])
        self._call("set_daily_limit", "uploads", 1, "publish", "channel")
        for kind in ("extra", "free"):
            self._call("add_video_type", kind)
        for kind, units in UNITS.items():
            self._call("set_charge", kind, kind, 1000)
            self._call("set_charge", kind, "uploads", units)
        self._call("set_charge", "extra", "api_units", 50)
        self._call("set_posting_times", list(_POSTING_TIMES))
        self._call("create_channel", SECOND, _ZONES[SECOND], _LEADS[SECOND], ["api_units"], DEFAULT)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.connection.close()

    def _call(self, function: str, *arguments: Any) -> None:
        places = ", ".join(
            "%s::time[]" if function == "set_posting_times" else "%s" for _ in arguments
        )
        self.connection.cursor().execute(f"select slotwarden.{function}({places})", arguments)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(query, parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def empty(self, shape: Shape, calls: int) -> World:
        """Remove what the last run has left, and return the world of the next."""
        cursor = self.connection.cursor()
        tables = ", ".join(f"slotwarden.{table}" for table in _BOOKED)
        # Truncating is refused otherwise, as is every change of the ledger.
        cursor.execute("set session_replication_role = replica")
        cursor.execute(f"truncate {tables} cascade")
        cursor.execute("set session_replication_role = default")
        maximums = limits(shape, calls)
        for limit, maximum in maximums.items():
            self._call("set_daily_limit", limit, maximum)
        start = dt.datetime.combine(first_day(), dt.time(12), dt.UTC)
        for channel in _ZONES:
            self._call("add_blackout", start, start + dt.timedelta(hours=1), "holiday", channel)
        return self._world(start, maximums)

    def _world(self, blackout: dt.datetime, maximums: dict[str, int]) -> World:
        rules: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        zones: dict[str, str] = {}
        for channel, kind, limit, units, counted_at, zone in self.rows(
            """
            select r.channel_id, r.video_type, r.limit_id, r.units, l.counted_at,
              coalesce(l.time_zone, c.time_zone)
            from slotwarden.charge_rule as r
            join slotwarden.daily_limit as l on l.limit_id = r.limit_id
            join slotwarden.channel as c on c.channel_id = r.channel_id
            """
        ):
            rules[channel, kind].append(Rule(limit, units, counted_at, zone))
            zones[limit] = zone
        spans = ((blackout, blackout + dt.timedelta(hours=1)),)
        channels = {
            name: Channel(name, _ZONES[name], _LEADS[name], _POSTING_TIMES, spans)
            for name in _ZONES
        }
        return World(channels, {k: tuple(v) for k, v in rules.items()}, zones, maximums)

    def run(self, seed: int, shape: Shape, calls: int) -> History:
        """Let the clients loose on an empty workspace, and return the whole history."""
        world = self.empty(shape, self._count * calls)
        registry = Registry()
        if not self._clients:
            self._clients = [
                Client(number, self._url, world, registry) for number in range(self._count)
            ]
        for client in self._clients:
            client.begin_run(world, registry)
        planner = Planner(seed, shape, first_day(), self._count, calls)
        run_clients(self._clients, planner.plan())
        unknown = [op for client in self._clients for op in client.ops if op.outcome == "unknown"]
        settle(self._clients[0], unknown, self.connection)
        ops = sorted((op for client in self._clients for op in client.ops), key=lambda op: op.start)
        return self.read(History(f"{shape.name}, seed {seed}", world, ops))

    def read(self, history: History) -> History:
        """Add the rows of the tables to a history."""
        history.reservations = [
            State(*row)
            for row in self.rows(f"select {', '.join(State._fields)} from slotwarden.reservation")
        ]
        columns = ", ".join(Entry._fields)
        history.ledger = [
            Entry(*row)
            for row in self.rows(
                f"select {columns} from slotwarden.usage_ledger order by limit_id, day, version"
            )
        ]
        history.days = [
            LimitDay(*row)
            for row in self.rows(
                "select limit_id, day, max_units, overridden from slotwarden.limit_day"
            )
        ]
        history.maximums = dict(self.rows("select limit_id, max_units from slotwarden.daily_limit"))
        history.requests = {
            key: (function, number)
            for key, function, number in self.rows(
                "select request_key, function, reservation_id from slotwarden.request"
            )
        }
        history.drift = self.rows("select * from slotwarden.usage_drift")
        return history
