"""The database of a command: the one that is named, or else the embedded PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Engine

import slotwarden
from slotwarden.cli.failures import ExitCode, Failure
from slotwarden.cli.settings import Settings
from slotwarden.database import create_engine
from slotwarden.embedded import EmbeddedServer, shared_server
from slotwarden.exceptions import SlotwardenError
from slotwarden.scheduler import Scheduler


@contextmanager
def opened_engine(
    settings: Settings, *, prepare: bool = True, connections: int = 5
) -> Iterator[Engine]:
    """Give an engine on the command's database; closed afterwards.

    Without a URL the shared embedded PostgreSQL is started or joined.

    Parameters
    ----------
    settings : Settings
        Names the database.
    prepare : bool
        Install or upgrade the workspace if the database is the embedded one. A database that
        was named is never migrated behind its owner's back.
    connections : int
        How many may be open at once.
    """
    if settings.database_url is not None:
        with engine_for(settings.database_url, connections) as engine:
            yield engine
        return
    with embedded_server(settings) as server, engine_for(server.url(), connections) as engine:
        if prepare:
            prepare_own_workspace(engine, settings)
        yield engine


@contextmanager
def opened_scheduler(settings: Settings) -> Iterator[Scheduler]:
    """Give a scheduler on the command's database and workspace."""
    with opened_engine(settings) as engine:
        yield Scheduler(engine, schema=settings.schema)


@contextmanager
def embedded_server(settings: Settings) -> Iterator[EmbeddedServer]:
    """Start or join the embedded PostgreSQL that is kept for this user."""
    for elsewhere in ("PGHOSTADDR", "PGSERVICE"):
        # libpq would go there, whatever the URL says.
        os.environ.pop(elsewhere, None)
    with ExitStack() as stack:
        with settings.output.working("Starting PostgreSQL ..."):
            server = stack.enter_context(shared_server())
        yield server


@contextmanager
def engine_for(url: str, connections: int) -> Iterator[Engine]:
    """Give an engine that keeps up to `connections` open until the end."""
    engine = create_engine(url, pool_size=connections, max_overflow=0)
    try:
        yield engine
    finally:
        engine.dispose()


def prepare_own_workspace(engine: Engine, settings: Settings) -> None:
    """Install the workspace in the embedded database, or bring it up to date."""
    with migration_errors():
        found = slotwarden.migrations.current(engine, schema=settings.schema)
        if found == slotwarden.migrations.head():
            return
        doing = "Installing" if found is None else "Upgrading"
        settings.output.notice(
            f"{doing} slotwarden in schema {settings.schema!r} of the embedded PostgreSQL."
        )
        slotwarden.migrations.upgrade(engine, schema=settings.schema)


@contextmanager
def migration_errors() -> Iterator[None]:
    """Turn what Alembic says about revisions into failures of the command."""
    try:
        yield
    except SlotwardenError:
        raise
    except (slotwarden.migrations.CommandError, ValueError) as error:
        raise Failure(ExitCode.MISTAKE, str(error)) from error
