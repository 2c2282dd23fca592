"""Who may call, from where, how often and with how much; and the headers of every answer."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slotwarden.web.problems import Problem
from slotwarden.web.settings import WebSettings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME = frozenset({"same-origin", "none"})
# FullCalendar adds one empty <style> and fills it through the object model. This is the hash of
# nothing: no inline style that says anything is let through.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self';"
        f" style-src 'self' {_EMPTY_STYLE}; font-src 'self' data:; manifest-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
# What is no secret, and what a page needs before it can ask for the token.
_OPEN_PATHS = frozenset({"/", "/favicon.ico", "/api/session"})
_OPEN_PREFIX = "/static/"
_FEED = "/calendar.ics"


class Security:
    """ASGI middleware around everything.

    Parameters
    ----------
    app : ASGIApp
        What is guarded.
    settings : WebSettings
        The token, the names, the bounds.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._settings = settings
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            self._check(scope)
            receive = _Bounded(receive, self._settings.most_body_bytes)
        except Problem as problem:
            await problem.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_rate(scope)
        self._check_host(headers)
        if scope["method"] not in _SAFE:
            _check_origin(headers)
            self._check_body(headers)
        if self._settings.token is not None and not self._is_open(scope):
            self._check_token(scope, headers)

    def _check_rate(self, scope: Scope) -> None:
        address = (scope.get("client") or ("unknown", 0))[0]
        if not self._limiter.hit(self._rate, address):
            raise Problem(
                429,
                "TooManyRequests",
                "Too many requests",
                f"This address may ask {self._settings.requests_per_minute} times a minute.",
                headers={"retry-after": "10"},
            )

    def _check_host(self, headers: Headers) -> None:
        host = _hostname(f"//{headers.get('host', '')}")
        if host is None or not self._settings.may_be_called(host):
            raise Problem(
                403,
                "UnknownHost",
                "Unknown host name",
                "Without a token only this machine's own names are answered, such as localhost.",
            )

    def _check_body(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._settings.most_body_bytes:
            raise _too_long(self._settings.most_body_bytes)
        has_body = length != "0" or "transfer-encoding" in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        # Nor could a form of another site send this kind without asking first.
        if has_body and kind != "application/json":
            raise Problem(415, "NotJson", "Unsupported media type", "Bodies are application/json.")

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIX)

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._settings.accepts(token.strip()):
            return
        session = HTTPConnection(scope).cookies.get(self._settings.cookie, "")
        if self._settings.accepts_derived("session", session):
            return
        if scope["path"].endswith(_FEED):
            (given,) = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[:1]
            if self._settings.accepts_derived("feed", given):
                return
        raise Problem(
            401,
            "TokenNeeded",
            "A token is needed",
            "Send it as Authorization: Bearer ..., or enter it on the page.",
            headers={"www-authenticate": "Bearer"},
        )


class _Bounded:
    """A body that is refused as soon as it has grown too long."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._most:
            raise _too_long(self._most)
        return message


def _too_long(most: int) -> Problem:
    return Problem(413, "BodyTooLong", "Body too long", f"A body has at most {most} bytes.")


def _check_origin(headers: Headers) -> None:
    """Refuse what a page of another site sends: browsers say so, and cannot be made to lie."""
    fetched = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if fetched is not None:
        same = fetched in _SAME
    elif origin is not None:
        same = urlsplit(origin).netloc == headers.get("host")
    else:
        # No browser.
        same = True
    if not same:
        raise Problem(
            403,
            "CrossSiteRequest",
            "Cross-site request",
            "Only this application's own page may do this.",
        )


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
