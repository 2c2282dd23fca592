"""The folders that servers live in: one kept for each user, and temporary ones."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from slotwarden.embedded.account import Account
from slotwarden.embedded.errors import EmbeddedError
from slotwarden.embedded.locks import open_lock, try_lock

HOME_VARIABLE = "SLOTWARDEN_HOME"

_SUPERVISOR_LOCK = "supervisor.lock"
# sockaddr_un holds 104 bytes on macOS and 108 on Linux.
_LONGEST_SOCKET_PATH = 100
_SOCKET_FILE = "/.s.PGSQL.65535"
_TEMPORARY_PREFIX = "slotwarden-"
_TEMPORARY_MARK = "temporary"
_ENOUGH_MEMORY_BYTES = 1 << 30
_STALE_AFTER_SECONDS = 600


@dataclass(frozen=True)
class Place:
    """The folder of one server: its locks, its log, its socket, and mostly its data.

    Attributes
    ----------
    root : Path
        The folder. It belongs to the user that runs Python.
    kept : bool
        True for the user's lasting server, which several processes share; False for a
        temporary folder of one process.
    """

    root: Path
    kept: bool

    @property
    def users_lock(self) -> Path:
        """Held shared by everybody who uses the server."""
        return self.root / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.root / _SUPERVISOR_LOCK

    @property
    def log_file(self) -> Path:
        """What PostgreSQL prints since it was last started."""
        return self.root / "server.log"


def kept_place(account: Account) -> Place:
    """Return the place of the server that is kept between runs, made if needed.

    Raises
    ------
    EmbeddedError
        The folder is not one that the caller and `account` can use safely.
    """
    root = own_directory(home_dir(), searchable=account.switched)
    if not account.can_enter(root):
        raise cannot_enter(account, root)
    return Place(root, kept=True)


def temporary_place(account: Account, *, in_memory: bool) -> Place:
    """Return a place in a fresh `temporary_directory`."""
    return Place(temporary_directory(account, in_memory=in_memory), kept=False)


def cannot_enter(account: Account, folder: Path) -> EmbeddedError:
    """Return the error for a folder that the server's account cannot get into."""
    return EmbeddedError(
        f"PostgreSQL runs here as uid {account.uid}, and that user cannot enter {folder}. "
        f"Name a folder elsewhere, such as one below /var/lib."
    )


def home_dir() -> Path:
    """Return the folder of the server that is kept between runs.

    ``SLOTWARDEN_HOME`` if set; else the platform's folder for a user's data, and for root a
    folder of the system, since the server's account could not enter root's own home.
    """
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    if os.geteuid() != 0:
        return platformdirs.user_data_path("slotwarden", appauthor=False)
    if sys.platform == "darwin":
        return Path("/Library/Application Support/slotwarden")
    return Path("/var/lib/slotwarden")


def own_directory(path: Path, *, searchable: bool = False) -> Path:
    """Make the folder `path` unless it is there, and insist that it is the caller's own.

    Parameters
    ----------
    path : Path
        The folder; those above it are made as well.
    searchable : bool
        Let everybody pass through a new folder, without letting them list it.

    Returns
    -------
    Path
        The folder with symbolic links resolved.

    Raises
    ------
    EmbeddedError
        It cannot be made, belongs to somebody else, others may write to it, or the caller may not.
    """
    try:
        real = _made(path, 0o711 if searchable else 0o700)
        found = real.stat()
    except OSError as error:
        raise EmbeddedError(
            f"Cannot make the folder {path}: {error.strerror}. Name another one in {HOME_VARIABLE}."
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{path} is not a folder.")
    if found.st_uid != os.geteuid():
        raise EmbeddedError(
            f"{path} belongs to uid {found.st_uid}, not to you (uid {os.geteuid()}). "
            f"Name a folder of your own in {HOME_VARIABLE}."
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedError(f"Others may write to {path}; take that right away: chmod go-w {path}")
    if not os.access(real, os.R_OK | os.W_OK | os.X_OK):
        raise EmbeddedError(
            f"You may not write to {path}; give yourself the right: chmod u+rwx {path}"
        )
    return real


def temporary_directory(account: Account, *, in_memory: bool) -> Path:
    """Make a fresh folder that `account` can enter and nobody else can guess.

    Parameters
    ----------
    account : Account
        Who the server runs as.
    in_memory : bool
        Prefer ``/dev/shm`` when it has at least 1 GiB free.

    Raises
    ------
    EmbeddedError
        No folder for temporary files can be used by both the caller and `account`.
    """
    bases = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    if in_memory and _free_bytes(Path("/dev/shm")) >= _ENOUGH_MEMORY_BYTES:  # noqa: S108
        bases.insert(0, Path("/dev/shm"))  # noqa: S108
    for base in bases:
        if not _usable(base, account):
            continue
        _sweep(base)
        made = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=base)).resolve()
        (made / _TEMPORARY_MARK).touch(mode=0o600)
        if account.switched:
            made.chmod(0o711)
        return made
    looked = ", ".join(str(base) for base in bases)
    raise EmbeddedError(f"No folder for temporary files that can be used, among {looked}.")


def private_directory(path: Path, account: Account) -> None:
    """Make the folder `path` unless it is there, for `account` alone.

    The folder above must be the caller's own.

    Raises
    ------
    EmbeddedError
        Something else is there, or it belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
            raise EmbeddedError(f"{path} is in the way; move it elsewhere.") from None
    else:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def fit_for_sockets(directory: Path) -> bool:
    """Tell whether libpq can be told of a socket in `directory`, and its path is short enough."""
    path = os.fsencode(directory)
    # libpq takes what stands between commas for one host each.
    return b"," not in path and len(path) + len(_SOCKET_FILE) < _LONGEST_SOCKET_PATH


def _made(path: Path, mode: int) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except FileExistsError:
        # Also where a link leads nowhere, or a file is in the way of a folder above.
        return Path(os.path.realpath(path, strict=True))
    path.chmod(mode)
    return path.resolve()


def _usable(base: Path, account: Account) -> bool:
    return (
        base.is_dir()
        and os.access(base, os.W_OK | os.X_OK)
        and account.can_enter(base)
        and fit_for_sockets(base / f"{_TEMPORARY_PREFIX}12345678" / "socket")
    )


def _free_bytes(path: Path) -> int:
    try:
        room = os.statvfs(path)
    except OSError:
        return 0
    return room.f_bavail * room.f_frsize


def _sweep(base: Path) -> None:
    """Remove what servers left behind whose supervisor was killed together with its owner."""
    for left in base.glob(f"{_TEMPORARY_PREFIX}*"):
        lock = left / _SUPERVISOR_LOCK
        try:
            # A kept server may be in a folder of such a name. A young folder may belong to a
            # process that is about to lock it.
            if (
                left.lstat().st_uid != os.geteuid()
                or not (left / _TEMPORARY_MARK).exists()
                or _age_seconds(lock) < _STALE_AFTER_SECONDS
            ):
                continue
            descriptor = open_lock(lock)
        except OSError:
            continue
        try:
            if try_lock(descriptor, fcntl.LOCK_EX):
                shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(descriptor)


def _age_seconds(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
