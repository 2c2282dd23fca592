"""The server that is measured, and the machine that it runs on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PgConnection  # noqa: N812

from slotwarden.embedded import EmbeddedServer
from slotwarden.embedded.account import server_account

_CPU_FILE = Path("/proc/cpuinfo")

# As a DBA would set them on a server of its own, and long enough between checkpoints that none
# falls into a round: what it costs would go to whoever is measured then. Everything that makes a
# commit durable is left on.
MEASURED = {
    "max_connections": "400",
    "max_wal_size": "16GB",
    "min_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "jit": "off",
}
# While rows are loaded nothing has to survive a crash: everything is made anew then.
LOADING = {
    "max_connections": "50",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
}


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def shared_buffers() -> str:
    """Return a quarter of the memory, 4 GB at most, as a setting."""
    return f"{min(memory_bytes() // 4, 4 << 30) >> 20}MB"


@contextmanager
def serving(data: Path | None, settings: dict[str, str]) -> Iterator[EmbeddedServer]:
    """Serve `data` (a temporary folder if None), durable on a disk unless the settings say not."""
    chosen = {"shared_buffers": shared_buffers(), **settings}
    with EmbeddedServer(data, settings=chosen) as server:
        yield server


@contextmanager
def data_folder(where: Path) -> Iterator[Path]:
    """Make a folder that PostgreSQL's account can enter below `where`; delete it at the end."""
    account = server_account()
    folder = where / f"slotwarden-benchmark-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        if account.switched:
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o755 if account.switched else 0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def session(url: str) -> Iterator[PgConnection]:
    """Open a superuser's session that commits each statement."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        yield connection


def rows(connection: PgConnection, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement, its parameters in order or in one dict, and return its rows."""
    with connection.cursor() as cursor:
        named = parameters[0] if parameters and isinstance(parameters[0], dict) else parameters
        cursor.execute(sql, named or None)
        return list(cursor.fetchall()) if cursor.description else []


def scalar(connection: PgConnection, sql: str, *parameters: object) -> Any:
    """Run one statement and return the first column of its first row."""
    return rows(connection, sql, *parameters)[0][0]


def find_pgbench(bin_dir: Path) -> Path | None:
    """Return pgbench: the server's own, else the newest that the system carries."""
    on_path = shutil.which("pgbench")
    system = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/pgbench"),
        key=lambda found: int(found.parts[-3]) if found.parts[-3].isdigit() else 0,
        reverse=True,
    )
    candidates: Sequence[Path] = [
        bin_dir / "pgbench",
        *system,
        *([Path(on_path)] if on_path else []),
    ]
    return next((found for found in candidates if os.access(found, os.X_OK)), None)


def describe(connection: PgConnection, server: EmbeddedServer, pgbench: Path) -> dict[str, Any]:
    """Return what the figures depend on: machine, versions, settings."""
    wanted = [
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "wal_level",
        "wal_sync_method",
        "shared_buffers",
        "max_wal_size",
        "checkpoint_timeout",
        "autovacuum",
        "jit",
        "max_connections",
    ]
    version = subprocess.run(
        [str(pgbench), "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes() / (1 << 30), 1),
        "filesystem": _filesystem(server.data_dir),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": scalar(connection, "show server_version"),
        "pgbench": version.stdout.strip(),
        "settings": {name: scalar(connection, f"show {name}") for name in wanted},
        "load_before": list(os.getloadavg()),
    }


def _cpu() -> str:
    if _CPU_FILE.exists():
        for line in _CPU_FILE.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _filesystem(folder: Path) -> str:
    stat = shutil.which("stat")
    if stat is None or platform.system() != "Linux":
        return "unknown"
    kind = subprocess.run(
        [stat, "--file-system", "--format=%T", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return kind.stdout.strip() or "unknown"
