"""A page shows the token once, and is known by a cookie from then on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from slotwarden.web.contract import WRITES
from slotwarden.web.problems import Problem
from slotwarden.web.workspace import Here

router = APIRouter(prefix="/api/session", tags=["session"], responses=WRITES)


class Credentials(BaseModel):
    """The token that the application was started with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


@router.post("", status_code=204, summary="Enter")
def enter(credentials: Credentials, here: Here, request: Request, response: Response) -> None:
    """Exchange the token for a cookie that scripts cannot read and other sites cannot send."""
    if here.settings.token is None:
        return
    if not here.settings.accepts(credentials.token):
        raise Problem(
            401, "WrongToken", "Wrong token", "That is not the token that slotwarden web expects."
        )
    response.set_cookie(
        here.settings.cookie,
        here.settings.derived("session"),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@router.delete("", status_code=204, summary="Leave")
def leave(here: Here, response: Response) -> None:
    """Forget the cookie."""
    response.delete_cookie(here.settings.cookie, httponly=True, samesite="strict")
