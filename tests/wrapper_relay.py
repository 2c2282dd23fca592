"""A relay between client and server that sees, counts and can cut what they say."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from slotwarden import normalise_url

_READY = b"Z\x00\x00\x00\x05"


class Relay:
    """Listens on a Unix socket of its own and passes everything to the server's.

    Attributes
    ----------
    messages : list of str
        What clients have sent since the list was last cleared, without the
        start of a connection: SQL, or else the type of the message. psycopg2
        waits for the answer to each, so each is a round trip.
    """

    def __init__(self, database_url: str) -> None:
        url = normalise_url(database_url)
        self._server = (str(url.query["host"]), int(str(url.query.get("port", url.port or 5432))))
        self._directory = tempfile.mkdtemp(prefix="sw")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._directory}/.s.PGSQL.5432")
        self._listener.listen()
        self._sockets: list[socket.socket] = []
        self._cut_after: str | None = None
        self._cutting: set[int] = set()
        self.messages: list[str] = []
        self.url = url.set(host=None, port=None).update_query_dict(
            {"host": self._directory, "port": "5432"}
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _close(self._listener)
        for each in self._sockets:
            _close(each)
        shutil.rmtree(self._directory)

    def cut_after(self, sql: str) -> None:
        """Let the next query with this text be carried out, and lose the answer."""
        self._cut_after = sql

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(Path(self._server[0]) / f".s.PGSQL.{self._server[1]}"))
                self._sockets += [client, server]
                for pump in (self._requests, self._answers):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            server.sendall(_message(client))
            while kind := client.recv(1):
                message = _message(client)
                said = _sql(kind, message) or kind.decode()
                self.messages.append(said)
                if self._cut_after is not None and self._cut_after in said:
                    self._cut_after = None
                    self._cutting.add(id(server))
                server.sendall(kind + message)
        _close(client)
        _close(server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        unsent = b""
        with suppress(OSError):
            while answer := server.recv(65536):
                if id(server) not in self._cutting:
                    client.sendall(answer)
                    continue
                unsent += answer
                if unsent[-6:-1] == _READY:
                    break
        _close(client)
        _close(server)


def _sql(kind: bytes, message: bytes) -> str:
    match kind:
        case b"Q":
            return message[4:-1].decode()
        case b"P":
            return message[4:].split(b"\0")[1].decode()
        case _:
            return ""


def _message(source: socket.socket) -> bytes:
    length = _read(source, 4)
    return length + _read(source, struct.unpack("!i", length)[0] - 4)


def _read(source: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = source.recv(length - len(found))
        if not more:
            raise ConnectionResetError
        found += more
    return found


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
