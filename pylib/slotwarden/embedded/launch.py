"""Starting a supervisor, and finding out whether it is still there."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slotwarden.embedded import cluster, supervisor
from slotwarden.embedded.account import Account
from slotwarden.embedded.binaries import major_version
from slotwarden.embedded.locks import open_lock, try_lock
from slotwarden.embedded.places import (
    Place,
    fit_for_sockets,
    private_directory,
    temporary_directory,
)

_LEAVE_SECONDS = 90
_PAUSE_SECONDS = 0.02

# Supervisors that outlive their starter's use of them; kept so that they can be reaped later.
_outliving: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a server is started."""

    place: Place
    account: Account
    bin_dir: Path
    data_dir: Path
    port: int
    settings: Mapping[str, str]
    durable: bool


def launch(plan: Plan, guard: int) -> subprocess.Popen[bytes]:
    """Start the supervisor, which makes the data if there are none and starts the server.

    The caller holds the start lock and a share of the users' lock.

    Parameters
    ----------
    plan : Plan
        What to start.
    guard : int
        The supervisor's lock, taken. The supervisor inherits it.

    Raises
    ------
    EmbeddedError
        Another server uses the data, or the socket's folder cannot be made.
    """
    place = plan.place
    cluster.end_previous_server(plan.data_dir, plan.bin_dir, plan.account, ours=place.kept)
    cluster.remove_half_made(plan.data_dir)
    orders = _orders(plan)
    log = os.open(place.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            # The folder is there for people who read a list of processes.
            [sys.executable, "-I", "-S", supervisor.__file__, str(place.root)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            env=cluster.environment(),
            pass_fds=[guard],
            # Ctrl-C in a terminal is for the caller, who may still need the server.
            start_new_session=True,
        )
    finally:
        os.close(log)
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(json.dumps(orders).encode())
    return process


def leave(users: int, place: Place) -> None:
    """Give up the share of the users' lock.

    Returns at once when others use the server, else when the supervisor has stopped it.

    Parameters
    ----------
    users : int
        The open users' lock of `place`.
    place : Place
        Where the server lives.
    """
    fcntl.flock(users, fcntl.LOCK_UN)
    deadline = time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < deadline:
        # While this holds the lock alone nobody can be starting a server, so that looking at the
        # supervisor's lock disturbs nobody.
        if try_lock(users, fcntl.LOCK_EX):
            supervised = is_supervised(place)
            fcntl.flock(users, fcntl.LOCK_UN)
            if not supervised:
                return
        elif try_lock(users, fcntl.LOCK_SH):
            fcntl.flock(users, fcntl.LOCK_UN)
            return
        time.sleep(_PAUSE_SECONDS)


def is_supervised(place: Place) -> bool:
    """Tell whether the supervisor of `place` lives.

    Only for whoever holds the start lock or the users' lock alone: looking takes the lock for a
    moment, and nobody else may take that for a supervisor.
    """
    try:
        lock = open_lock(place.supervisor_lock)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def reap(process: subprocess.Popen[bytes]) -> None:
    """Collect the exit status of `process`, now or when a later one is reaped."""
    _outliving.append(process)
    _outliving[:] = [other for other in _outliving if other.poll() is None]


def _orders(plan: Plan) -> supervisor.Orders:
    account, place = plan.account, plan.place
    removed = [] if place.kept else [place.root]
    socket_dir = place.root / "socket"
    if not fit_for_sockets(socket_dir):
        elsewhere = temporary_directory(account, in_memory=False)
        socket_dir = elsewhere / "socket"
        removed.append(elsewhere)
    private_directory(socket_dir, account)
    new_data = cluster.half_made_name(plan.data_dir)
    initdb = None
    if cluster.kept_major(plan.data_dir, account) is None:
        major = major_version(plan.bin_dir)
        initdb = cluster.initdb_command(plan.bin_dir, major, new_data, durable=plan.durable)
    postgres = cluster.postgres_command(
        plan.bin_dir,
        plan.data_dir,
        socket_dir,
        plan.port,
        plan.settings,
        durable=plan.durable,
    )
    return {
        "users_lock": str(place.users_lock),
        "initdb": initdb,
        "new_data": str(new_data),
        "data": str(plan.data_dir),
        "postgres": postgres,
        "uid": account.uid if account.switched else None,
        "gid": account.gid if account.switched else None,
        "remove": [str(folder) for folder in removed],
    }
