"""``slotwarden psql``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from sqlalchemy import URL

from slotwarden.cli.connection import embedded_server, engine_for, prepare_own_workspace
from slotwarden.cli.failures import ExitCode, Failure
from slotwarden.cli.settings import settings_of
from slotwarden.database import create_engine, quote_identifier
from slotwarden.embedded import EmbeddedUnavailable, find_binaries

_KILLED_BY_SIGNAL = 128


def psql(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENTS]", help="Passed to psql, such as -c 'select ...'."),
    ] = None,
) -> None:
    """Open psql with the workspace in the search path, so that its functions need no schema.

    Try: slotwarden psql -- -c "select * from reserve_slot('2027-03-01', 'final', '10:00')"

    What follows 'psql' is psql's, so the options of slotwarden itself, such as --schema, stand
    before it: slotwarden --schema other psql

    The embedded PostgreSQL runs as long as psql does. The exit code is psql's own.
    """
    settings = settings_of(context)
    given = arguments or []
    if settings.database_url is not None:
        code = _run(_psql_program(None), settings.database_url, settings.schema, given)
    else:
        with embedded_server(settings) as server:
            with engine_for(server.url(), connections=1) as engine:
                prepare_own_workspace(engine, settings)
            code = _run(_psql_program(server.bin_dir), server.url(), settings.schema, given)
    raise typer.Exit(code)


def connection_string(url: URL | str) -> tuple[str, str | None, str | None]:
    """Take a URL apart for psql, which reads libpq's format only.

    Returns
    -------
    tuple
        The connection string without password; the password, which must not be seen in a list
        of processes; the ``options`` that the URL gives.
    """
    engine = create_engine(url)
    try:
        parameters = dict(engine.dialect.create_connect_args(engine.url)[1])
    finally:
        engine.dispose()
    password = parameters.pop("password", None)
    options = parameters.pop("options", None)
    joined = " ".join(f"{name}={_quoted(str(value))}" for name, value in parameters.items())
    return joined, password, options


def _run(program: Path, url: str, schema: str, arguments: list[str]) -> int:
    dsn, password, options = connection_string(url)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = password
    environment["PGOPTIONS"] = " ".join(
        part
        for part in (environment.get("PGOPTIONS"), options, _search_path_option(schema))
        if part
    )
    command = [str(program), f"--dbname={dsn}", *arguments]
    # A child, not exec: whoever starts the embedded server has to stay.
    return _wait_for(command, environment)


def _wait_for(command: list[str], environment: Mapping[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as child, _signals_left_to(child):
        code = child.wait()
    return code if code >= 0 else _KILLED_BY_SIGNAL - code


@contextmanager
def _signals_left_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let Ctrl-C cancel psql's query instead of ending this process, and pass SIGTERM on."""

    def ignore(_signal: int, _frame: FrameType | None) -> None:
        """Leave it to psql, which the terminal tells as well."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, ignore),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _psql_program(bin_dir: Path | None) -> Path:
    """Find psql: beside the server's binaries, among those of the package, on ``PATH``."""
    if bin_dir is None:
        try:
            bin_dir = find_binaries()
        except EmbeddedUnavailable:
            bin_dir = None
    if bin_dir is not None and os.access(bin_dir / "psql", os.X_OK):
        return bin_dir / "psql"
    found = shutil.which("psql")
    if found is None:
        raise Failure(
            ExitCode.UNAVAILABLE,
            "There is no psql here.",
            "Install one: pip install 'slotwarden[embedded]', or your system's PostgreSQL client.",
        )
    return Path(found)


def _search_path_option(schema: str) -> str:
    path = f"{quote_identifier(schema)},public"
    # The server splits PGOPTIONS at spaces, and takes a backslash for an escape.
    return "-c search_path=" + path.replace("\\", "\\\\").replace(" ", "\\ ")


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
