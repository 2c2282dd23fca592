"""What the web application is told when it is made."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from slotwarden.arguments import as_text
from slotwarden.exceptions import InvalidArgument

SHORTEST_TOKEN = 16
"""Characters that a token has at least."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def utc_now() -> dt.datetime:
    """Return this machine's clock, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the application answers.

    Attributes
    ----------
    channels : tuple of str
        What the page's channel picker offers; the first is shown first. None named: all of the
        workspace. The API takes any channel.
    token : str or None
        Who knows it may do everything; None: whoever reaches the application may, so it answers
        only requests that are addressed to this machine itself.
    hosts : frozenset of str
        Further names under which it may be addressed without a token.
    clock : callable
        The present, aware; for "today" on the page and for Retry-After.
    poll_seconds : float
        How often live updates look at the database, for each span of days that is looked at.
    most_streams : int
        Live connections at once.
    requests_per_minute : int
        What one address may ask for.
    most_body_bytes : int
        The longest body of a request.
    """

    channels: tuple[str, ...] = ()
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    clock: Callable[[], dt.datetime] = utc_now
    poll_seconds: float = 1.0
    most_streams: int = 100
    requests_per_minute: int = 1200
    most_body_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        for channel in self.channels:
            as_text("channels", channel)
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise InvalidArgument(
                f"a token has at least {SHORTEST_TOKEN} characters",
                hint=f"For example: {secrets.token_urlsafe(24)}",
            )

    @property
    def cookie(self) -> str:
        """The name of the cookie of a page that has shown the token.

        Cookies are for all ports of a host, so each token has a name of its own there.
        """
        return f"slotwarden_session_{self.derived('cookie')[:8]}"

    def accepts(self, token: str) -> bool:
        """Tell whether this is the token, in constant time."""
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    def derived(self, purpose: str) -> str:
        """Return what stands for the token where the token itself would give too much away.

        Parameters
        ----------
        purpose : str
            ``session`` for the cookie, ``cookie`` for its name, ``feed`` for the address of an
            iCalendar feed; none leads to another, nor to the token.
        """
        return hmac.new((self.token or "").encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def accepts_derived(self, purpose: str, value: str) -> bool:
        """Tell whether `value` is what `derived` gives, in constant time."""
        return self.token is not None and hmac.compare_digest(
            value.encode(), self.derived(purpose).encode()
        )

    def may_be_called(self, host: str) -> bool:
        """Tell whether a request may be addressed to this host name.

        Without a token only this machine's own names will do: any page of the web can let its own
        name lead to 127.0.0.1, and would then be of the same origin as the application.
        """
        name = host.lower()
        return self.token is not None or name in _LOCAL_NAMES or name in self.hosts
