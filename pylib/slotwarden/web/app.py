"""Makes the application."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from slotwarden.scheduler import Scheduler
from slotwarden.web import booking, feed, planning, session, streaming
from slotwarden.web.contract import describe
from slotwarden.web.live import Live
from slotwarden.web.paths import WholeSegments
from slotwarden.web.problems import handle_problems
from slotwarden.web.security import Security
from slotwarden.web.settings import WebSettings
from slotwarden.web.workspace import Workspace

_STATIC = Path(__file__).parent / "static"
# Asked again each time, answered 304: a new version is never mixed with an old one.
_REVALIDATE = "no-cache"
_DESCRIPTION = (
    "Books publish slots: no slot twice, no day over its limits. Errors are"
    " application/problem+json; `sqlstate` and `name` say which, `fields` the particulars, `hint`"
    " the next step."
)


class _Assets(StaticFiles):
    """The page's files."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        found = await super().get_response(path, scope)
        found.headers["cache-control"] = _REVALIDATE
        return found


def create_app(scheduler: Scheduler, settings: WebSettings | None = None) -> FastAPI:
    """Make the web application of a workspace.

    Parameters
    ----------
    scheduler : Scheduler
        Over an engine, since requests are answered by several threads. Its role needs what the
        workspace's role for applications has, and should have no more.
    settings : WebSettings, optional
        How it answers; by default only on this machine, without a token.

    Returns
    -------
    FastAPI
        An ASGI application. ``app.state.live.end()`` lets its streams end, which a server that
        shuts down would else wait for.
    """
    settings = settings or WebSettings()
    app = FastAPI(
        title="slotwarden",
        version=importlib.metadata.version("slotwarden"),
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        # They load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.workspace = Workspace(scheduler, settings)
    app.state.live = Live(app.state.workspace)
    handle_problems(app)
    for part in (planning, booking, feed, streaming, session):
        app.include_router(part.router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", _Assets(directory=_STATIC), name="static")
    app.add_middleware(Security, settings=settings)
    # Around it: what is guarded by its path is what is routed by it.
    app.add_middleware(WholeSegments)
    describe(app)
    return app


def _page() -> FileResponse:
    return FileResponse(_STATIC / "index.html", headers={"cache-control": _REVALIDATE})
