"""Database addresses as people write them, and engines that suit slotwarden."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlencode, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from .exceptions import InvalidArgument

DRIVERS = ("psycopg2", "psycopg")
"""The drivers whose error reports `slotwarden.errors` can read."""

# PostgreSQL cuts longer names off, in bytes.
_LONGEST_NAME = 63

_LAST_PORT = 65535
_PORT_DIGITS = 5

_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d*))?")

_HINT = "Write it as postgresql://user@host:5432/database."

# Seconds, unless the name says otherwise. A network that swallows packets must
# become an error: keepalives cover a wait for the answer, tcp_user_timeout
# (milliseconds) a request that is never acknowledged. The client encoding is
# told at connect, so that titles survive a server that defaults to SQL_ASCII.
_CONNECT_DEFAULTS: dict[str, str | int] = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "fallback_application_name": "slotwarden",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_ENVIRONMENT = {"client_encoding": "PGCLIENTENCODING", "connect_timeout": "PGCONNECT_TIMEOUT"}


def check_name(name: str, of: str) -> None:
    """Refuse what PostgreSQL cannot have as a name, or would cut off.

    Parameters
    ----------
    name : str
        The name of a schema or a role.
    of : str
        What it names, with its article, for the message.

    Raises
    ------
    InvalidArgument
        SWARG: empty, with a NUL, or longer than 63 bytes.
    """
    if not name or "\0" in name or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise InvalidArgument(
            f"{of} cannot be called {name!r}",
            hint=f"PostgreSQL's names have 1 to {_LONGEST_NAME} bytes, and no NUL.",
        )


def quote_identifier(name: str) -> str:
    """Quote a schema's name for SQL, whatever characters it has.

    Raises
    ------
    InvalidArgument
        SWARG: as in `check_name`.
    """
    check_name(name, "a schema")
    return '"' + name.replace('"', '""') + '"'


def _with_hosts_in_query(url: str) -> str:
    """Move several hosts with ports, which SQLAlchemy cannot read, to where libpq reads them."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    found = [_HOST_AND_PORT.fullmatch(host) for host in hosts.split(",")]
    if "," not in hosts or not all(found):
        return url
    places = {
        name: ",".join((match[name] or "").strip("[]") for match in found if match)
        for name in ("host", "port")
    }
    query = "&".join(filter(None, [urlencode(places, safe=",:"), parts.query]))
    return f"{parts.scheme}://{user}{at}{parts.path}?{query}"


def _check_ports(url: URL) -> None:
    in_query = url.query.get("port", ())
    written = [in_query] if isinstance(in_query, str) else in_query
    ports = [port for ports in written for port in ports.split(",") if port]
    for port in [*ports, *([] if url.port is None else [str(url.port)])]:
        if not (port.isdecimal() and len(port) <= _PORT_DIGITS and 0 < int(port) <= _LAST_PORT):
            raise InvalidArgument(
                f"the database URL has the port {port!r}",
                hint=f"A port is a number from 1 to {_LAST_PORT}.",
            )


def normalise_url(url: str | URL) -> URL:
    """Read a database address so that SQLAlchemy 2.0 and 2.1 open it alike.

    ``postgres://``, ``postgresql://`` and ``postgresql+psycopg2://`` mean
    psycopg2; ``postgresql+psycopg://`` is left as it is. The query and the
    host are kept; a Unix socket may be given as ``?host=/directory`` or,
    as libpq has it, as ``//%2Fdirectory/database``. So may several hosts:
    ``?host=one:5432&host=two:5432`` or ``//one:5432,two:5432/database``.

    Raises
    ------
    InvalidArgument
        SWARG: not an address, another database system, or another driver. The
        message holds no password.
    """
    try:
        parsed = make_url(_with_hosts_in_query(url) if isinstance(url, str) else url)
    except (ArgumentError, ValueError) as error:
        raise InvalidArgument("the database URL cannot be read", hint=_HINT) from error
    system, _, driver = parsed.drivername.partition("+")
    if system not in ("postgres", "postgresql"):
        raise InvalidArgument(f"{system} is not PostgreSQL", hint=_HINT)
    if (driver or "psycopg2") not in DRIVERS:
        raise InvalidArgument(
            f"slotwarden cannot work through the driver {driver}",
            hint=f"Supported are {' and '.join(DRIVERS)}.",
        )
    _check_ports(parsed)
    parsed = parsed.set(drivername=f"postgresql+{driver or 'psycopg2'}")
    if parsed.host is not None and parsed.host.lower().startswith("%2f"):
        socket = {"host": unquote(parsed.host)}
        if parsed.port is not None:
            socket["port"] = str(parsed.port)
        parsed = URL.create(
            parsed.drivername,
            parsed.username,
            parsed.password,
            database=parsed.database,
            query={**parsed.query, **socket},
        )
    return parsed


def transactional(engine: Engine) -> Engine:
    """Give the same engine with transactions, at the level at which maxima may be changed.

    On a caller's in autocommit a dry run would be carried out, and an upgrade
    would leave the schema that it has set.
    """
    return engine.execution_options(isolation_level="READ COMMITTED")


def create_engine(
    url: str | URL, *, connect_args: Mapping[str, object] | None = None, **options: object
) -> Engine:
    """Make an engine for slotwarden's calls.

    Connecting gives up after 10 s, a silent network after about a minute;
    the sessions are named ``slotwarden``. What the URL, ``PGCONNECT_TIMEOUT``,
    ``PGCLIENTENCODING``, ``PGAPPNAME`` or ``connect_args`` say comes first.
    Errors show the parameters of their statement; pass
    ``hide_parameters=True`` where titles of videos must not reach a log.

    Parameters
    ----------
    url : str or URL
        As in `normalise_url`.
    connect_args : mapping, optional
        Parameters of libpq.
    **options
        Passed to `sqlalchemy.create_engine`.

    Raises
    ------
    InvalidArgument
        SWARG, as in `normalise_url`, or the driver is not installed. Nothing is
        connected to yet.
    """
    address = normalise_url(url)
    defaults = {
        name: value
        for name, value in _CONNECT_DEFAULTS.items()
        if name not in address.query and _ENVIRONMENT.get(name, "") not in os.environ
    }
    if address.get_driver_name() == "psycopg2":
        # Saves each new connection three round trips; no result is an hstore.
        options.setdefault("use_native_hstore", False)
    parameters = {**defaults, **(connect_args or {})}
    try:
        return sa.create_engine(address, connect_args=parameters, **options)
    except ModuleNotFoundError as error:
        driver = address.get_driver_name()
        if error.name != driver:
            raise
        raise InvalidArgument(
            f"the driver {driver} is not installed", hint=f"Install it: pip install {driver}"
        ) from error
