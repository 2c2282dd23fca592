"""Locks on files that the kernel gives back when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slotwarden.embedded.errors import EmbeddedError

_PAUSE_SECONDS = 0.02


def open_lock(path: Path) -> int:
    """Open the lock file `path`, made if needed, and return its descriptor.

    Child processes do not inherit the descriptor, so they do not hold its lock either.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock if that is possible at once.

    Parameters
    ----------
    descriptor : int
        From `open_lock`, or an open folder.
    kind : int
        ``fcntl.LOCK_SH`` or ``fcntl.LOCK_EX``.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(descriptor: int, kind: int, seconds: float, why: str) -> None:
    """Take the lock, waiting for others to give it up.

    Parameters
    ----------
    descriptor, kind : int
        As in `try_lock`.
    seconds : float
        How long to wait at most.
    why : str
        What to say when it takes longer.

    Raises
    ------
    EmbeddedError
        The lock was not free in time.
    """
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, kind):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{why} Waited {seconds:.0f} s.")
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def locked_folder(folder: Path, seconds: float) -> Iterator[None]:
    """Hold the folder's own lock, so that no lock file is left in it.

    Raises
    ------
    EmbeddedError
        Another process held it longer than `seconds`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        starting = f"Another process is starting a server in {folder} and does not end."
        wait_for_lock(descriptor, fcntl.LOCK_EX, seconds, starting)
        yield
    finally:
        os.close(descriptor)
