"""The parent of one PostgreSQL server: a process that ends it when nobody uses it any more.

Everybody who uses the server holds a shared lock on one file. The kernel gives such a lock back
however its holder ends, ``kill -9`` included; once this process gets the lock for itself alone,
nobody is left, and it stops the server. On Linux the server is also told when this process dies.

Run by path in Python's isolated mode, so it starts in milliseconds: standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

_PR_SET_PDEATHSIG = 1
_PAUSE_SECONDS = 0.05
_FAST_SHUTDOWN_SECONDS = 60
_IMMEDIATE_SHUTDOWN_SECONDS = 10


class Orders(TypedDict):
    """What the supervisor is told, as JSON on its standard input.

    ``initdb`` is the command that fills the folder ``new_data``, which then becomes ``data``;
    null when ``data`` is there already. ``uid`` and ``gid`` are null when the server runs under
    the caller's account. ``remove`` names the folders to delete at the end.
    """

    users_lock: str
    initdb: list[str] | None
    new_data: str
    data: str
    postgres: list[str]
    uid: int | None
    gid: int | None
    remove: list[str]


class Supervisor:
    """Start the server, wait until nobody uses it, stop it."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._users = os.open(orders["users_lock"], os.O_RDWR | os.O_CLOEXEC)
        self._told_to_end = False

    def run(self) -> int:
        """Return the exit status: 0 when the server was stopped because nobody used it."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        try:
            return 0 if self._serve() else 1
        finally:
            for folder in self._orders["remove"]:
                shutil.rmtree(folder, ignore_errors=True)

    def _serve(self) -> bool:
        initdb = self._orders["initdb"]
        if initdb is not None and not self._make_data(initdb):
            return False
        return self._stopped_by_us(self._spawn(self._orders["postgres"]))

    def _make_data(self, initdb: list[str]) -> bool:
        new_data = Path(self._orders["new_data"])
        new_data.mkdir(mode=0o700)
        try:
            uid, gid = self._orders["uid"], self._orders["gid"]
            if uid is not None and gid is not None:
                os.chown(new_data, uid, gid)
            child = self._spawn(initdb)
            if self._stopped_by_us(child) or child.returncode != 0:
                return False
            # Only a complete data folder ever gets its name, so a killed initdb leaves none.
            new_data.rename(self._orders["data"])
            return True
        finally:
            shutil.rmtree(new_data, ignore_errors=True)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        uid, gid = self._orders["uid"], self._orders["gid"]
        # preexec_fn is unsafe beside other threads; this process has none.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            preexec_fn=_die_with_parent(),  # noqa: PLW1509
        )

    def _stopped_by_us(self, child: subprocess.Popen[bytes]) -> bool:
        """Wait for `child`; stop it when nobody uses it. False: it ended by itself."""
        while child.poll() is None:
            if self._told_to_end or self._nobody_left():
                _stop(child)
                return True
            time.sleep(_PAUSE_SECONDS)
        return False

    def _nobody_left(self) -> bool:
        # The lock is kept from here on, so that newcomers wait until the server is gone.
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _on_terminate(self, _signal: int, _frame: object) -> None:
        self._told_to_end = True


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child does first, so that it gets SIGINT when its parent dies.

    Only Linux has this. Elsewhere a server survives the death of its supervisor (nothing else),
    until the next start finds and stops it.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def arm() -> None:
        # After the change of user, which would clear the setting. SIGINT: a fast shutdown.
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def _stop(child: subprocess.Popen[bytes]) -> None:
    steps = (
        (signal.SIGINT, _FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_SECONDS),
        (signal.SIGKILL, None),
    )
    for sent, patience in steps:
        child.send_signal(sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return


def main() -> int:
    """Obey the orders that come on standard input."""
    os.umask(0o077)
    orders: Orders = json.load(sys.stdin)
    return Supervisor(orders).run()


if __name__ == "__main__":
    sys.exit(main())
