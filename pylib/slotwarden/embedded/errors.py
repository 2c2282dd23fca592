"""What can go wrong with the embedded PostgreSQL."""

from __future__ import annotations


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL could not be started or used; the message says what to do."""


class EmbeddedUnavailable(EmbeddedError):
    """There are no PostgreSQL binaries that this machine and this user can run."""
