"""Values to call with: what is meant, what is at an edge, and what is out of all bounds.

Both faces draw from the same texts. For SQL a value is an expression, so that it can also be what
no driver sends: a byte that is no character, or a megabyte made by the server.
"""

from __future__ import annotations

import json
from typing import Any

from fuzz_world import World
from hypothesis import strategies as st

MEGABYTE = 1_000_000

ZONES = [
    "FOO+3",
    "EST5EDT,M3.2.0,M11.1.0",
    "<X>-3",
    "america/new_york",
    "UTC+25",
    "+03",
    "GMT0",
    "posixrules",
    "posix/America/New_York",
    "localtime",
    "Factory",
    "../../etc/passwd",
    " UTC",
]
INJECTIONS = [
    "'; drop table slotwarden.reservation; --",
    "' or '1'='1",
    "$$; select pg_sleep(60); $$",
    "final'); truncate slotwarden.usage_ledger; --",
    'x" y',
    "\\",
    "\\'; --",
    "%s %(name)s %n",
    ":name",
    "${jndi:ldap://x}",
    "{}",
    "null",
]
TEXTS = [
    "",
    " ",
    " final",
    "final\n",
    "FINAL",
    "\u00e9t\u00e9",
    "e\u0301te\u0301",
    "\u202egnp.exe",
    "\ufeffshort",
    "\U0001f3ac" * 50,
    "\ufffe",
    "\x01\x1b[31m",
    "x" * 200,
    "x" * 201,
    "\u00e9" * 2000,
    *INJECTIONS,
    *ZONES,
]

# Expressions that PostgreSQL refuses to make, or that no driver would send.
_SQL_ONLY = ["E'a\\000b'", "E'\\xff'", "E'\\xed\\xa0\\x80'", f"repeat('x', {MEGABYTE})"]

