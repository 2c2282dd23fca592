"""Errors as ``application/problem+json`` (RFC 9457), and never in the database's own words."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from slotwarden.errors import translate_error
from slotwarden.exceptions import (
    BlackedOut,
    DailyLimitReached,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidArgument,
    LockTimeout,
    NonexistentLocalTime,
    NoSlotAvailable,
    OutcomeUnknown,
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
from slotwarden.web.paths import name_in
from slotwarden.web.workspace import Workspace

MEDIA_TYPE = "application/problem+json"

_LOG = logging.getLogger("slotwarden.web")

_STATUS: dict[type[SlotwardenError], tuple[int, str]] = {
    InvalidArgument: (422, "Invalid argument"),
    NonexistentLocalTime: (422, "The clock skips that time"),
    UnknownVideoType: (422, "Unknown video type"),
    RequestKeyReused: (422, "The key stands for another call"),
    SlotInPast: (422, "That time has passed"),
    UnknownChannel: (404, "Unknown channel"),
    ReservationNotFound: (404, "No such reservation"),
    BlackedOut: (409, "The channel publishes nothing then"),
    VideoAlreadyBooked: (409, "The video is booked already"),
    SlotTaken: (409, "The slot is taken"),
    NoSlotAvailable: (409, "No slot is free"),
    IllegalTransition: (409, "Its status does not allow it"),
    StaleVersion: (409, "It was changed meanwhile"),
    DailyLimitReached: (429, "A daily limit is reached"),
    LockTimeout: (503, "Others are booking this day"),
    TransactionConflict: (503, "Another booking was first"),
    DatabaseUnavailable: (503, "The database is away"),
    OutcomeUnknown: (504, "The outcome is unknown"),
}

# What these say comes from PostgreSQL or from libpq, with addresses and names of roles in it.
_OWN_WORDS: dict[type[SlotwardenError], tuple[str, str]] = {
    LockTimeout: ("Others held this day for too long; nothing was changed.", "Try again."),
    TransactionConflict: ("Another call was first; nothing was changed.", "Try again."),
    DatabaseUnavailable: (
        "The database cannot be reached; nothing was changed.",
        "Try again in a few seconds.",
    ),
    OutcomeUnknown: (
        "The connection to the database was lost before the answer came.",
        "Look whether it was carried out, or repeat it with the same Idempotency-Key.",
    ),
}
# The next step over HTTP, where the function's own hint names another function.
_NEXT_STEPS: dict[type[SlotwardenError], str] = {
    UnknownChannel: "GET /api/channels lists channels; an administrator makes one with:"
    " slotwarden channel create",
    UnknownVideoType: "GET /api/channels/{channel} lists its types; an administrator adds one with:"
    " slotwarden channel add-type",
    ReservationNotFound: "GET /api/channels/{channel}/calendar lists reservations, without the"
    " cancelled.",
}
_RETRY_SECONDS: dict[type[SlotwardenError], int] = {
    LockTimeout: 1,
    TransactionConflict: 1,
    DatabaseUnavailable: 5,
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_OURS = "SW"
_PYDANTIC = "Value error, "


class Problem(HTTPException):
    """An answer that is a problem and nothing of the database's; `name` is for programs."""

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.name = name
        self.title = title

    def response(self) -> Response:
        """Return the answer."""
        members = {"title": self.title, "detail": self.detail, "name": self.name}
        return _response(self.status_code, members, headers=self.headers)


def handle_problems(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""
    app.add_exception_handler(Problem, _own)
    app.add_exception_handler(SlotwardenError, _refused)
    app.add_exception_handler(DBAPIError, _foreign)
    app.add_exception_handler(PoolTimeout, _busy)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def problem_of(error: SlotwardenError) -> dict[str, Any]:
    """Return an error's members, without the limit's reset.

    ``fields`` is its DETAIL, ``name`` what Python calls it.
    """
    kind = _kind(error)
    status, title = _STATUS[kind]
    ours = (error.sqlstate or "").startswith(_OURS)
    detail, hint = (error.message, error.hint) if ours else _OWN_WORDS.get(kind, (title, None))
    return {
        "title": title,
        "status": status,
        "detail": detail,
        "sqlstate": error.sqlstate,
        "name": type(error).__name__,
        "fields": error.detail if ours else {},
        "hint": _NEXT_STEPS.get(kind, hint),
    }


def _kind(error: SlotwardenError) -> type[SlotwardenError]:
    return next(kind for kind in type(error).__mro__ if kind in _STATUS)


def _response(
    status: int, members: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> Response:
    kind = members.get("sqlstate")
    body = {
        "type": f"urn:slotwarden:{kind}" if kind else "about:blank",
        "status": int(status),
        **members,
    }
    # ASCII only: a text that came in may hold half a surrogate, which no encoding can send.
    return Response(
        json.dumps(body),
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def _own(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return error.response()


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, SlotwardenError)  # noqa: S101
    members = problem_of(error)
    headers = {}
    wait: int | None = _RETRY_SECONDS.get(_kind(error))
    if isinstance(error, DailyLimitReached):
        workspace: Workspace = request.app.state.workspace
        asked = request.path_params.get("channel")
        resets_at = workspace.reset_of(error, asked and name_in(asked))
        if resets_at is not None:
            members["resets_at"] = resets_at.isoformat()
            wait = math.ceil((resets_at - workspace.now()).total_seconds())
    if wait is not None:
        headers["retry-after"] = str(max(wait, 1))
    return _response(members.pop("status"), members, headers=headers)


def _foreign(request: Request, error: Exception) -> Response:
    """Answer what is not slotwarden's: nothing of it leaves this process."""
    assert isinstance(error, DBAPIError)  # noqa: S101
    translated = translate_error(error, schema=request.app.state.workspace.schema)
    if translated is not None:
        return _refused(request, translated)
    sqlstate = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    _LOG.error("the database answered %s", sqlstate, exc_info=error)
    return _response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        {
            "name": "DatabaseUnusable",
            "title": "The database cannot serve this",
            "detail": "The workspace is not installed, too old, or not open to this role.",
            "hint": "The log of slotwarden web tells more; see slotwarden db upgrade.",
        },
    )


def _busy(_request: Request, _error: Exception) -> Response:
    return _response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        {
            "name": "TooBusy",
            "title": "Too busy",
            "detail": "No connection to the database became free in time.",
        },
        headers={"retry-after": "1"},
    )


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # What was sent is not sent back: it may be anything.
    found = [
        {
            "where": ".".join(map(str, each["loc"])),
            "problem": str(each["msg"]).removeprefix(_PYDANTIC),
        }
        for each in error.errors()
    ]
    told = "; ".join(f"{each['where']}: {each['problem']}" for each in found)
    return _response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        {"title": "Invalid request", "detail": told, "name": "InvalidRequest", "errors": found},
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    title = HTTPStatus(error.status_code).phrase
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"allow": ", ".join(_allowed(request))}
    members = {"title": title, "detail": title, "name": title.replace(" ", "")}
    return _response(error.status_code, members, headers=headers)


def _allowed(request: Request) -> list[str]:
    # A route knows its own method only; another may have the same path.
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
    # What is mounted are files.
    return found or ["GET", "HEAD"]


def _unexpected(_request: Request, _error: Exception) -> Response:
    return _response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        {
            "name": "UnexpectedError",
            "title": "Unexpected error",
            "detail": "The log of slotwarden web tells more.",
        },
    )
