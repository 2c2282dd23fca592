"""What LangFlix's interface raises.

All are also ``ValueError``, which is what LangFlix's handlers catch; and what
slotwarden raises for the same, so that either can be caught.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slotwarden.exceptions import DatabaseUnavailable, InvalidArgument, NoSlotAvailable


class DatabaseConnectionError(DatabaseUnavailable, ValueError):
    """The database could not be reached, so nothing is known: never "nothing used yet"."""


class NoAvailableSlot(NoSlotAvailable, ValueError):
    """Nothing is free within the horizon; LangFlix would have given a time unchecked."""


class ScheduleConfigError(InvalidArgument):
    """The configuration is not the database's, and may or can not be applied to it."""


@contextmanager
def connection_errors() -> Iterator[None]:
    """Say that the database is not there in the words that LangFlix looks for."""
    try:
        yield
    except DatabaseConnectionError:
        raise
    except DatabaseUnavailable as error:
        raise DatabaseConnectionError(
            "Unable to connect to database. Please ensure PostgreSQL is running."
            f" Error: {error.message}",
            detail=error.detail,
            hint=error.hint,
            sqlstate=error.sqlstate,
        ) from error
