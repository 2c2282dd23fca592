"""Runs the application until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 3
_BACKLOG = 128


def listening_socket(host: str, port: int) -> socket.socket:
    """Open the socket before anything is told, so that its port is known and free.

    Raises
    ------
    OSError
        The port is taken or needs privileges, or the address is not this machine's.
    """
    (family, _, _, _, address), *_ = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return socket.create_server(
        (address[0], address[1]), family=family, backlog=_BACKLOG, reuse_port=False
    )


class _Server(uvicorn.Server):
    """Lets the streams end first: they would go on for as long as pages are open."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end()
        super().handle_exit(sig, frame)


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is then passed on to this process.

    Parameters
    ----------
    app : FastAPI
        From `slotwarden.web.create_app`.
    listening : socket.socket
        From `listening_socket`; closed at the end.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with listening:
        _Server(config, app.state.live.end).run(sockets=[listening])
