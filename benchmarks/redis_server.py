"""A Redis of our own, on a Unix socket, with nothing kept."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 10


@contextmanager
def redis_server() -> Iterator[tuple[str | None, str]]:
    """Start Redis; yield its socket, or None and why there is none."""
    program = shutil.which("redis-server")
    if program is None:
        yield None, "there is no redis-server on PATH (Debian: apt install redis-server)"
        return
    if importlib.util.find_spec("redis") is None:
        yield None, "redis-py is not installed (pip install 'slotwarden[bench]')"
        return
    with tempfile.TemporaryDirectory(prefix="slotwarden-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not socket.exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.01)
            if socket.exists():
                yield str(socket), ""
            else:
                yield None, f"{program} did not start"
        finally:
            process.terminate()
            process.wait(_START_SECONDS)
