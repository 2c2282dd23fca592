"""Processes that use an embedded server, and a look at which processes there are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psutil
import psycopg2
import pytest

_PATIENCE_SECONDS = 30
_PAUSE_SECONDS = 0.02

# Uses a server until it is told to end, and says which one.
_USER_OF_A_SERVER = """
import json, sys
from pathlib import Path
from slotwarden.embedded import EmbeddedServer, shared_server
kind = sys.argv[1]
if kind == "shared":
    context = shared_server()
elif kind in ("private", "durable"):
    context = EmbeddedServer(durable=kind == "durable")
else:
    context = EmbeddedServer(Path(kind), durable=False)
with context as server:
    print(json.dumps({"pid": server.pid, "url": server.url(), "log": str(server.log_file),
                      "bin": str(server.bin_dir)}), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses a server."""

    def __init__(self, kind: str, **popen: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _USER_OF_A_SERVER, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **popen,
        )
        self.said: dict[str, Any] = {}

    def ready(self) -> User:
        """Wait until it uses the server."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process ended without using a server"
        self.said = json.loads(line)
        return self

    def leave(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.wait(_PATIENCE_SECONDS) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(_PATIENCE_SECONDS)


def wait_until(condition: Callable[[], object], failure: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{failure} (waited {_PATIENCE_SECONDS} s)")
        time.sleep(_PAUSE_SECONDS)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def supervisor_of(pid: int) -> int:
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert any("supervisor.py" in word for word in parent.cmdline())
    return int(parent.pid)


def query(url: str, statement: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