_DATES = [
    "infinity", "-infinity", "0044-03-15 BC", "4713-01-01 BC", "0001-01-01", "9999-12-31",
    "9999-12-18", "10000-01-01", "5874897-12-31", "5874898-01-01", "2031-02-29", "2031-03-05",
    "2031-03-04", "2031-03-09", "2031-11-02", "today", "epoch", "31/12/2031", "2031-13-01", "",
    "20310309", "1970-01-01", "2031-03-06T10:00+09",
]  # fmt: skip
_TIMES = [
    "24:00", "24:00:01", "23:59:60", "23:59:59.999999", "23:59:59.9999999", "10:00:30",
    "10:00:00.5", "00:00", "23:59", "01:30", "02:00", "02:15", "02:30", "02:59", "10:00+05",
    "10:00 America/New_York", "10:00 FOO+3", "04:05 PM", "25:00", "allballs", "10", "now", "-1:00",
    "10:60",
]  # fmt: skip
_INSTANTS = [
    "infinity", "-infinity", "4713-01-01 00:00 BC", "0044-03-15 10:00Z BC", "0001-01-01 00:00Z",
    "9999-12-31 23:59Z", "9999-12-31 23:59-14", "10000-01-01 00:00Z", "294276-12-31 23:59Z",
    "294277-01-01 00:00Z", "2031-03-09 02:30 America/New_York", "2031-11-02 01:30 EST",
    "2031-11-02 01:30 EDT", "2031-03-07 24:00Z", "2031-03-07 23:59:60Z", "2031-03-07 10:00:30Z",
    "2031-03-07 10:00:00.5Z", "2031-03-07 10:00 FOO+3", "2031-03-07 10:00+15:59",
    "2031-03-07 10:00+16:00", "2031-03-07 10:00+00:00:01", "2031-03-05 12:00Z",
    "2031-03-05 12:01Z", "now", "epoch", "", "2031-03-07 10:00 Mars/Olympus",
]  # fmt: skip
_INTERVALS = [
    "0", "-1 hour", "1 microsecond", "0.5 second", "90 seconds", "1 day", "24 hours", "1 mon",
    "1 mon -30 days", "infinity", "-infinity", "178000000 years", "-178000000 years",
    "2147483647 days", "2562047788 hours", "P1Y2M", "9999999999 years", "bogus", "1 day -86400 s",
]  # fmt: skip
_INTEGERS = [
    "0", "-1", "2", "13", "366", "1000", "1001", "10000", "2147483646", "2147483647",
    "-2147483648", "2147483648", "9223372036854775807", "1.5", "1e3", "0x10", "", "NaN", "one",
]  # fmt: skip
_BIGINTS = [
    "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.0", "x",
]  # fmt: skip
_NUMERICS = [
    "0", "-1", "80.5", "100", "100.0001", "NaN", "Infinity", "-Infinity", "1e1000", "1e-1000",
    "1e200000", "x",
]  # fmt: skip
_FLAGS = ["true", "false", "maybe", "", "1"]
_TOKENS = ["00000000-0000-0000-0000-000000000000", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "no-uuid"]
_TEXT_ARRAYS = [
    "'{}'", "array[null]::text[]", "'{{final},{short}}'", "'{final,final}'", "'[0:0]={final}'",
    "array_fill('final'::text, array[20000])", "'{'", "array['', E'\\n', ' final']",
]  # fmt: skip
_TIME_ARRAYS = [
    "'{}'", "array[null]::time[]", "'{10:00,10:00}'", "'{{10:00},{11:00}}'", "'{24:00}'",
    "'{10:00:30}'", "'[0:1]={09:00,21:00}'", "array_fill(time '10:00', array[20000])", "'{10:00'",
    "array(select time '00:00' + n * interval '1 minute' from generate_series(0, 1439) as n)",
    "array['10:00', null]::time[]",
]  # fmt: skip
_JSON = [
    "", "{", "NaN", "[1e400]", '[{"type": "a\\u0000b"}]', '[{"type": "\\ud800"}]', "[" * 9000,
    "[" + "null," * 1000 + "null]", "null", "[]", "{}", "3", '"text"', '[[[]]]',
    '[{"a":1,"a":2}]', "[1e131073]",
]  # fmt: skip


def quoted(text: str) -> str:
    """Return a literal of a text that has no NUL."""
    return "'" + text.replace("'", "''") + "'"


def _seldom_hostile(meant: st.SearchStrategy[str], hostile: list[str]) -> st.SearchStrategy[str]:
    """Draw what is meant most of the time: a call with one odd argument gets the farthest."""
    return st.one_of(meant, meant, meant, meant, st.sampled_from(["null", *hostile]))


def _literals(texts: list[str]) -> list[str]:
    return [quoted(text) for text in texts]


def days_to_come() -> st.SearchStrategy[str]:
    return st.integers(1, 28).map(lambda day: f"2031-03-{day:02d}")


def clock_times() -> st.SearchStrategy[str]:
    half_hours = [f"{hour:02d}:{minute}" for hour in range(24) for minute in ("00", "30")]
    return st.sampled_from(half_hours)


