"""One data folder: what its files say, and the commands that make and serve it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slotwarden.embedded.account import Account
from slotwarden.embedded.errors import EmbeddedError

SUPERUSER = "postgres"

_BUILTIN_LOCALES_SINCE = 17
# How long the supervisor of a killed process may take to notice, and its server to end.
_NOTICE_SECONDS = 1
_SHUTDOWN_SECONDS = 60
_PAUSE_SECONDS = 0.05
_POSTMASTER_LINES = 8
# What pg_isready returns; 1 is a server that rejects connections, since it starts or stops.
_ACCEPTS = 0
_SILENT = 2
# As docs/operations.md recommends for every server; long enough for somebody who thinks in psql.
_SOUND = {
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "10min",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Postmaster:
    """What a server writes into ``postmaster.pid`` about itself."""

    pid: int
    port: int
    socket_dir: Path
    ready: bool


def read_postmaster(data_dir: Path) -> Postmaster | None:
    """Read the server's own note in `data_dir`; None when there is none, or only half of one.

    The note outlives a server that was killed.
    """
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(lines) < _POSTMASTER_LINES:
        return None
    return Postmaster(int(lines[0]), int(lines[3]), Path(lines[4]), lines[7].strip() == "ready")


def kept_major(data_dir: Path, account: Account) -> int | None:
    """Return the major version that made `data_dir`, or None when there are no data yet.

    Raises
    ------
    EmbeddedError
        Something is there that is not a complete data folder of `account`.
    """
    try:
        if not any(data_dir.iterdir()):
            return None
        owner = data_dir.stat().st_uid
        complete = (data_dir / "global" / "pg_control").is_file()
        major = int((data_dir / "PG_VERSION").read_text())
    except FileNotFoundError as error:
        if not data_dir.exists():
            return None
        raise _not_a_cluster(data_dir) from error
    except (OSError, ValueError) as error:
        raise _not_a_cluster(data_dir) from error
    if not complete:
        raise _not_a_cluster(data_dir)
    if owner != account.uid:
        raise EmbeddedError(
            f"{data_dir} belongs to uid {owner}, but PostgreSQL runs here as uid {account.uid}."
        )
    return major


def initdb_command(bin_dir: Path, major: int, new_data: Path, *, durable: bool) -> list[str]:
    """Return the command that fills `new_data`: UTF-8, compared by code point, no passwords.

    Without passwords it must only be served on a socket that nobody else can reach.
    """
    command = [
        str(bin_dir / "initdb"),
        f"--pgdata={new_data}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
    ]
    if major >= _BUILTIN_LOCALES_SINCE:
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    else:
        command.append(f"--locale={_utf8_locale()}")
    return command if durable else [*command, "--no-sync"]


def postgres_command(
    bin_dir: Path,
    data_dir: Path,
    socket_dir: Path,
    port: int,
    settings: Mapping[str, str],
    *,
    durable: bool,
) -> list[str]:
    """Return the command that serves `data_dir` on a socket in `socket_dir`, and nowhere else."""
    quoted_dir = str(socket_dir).replace('"', '""')
    chosen = {
        "TimeZone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "200",
        **_SOUND,
        **({} if durable else _NOT_DURABLE),
        **settings,
        "listen_addresses": "",
        "logging_collector": "off",
        "port": str(port),
        "unix_socket_directories": f'"{quoted_dir}"',
        "unix_socket_permissions": "0700",
    }
    command = [str(bin_dir / "postgres"), "-D", str(data_dir)]
    for name, value in chosen.items():
        command += ["-c", f"{name}={value}"]
    return command


def environment() -> dict[str, str]:
    """Return the environment for PostgreSQL's programs: no ``PG...`` variable, no locale."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C"}


def remove_half_made(data_dir: Path) -> None:
    """Delete what a killed start left beside `data_dir`. The caller holds the start lock."""
    for left in data_dir.parent.glob(f".{data_dir.name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)


def half_made_name(data_dir: Path) -> Path:
    """Return the name that `data_dir` has until it is complete."""
    return data_dir.parent / f".{data_dir.name}.new-{os.getpid()}"


def end_previous_server(data_dir: Path, bin_dir: Path, account: Account, *, ours: bool) -> None:
    """Wait until a server that has lost its supervisor is gone from `data_dir`.

    Parameters
    ----------
    data_dir, bin_dir : Path
        The data, and the binaries to stop the server with.
    account : Account
        Who the server runs as.
    ours : bool
        The data are ours alone, so a server that stays is stopped.

    Raises
    ------
    EmbeddedError
        A server stays, and it is not ours to stop.
    """
    start = time.monotonic()
    while (found := read_postmaster(data_dir)) and _alive(found.pid):
        waited = time.monotonic() - start
        state = _pg_isready(bin_dir, found)
        if state == _SILENT and waited > _NOTICE_SECONDS:
            # Another process got the number of a server that was killed.
            return
        if state == _ACCEPTS and waited > _NOTICE_SECONDS:
            if not ours:
                raise EmbeddedError(
                    f"{data_dir} is in use by a running server (process {found.pid})."
                )
            _stop(bin_dir, data_dir, account)
        if waited > _SHUTDOWN_SECONDS:
            raise EmbeddedError(f"The server of {data_dir} does not end (process {found.pid}).")
        time.sleep(_PAUSE_SECONDS)


def _not_a_cluster(data_dir: Path) -> EmbeddedError:
    return EmbeddedError(
        f"{data_dir} is not a complete data folder of PostgreSQL. "
        f"Move it away, or name another one; it was left as it is."
    )


def _utf8_locale() -> str:
    # Setting a locale changes the whole process, so another one tries it. macOS may not have it.
    trial = "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')"
    command = [sys.executable, "-I", "-S", "-c", trial]
    tried = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    return "C.UTF-8" if tried.returncode == 0 else "C"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pg_isready(bin_dir: Path, found: Postmaster) -> int:
    command = [
        str(bin_dir / "pg_isready"),
        "--quiet",
        f"--host={found.socket_dir}",
        f"--port={found.port}",
    ]
    return subprocess.run(command, env=environment(), check=False).returncode


def _stop(bin_dir: Path, data_dir: Path, account: Account) -> None:
    subprocess.run(
        [str(bin_dir / "pg_ctl"), "stop", "-w", "-s", "-m", "fast", "-D", str(data_dir)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env=environment(),
        check=False,
        **account.popen_identity(),
    )
