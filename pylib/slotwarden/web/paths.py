"""Names within paths: one that holds a slash stays one segment, whatever the server decodes."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class WholeSegments:
    """ASGI middleware that keeps the slashes within a name apart from those between names.

    Servers decode a path before routes see it, and ``team%2Fnews`` would be two names then. Here
    each name is decoded by itself, but for ``/`` and ``%``, which `name_in` decodes.

    Parameters
    ----------
    app : ASGIApp
        What is called; everything that decides by the path belongs behind this.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with a path whose names are whole."""
        if scope["type"] == "http":
            scope = {**scope, "path": "/".join(map(_escaped, _names(scope)))}
        await self._app(scope, receive, send)


def name_in(segment: str) -> str:
    """Return the name that a segment of a path stands for."""
    return unquote(segment)


def _names(scope: Scope) -> list[str]:
    path: str = scope["path"]
    raw = (scope.get("raw_path") or b"").decode("latin-1")
    # Servers need not give it, and who rewrites a path may leave this as it was.
    if unquote(raw) != path:
        return path.split("/")
    return [unquote(name) for name in raw.split("/")]


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")
