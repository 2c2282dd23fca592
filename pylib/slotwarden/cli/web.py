"""``slotwarden web``."""

from __future__ import annotations

import datetime as dt
import errno
import importlib.util
import ipaddress
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from sqlalchemy import Engine

from slotwarden.channels import zone_of
from slotwarden.cli.clock import channel_today
from slotwarden.cli.connection import embedded_server, engine_for, prepare_own_workspace
from slotwarden.cli.failures import ExitCode, Failure
from slotwarden.cli.settings import Settings, settings_of
from slotwarden.database import create_engine
from slotwarden.scheduler import Scheduler

_CONNECTIONS = 10
_NEEDED = ("fastapi", "uvicorn", "icalendar", "limits")
_APPLICATION = "slotwarden_app"


def web(
    context: typer.Context,
    *,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine need --token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes any that is free.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SLOTWARDEN_WEB_TOKEN",
            metavar="TOKEN",
            help="What callers must know. Safer in the variable: other users see command lines.",
        ),
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open the page in a browser; by default if there is a desktop."
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            "-c",
            help="A channel for the page's picker; may be given several times. The first is shown"
            " first. [default: all]",
        ),
    ] = None,
) -> None:
    """Show the calendar in a browser, and serve the API, until Ctrl-C.

    On the embedded PostgreSQL, where nothing was ever booked, an example week is booked first; a
    database that is named is left as it is. Connect there as a role that has been granted the
    workspace's role for applications, and no more.

    Needs the extra: pip install 'slotwarden[web]'
    """
    _require_extra()
    # The extra's, which a small installation does not have.
    from slotwarden.web import WebSettings, create_app  # noqa: PLC0415
    from slotwarden.web.server import listening_socket, serve  # noqa: PLC0415

    settings = settings_of(context)
    # As an empty variable is: a variable that is not set, written out by a shell, is no token.
    token = token or None
    if token is None and not _is_local(host):
        raise Failure(
            ExitCode.MISTAKE,
            f"{host} can be reached by others, so a token is needed",
            "Put 16 characters or more into SLOTWARDEN_WEB_TOKEN.",
        )
    channels = tuple(dict.fromkeys(channel or []))
    wanted = WebSettings(channels=channels, token=token, hosts=frozenset({host.lower()} - {""}))
    try:
        listening = listening_socket(host, port)
    except OSError as error:
        raise _no_port(host, port, error) from error
    with listening, _application_engine(settings) as engine:
        scheduler = Scheduler(
            engine, schema=settings.schema, channel=channels[0] if channels else "default"
        )
        # A channel or workspace that is not there is told now, and not by an empty page.
        scheduler.list_channels()
        for name in channels:
            scheduler.langflix_settings(channel=name)
        monday = _example_week(settings, scheduler)
        page = _address(host, listening.getsockname()[1]) + (f"#date={monday}" if monday else "")
        settings.output.notice(f"slotwarden web is at {page}", style="bold")
        settings.output.notice(
            "It asks for the token." if token else "Only this machine can reach it.", style="dim"
        )
        settings.output.notice("Ctrl-C ends it.")
        if _wants_browser(wanted=open_browser):
            # Without the token, which the command line of the browser would show to other users.
            webbrowser.open(page)
        # The usual end of a server.
        with suppress(KeyboardInterrupt):
            serve(create_app(scheduler, wanted), listening)
        settings.output.notice("Stopped.")


def _require_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Failure(
            ExitCode.MISTAKE,
            f"slotwarden web needs packages that are not installed: {', '.join(missing)}",
            "Install them with: pip install 'slotwarden[web]'",
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _no_port(host: str, port: int, error: OSError) -> Failure:
    if error.errno == errno.EADDRINUSE:
        return Failure(
            ExitCode.MISTAKE,
            f"port {port} is in use",
            "Choose another with --port; --port 0 takes any that is free.",
        )
    return Failure(ExitCode.MISTAKE, f"cannot listen on {host}, port {port}: {error.strerror}")


def _address(host: str, port: int) -> str:
    anywhere = {"0.0.0.0", "::", ""}  # noqa: S104
    shown = "localhost" if host in anywhere else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def _wants_browser(*, wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    # Elsewhere Python might start a browser inside the terminal.
    desktop = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return desktop and sys.stderr.isatty()


@contextmanager
def _application_engine(settings: Settings) -> Iterator[Engine]:
    """Give an engine of the application's role, on the embedded server; else of who is named."""
    if settings.database_url is not None:
        with engine_for(settings.database_url, _CONNECTIONS) as engine:
            yield engine
        return
    with embedded_server(settings) as server:
        with engine_for(server.url(), 1) as engine:
            prepare_own_workspace(engine, settings)
        engine = create_engine(
            server.url(),
            pool_size=_CONNECTIONS,
            max_overflow=0,
            connect_args={"options": f"-c role={_APPLICATION}"},
        )
        try:
            yield engine
        finally:
            engine.dispose()


def _example_week(settings: Settings, scheduler: Scheduler) -> dt.date | None:
    """Book the example week where that is welcome; return its Monday."""
    from slotwarden.web.example import book_example_week, is_untouched  # noqa: PLC0415

    if settings.database_url is not None:
        return None
    today = channel_today(scheduler, scheduler.channel, zone_of(scheduler, scheduler.channel))
    if not is_untouched(scheduler, today):
        return None
    booked = book_example_week(scheduler, today)
    if not booked:
        return None
    settings.output.notice(
        f"Nothing was booked in the embedded PostgreSQL yet, so {len(booked)} example videos were"
        f" booked in the week from {booked[0].local_date}. Cancel them as you like."
    )
    return booked[0].local_date
