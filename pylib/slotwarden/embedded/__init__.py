"""PostgreSQL without an installation: binaries from a wheel, started and stopped here.

`EmbeddedServer` is a server of one process; `shared_server` is the one that is kept for a user
between runs. Linux and macOS.
"""

from slotwarden.embedded.binaries import find_binaries
from slotwarden.embedded.errors import EmbeddedError, EmbeddedUnavailable
from slotwarden.embedded.server import EmbeddedServer, shared_server

__all__ = [
    "EmbeddedError",
    "EmbeddedServer",
    "EmbeddedUnavailable",
    "find_binaries",
    "shared_server",
]
