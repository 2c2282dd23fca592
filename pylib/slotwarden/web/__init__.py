"""The web application: an API and a calendar page over a `slotwarden.Scheduler`.

Needs the extra ``slotwarden[web]``. `create_app` makes an ASGI application for any server;
``slotwarden web`` runs it.
"""

from .app import create_app
from .settings import WebSettings

__all__ = ["WebSettings", "create_app"]