def plain_texts() -> st.SearchStrategy[str]:
    """Draw any text that UTF-8 can hold and PostgreSQL can store."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(characters, max_size=30)


def json_values(world: World) -> st.SearchStrategy[Any]:
    """Draw what a batch or a schedule may look like, and what it may not."""
    words = st.sampled_from([word for known in world.names.values() for word in known])
    odd = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        plain_texts(),
        st.sampled_from(TEXTS),
        st.sampled_from(_DATES + _TIMES + _INSTANTS),
        st.lists(st.integers(), max_size=2),
    )

    def mostly(meant: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(meant, meant, meant, odd)

    item = st.fixed_dictionaries(
        {"type": mostly(st.sampled_from(world.names["type"]))},
        optional={
            "date": mostly(days_to_come()),
            "time": mostly(clock_times()),
            "publish_time": mostly(days_to_come().map(lambda day: f"{day}T10:00:00Z")),
            "channel": mostly(st.sampled_from(world.names["channel"])),
            "video": mostly(st.sampled_from(world.names["video"])),
            "request_key": mostly(st.sampled_from(world.names["request_key"])),
        },
    )
    usual = st.builds(
        lambda date, time, item: {**item, "date": date, "time": time},
        days_to_come(),
        clock_times(),
        item.map(lambda item: {k: v for k, v in item.items() if k != "publish_time"}),
    )
    row = st.fixed_dictionaries(
        {
            "id": mostly(st.integers(0, 5).map(str)),
            "video_path": mostly(words),
            "video_type": mostly(st.sampled_from(world.names["type"])),
            "scheduled_publish_time": mostly(
                days_to_come().map(lambda day: f"{day}T10:00:00+00:00")
            ),
            "upload_status": mostly(st.sampled_from(world.names["status"])),
        },
        optional={
            "youtube_video_id": mostly(words),
            "error_message": odd,
            "created_at": mostly(days_to_come().map(lambda day: f"{day}T10:00:00+00:00")),
        },
    )
    anything = st.recursive(
        odd,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)
        ),
        max_leaves=6,
    )
    return st.one_of(
        st.lists(usual, max_size=4),
        st.lists(usual, min_size=1, max_size=4),
        st.lists(item, max_size=3),
        st.lists(row, max_size=3),
        st.lists(row, min_size=1, max_size=3),
        anything,
        st.lists(anything, max_size=3),
    )


def _texts(name: str, world: World) -> st.SearchStrategy[str]:
    known = st.sampled_from(_literals(world.names.get(name, ["fuzz", "f\u00fczz"])))
    hostile = _literals(TEXTS) + _SQL_ONLY
    return st.one_of(_seldom_hostile(known, hostile), plain_texts().map(quoted))


def sql_values(name: str, kind: str, world: World) -> st.SearchStrategy[str]:
    """Draw SQL expressions for a parameter; an unknown type is given all sorts of texts."""
    of_kind: dict[str, tuple[st.SearchStrategy[str], list[str]]] = {
        "date": (days_to_come().map(quoted), _literals(_DATES)),
        "time without time zone": (clock_times().map(quoted), _literals(_TIMES)),
        "timestamp with time zone": (
            st.builds("{} {}Z".format, days_to_come(), clock_times()).map(quoted),
            _literals(_INSTANTS),
        ),
        "interval": (st.sampled_from(_literals(["15 minutes", "2 hours"])), _literals(_INTERVALS)),
        "integer": (
            st.sampled_from(world.numbers.get(name, list(range(1, 15)))).map(str),
            _literals(_INTEGERS),
        ),
        "bigint": (
            st.sampled_from(world.numbers.get(name, [1])).map(str),
            _literals(_BIGINTS),
        ),
        "numeric": (st.sampled_from(["50", "80"]), _literals(_NUMERICS)),
        "boolean": (st.sampled_from(["true", "false"]), _literals(_FLAGS)),
        "uuid": (st.sampled_from(_literals(world.names["token"])), _literals(_TOKENS)),
        "text[]": (
            st.lists(st.sampled_from(_literals(world.names["limit"])), max_size=2).map(
                lambda texts: f"array[{', '.join(texts)}]::text[]"
            ),
            _TEXT_ARRAYS,
        ),
        "time without time zone[]": (
            st.lists(clock_times().map(quoted), max_size=3, unique=True).map(
                lambda texts: f"array[{', '.join(texts)}]::time[]"
            ),
            _TIME_ARRAYS,
        ),
        "jsonb": (
            json_values(world).map(lambda value: quoted(json.dumps(value))),
            [*_literals(_JSON), f"jsonb_build_array(repeat('x', {MEGABYTE}))"],
        ),
    }
    if kind not in of_kind:
        return _texts(name, world)
    return _seldom_hostile(*of_kind[kind])
