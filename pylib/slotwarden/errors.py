"""From what a driver reports to slotwarden's exceptions, which it re-exports.

This is the only module that knows how drivers report: psycopg2 a SQLSTATE as
``pgcode``, psycopg as ``sqlstate``, both the rest as ``diag``.

Errors that are not slotwarden's are never wrapped. Among them are 57014 (a
statement timeout or a cancelled query: the application's own doing), 25P02
(its transaction had failed before), 25006 (a read-only server) and 42501 (a
missing privilege).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from .exceptions import (
    BlackedOut,
    BookingRefused,
    DailyLimitReached,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidArgument,
    LockTimeout,
    NonexistentLocalTime,
    NoSlotAvailable,
    OutcomeUnknown,
    QuotaExhausted,
    RequestKeyReused,
    ReservationNotFound,
    SlotInPast,
    SlotTaken,
    SlotwardenError,
    StaleVersion,
    TransactionConflict,
    UnknownChannel,
    UnknownVideoType,
    VideoAlreadyBooked,
)

__all__ = [
    "BlackedOut",
    "BookingRefused",
    "DailyLimitReached",
    "DatabaseUnavailable",
    "IllegalTransition",
    "InvalidArgument",
    "LockTimeout",
    "NoSlotAvailable",
    "NonexistentLocalTime",
    "OutcomeUnknown",
    "QuotaExhausted",
    "RequestKeyReused",
    "ReservationNotFound",
    "SlotInPast",
    "SlotTaken",
    "SlotwardenError",
    "StaleVersion",
    "TransactionConflict",
    "UnknownChannel",
    "UnknownVideoType",
    "VideoAlreadyBooked",
    "error_for",
    "translate_error",
    "translated_errors",
]

_BY_SQLSTATE: dict[str | None, type[SlotwardenError]] = {
    "40P01": TransactionConflict,
    **{
        kind.sqlstate: kind
        for kind in (
            InvalidArgument,
            UnknownChannel,
            UnknownVideoType,
            NonexistentLocalTime,
            RequestKeyReused,
            SlotInPast,
            BlackedOut,
            VideoAlreadyBooked,
            SlotTaken,
            DailyLimitReached,
            NoSlotAvailable,
            ReservationNotFound,
            IllegalTransition,
            StaleVersion,
            LockTimeout,
            TransactionConflict,
        )
    },
}

# Table and constraint, since an application's own schema may use either name.
_BY_CONSTRAINT: dict[tuple[str, str], type[SlotwardenError]] = {
    ("reservation", "reservation_slot_key"): SlotTaken,
    ("reservation", "reservation_video_key"): VideoAlreadyBooked,
    ("request", "request_pkey"): RequestKeyReused,
    ("usage_ledger", "usage_ledger_within_maximum"): DailyLimitReached,
    ("usage_ledger", "usage_ledger_pkey"): TransactionConflict,
}

# The server says so before it looks at a statement.
_NEVER_RAN = frozenset({"08001", "08004", "53300", "57P03", "57P05"})

# Terminated by an administrator (57P01) or by the crash of another backend
# (57P02). While the statement runs, this undoes it; but a backend also acts on
# it when it logs the duration of a statement that has just committed, and the
# client then sees the FATAL in place of the result. So it settles nothing.
_LOST = frozenset({"57P01", "57P02", "57P04"})


def error_for(
    sqlstate: str | None,
    message: str,
    *,
    detail: Mapping[str, Any] | None = None,
    hint: str | None = None,
) -> SlotwardenError | None:
    """Build the exception of a SQLSTATE; None when it is not one of slotwarden's."""
    kind = _BY_SQLSTATE.get(sqlstate)
    return None if kind is None else _built(kind, sqlstate, message, detail or {}, hint)


def translate_error(
    error: BaseException, *, schema: str = "slotwarden", commits: bool | None = None
) -> SlotwardenError | None:
    """Turn an error of SQLAlchemy's, or of the driver's own, into slotwarden's.

    Parameters
    ----------
    error : BaseException
        A `sqlalchemy.exc.DBAPIError`, or the driver's exception.
    schema : str
        The workspace whose constraints are meant.
    commits : bool, optional
        Whether what was sent commits by itself. Not said: a connection lost
        without a statement was lost in COMMIT.

    Returns
    -------
    SlotwardenError or None
        None: not one of slotwarden's; raise the original again.
    """
    report = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = getattr(report, "pgcode", None) or getattr(report, "sqlstate", None)
    if isinstance(error, DBAPIError):
        problem = _connection_problem(error, sqlstate, commits=commits)
        if problem is not None:
            return problem(str(report).strip(), sqlstate=sqlstate)
    diag: Any = getattr(report, "diag", None)
    if sqlstate is None or diag is None:
        return None
    kind = _BY_SQLSTATE.get(sqlstate)
    if diag.schema_name == schema:
        kind = _BY_CONSTRAINT.get((diag.table_name, diag.constraint_name), kind)
    if kind is None:
        return None
    message = diag.message_primary or str(report).strip()
    return _built(kind, sqlstate, message, _parsed(diag.message_detail), diag.message_hint)


@contextmanager
def translated_errors(*, schema: str = "slotwarden", commits: bool | None = None) -> Iterator[None]:
    """Raise slotwarden's exceptions for what goes wrong inside the block.

    For applications that write rows directly, and around a transaction of
    their own: a connection lost in its COMMIT is `OutcomeUnknown`. Parameters
    as in `translate_error`; every other exception passes untouched.
    """
    try:
        yield
    except DBAPIError as error:
        translated = translate_error(error, schema=schema, commits=commits)
        if translated is None:
            raise
        raise translated from error


def _connection_problem(
    error: DBAPIError, sqlstate: str | None, *, commits: bool | None
) -> type[SlotwardenError] | None:
    if sqlstate in _NEVER_RAN:
        return DatabaseUnavailable
    # Every error of a server has a SQLSTATE; without one, libpq speaks, in words only.
    from_libpq = sqlstate is None and isinstance(error, OperationalError)
    if from_libpq and error.statement is None and not error.connection_invalidated:
        # No connection came about.
        return DatabaseUnavailable
    code = sqlstate or ""
    if not (error.connection_invalidated or from_libpq or code in _LOST or code.startswith("08")):
        return None
    if isinstance(error, InterfaceError):
        # The driver itself refused to send: it knew the connection closed.
        return DatabaseUnavailable
    unknown = error.statement is None if commits is None else commits
    return OutcomeUnknown if unknown else DatabaseUnavailable


def _built(
    kind: type[SlotwardenError],
    sqlstate: str | None,
    message: str,
    detail: Mapping[str, Any],
    hint: str | None,
) -> SlotwardenError:
    if kind is DailyLimitReached and detail.get("counted_at") == "upload":
        kind = QuotaExhausted
    return kind(message, detail=detail, hint=hint, sqlstate=sqlstate)


def _parsed(detail: str | None) -> dict[str, Any]:
    try:
        value = json.loads(detail or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
