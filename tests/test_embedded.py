"""The embedded PostgreSQL, with real servers, real processes and real kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from cli_support import run
from embedded_support import User, alive, query, supervisor_of, wait_until
from slotwarden.embedded import EmbeddedServer, shared_server
from slotwarden.embedded.account import server_account
from slotwarden.embedded.places import own_directory

# The child leaves the context, and so calls `stop`, as any that ends by sys.exit or an error.
_FORKING = """
import os, sys
import psycopg2
from slotwarden.embedded import EmbeddedServer, shared_server
made = shared_server() if sys.argv[1] == "shared" else EmbeddedServer(durable=False)
with made as server:
    child = os.fork()
    if child == 0:
        sys.exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(server.pid, status, server.log_file.exists())
    with psycopg2.connect(server.url()) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        print(cursor.fetchone()[0])
    connection.close()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, so root")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    """A server for the tests that only look at one."""
    settings = {"deadlock_timeout": "123ms"}
    with EmbeddedServer(durable=False, port=6543, settings=settings) as server:
        yield server


def test_a_server_of_ones_own_comes_and_goes() -> None:
    with EmbeddedServer(durable=False) as server:
        pid = server.pid
        assert pid is not None
        assert query(server.url(), "show server_encoding") == "UTF8"
        assert query(server.url(), "show timezone") == "UTC"
        supervisor = supervisor_of(pid)
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C in the terminal would stop it"
    assert not alive(pid)
    # It lets go of its lock a moment before it is gone.
    wait_until(lambda: not alive(supervisor), "the supervisor lives on")
    assert not server.data_dir.exists()
    assert not server.log_file.exists()
    assert server.pid is None


def test_only_a_socket_in_a_private_folder_leads_in(running: EmbeddedServer) -> None:
    assert query(running.url(), "show listen_addresses") == ""
    assert running.socket_dir.stat().st_mode & 0o077 == 0
    assert running.data_dir.stat().st_mode & 0o077 == 0
    assert running.socket_dir.stat().st_uid == server_account().uid


@as_root
def test_another_user_does_not_get_in(running: EmbeddedServer) -> None:
    answer = subprocess.run(
        [running.bin_dir / "psql", running.url(), "-c", "select 1"],
        user=server_account().uid - 1,
        group=server_account().gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "Permission denied" in answer.stderr


@as_root
def test_root_runs_it_as_nobody(running: EmbeddedServer) -> None:
    assert running.pid is not None
    assert psutil.Process(running.pid).uids().effective == server_account().uid != 0


def test_settings_are_those_of_the_caller(running: EmbeddedServer) -> None:
    assert query(running.url(), "show deadlock_timeout") == "123ms"
    assert query(running.url(), "show port") == "6543"


@as_root
def test_an_ordinary_user_runs_it(use_server: Callable[..., User]) -> None:
    uid = server_account().uid
    identity: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": [], "cwd": "/"}
    try:
        subprocess.run([sys.executable, "-c", "import slotwarden"], check=True, **identity)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{sys.executable} is for root only")
    environment = {**os.environ, "HOME": "/nonexistent"}
    environment.pop("SLOTWARDEN_HOME")
    user = use_server("private", env=environment, **identity).ready()
    assert psutil.Process(user.said["pid"]).uids().effective == uid
    user.leave()


def test_data_are_kept_in_a_folder_of_the_callers(server_folder: Path) -> None:
    data = server_folder / "deep" / "data"
    data.parent.mkdir(mode=0o755)
    with EmbeddedServer(data, durable=False) as server:
        query(server.url(), "create table kept as select 42 as answer")
    with EmbeddedServer(data, durable=False) as server:
        assert query(server.url(), "select answer from kept") == 42
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]


def test_no_setting_of_libpq_leads_to_another_server(
    embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    with EmbeddedServer(durable=False) as server:
        assert server.pid is not None
    listed = run(None, "channel", "list", PGHOSTADDR="127.0.0.1", PGSERVICE="nowhere")
    assert "default" in listed.out, listed.err
    assert (embedded_home / "data").is_dir()


def test_a_server_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedServer(durable=False)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        assert query(server.url(), "select 1") == 1
    finally:
        server.stop()


def test_a_killed_owner_leaves_nothing_behind(use_server: Callable[..., User]) -> None:
    user = use_server("private").ready()
    supervisor = supervisor_of(user.said["pid"])
    user.kill()
    wait_until(lambda: not alive(user.said["pid"]), "the server lives on")
    wait_until(lambda: not alive(supervisor), "the supervisor lives on")
    assert not Path(user.said["log"]).parent.exists()


@linux
def test_a_killed_supervisor_takes_its_server_along(
    use_server: Callable[..., User], server_folder: Path
) -> None:
    user = use_server(str(server_folder / "data")).ready()
    query(user.said["url"], "create table kept as select 42 as answer")
    psutil.Process(supervisor_of(user.said["pid"])).kill()
    wait_until(lambda: not alive(user.said["pid"]), "the server lives on")
    user.kill()
    left_behind = Path(user.said["log"]).parent
    assert left_behind.is_dir(), "nobody was left to remove it"
    hour_ago = time.time() - 3600
    os.utime(left_behind / "supervisor.lock", (hour_ago, hour_ago))
    with EmbeddedServer(server_folder / "data", durable=False) as server:
        assert query(server.url(), "select answer from kept") == 42
    assert not left_behind.exists()


def test_a_kept_server_is_not_swept_away_for_its_folders_name(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = server_folder.with_name(f"slotwarden-kept-{os.getpid()}")
    monkeypatch.setenv("SLOTWARDEN_HOME", str(home))
    try:
        with shared_server() as server:
            query(server.url(), "create table kept as select 42 as answer")
        hour_ago = time.time() - 3600
        os.utime(home / "supervisor.lock", (hour_ago, hour_ago))
        with EmbeddedServer(durable=False) as temporary:
            assert temporary.log_file.parent.parent == home.parent, "swept elsewhere"
        with shared_server() as server:
            assert query(server.url(), "select answer from kept") == 42
    finally:
        shutil.rmtree(home)


def test_a_killed_initdb_leaves_no_half_made_data(
    use_server: Callable[..., User], server_folder: Path
) -> None:
    there = set(server_folder.iterdir())
    user = use_server(str(server_folder / "data"))
    wait_until(lambda: list(server_folder.glob(".data.new-*")), "initdb did not begin")
    user.kill()
    assert not (server_folder / "data").exists()
    with EmbeddedServer(server_folder / "data", durable=False) as server:
        assert query(server.url(), "select 1") == 1
    assert set(server_folder.iterdir()) - there == {server_folder / "data"}


def test_two_commands_at_once_share_one_server(
    use_server: Callable[..., User], embedded_home: Path
) -> None:
    users = [use_server("shared") for _ in range(3)]
    pids = {user.ready().said["pid"] for user in users}
    assert len(pids) == 1
    query(users[0].said["url"], "create table kept as select 42 as answer")
    users[0].leave()
    assert query(users[1].said["url"], "select answer from kept") == 42
    users[1].leave()
    users[2].leave()
    wait_until(lambda: not any(map(alive, pids)), "the server lives on")
    with shared_server() as server:
        pid = server.pid
        assert pid is not None
        assert server.data_dir.parent == embedded_home
        assert query(server.url(), "select answer from kept") == 42
    assert not alive(pid), "the last one to leave waits until the server is gone"


def test_a_killed_starter_harms_nobody_who_shares(
    use_server: Callable[..., User], embedded_home: Path
) -> None:
    starter = use_server("shared").ready()
    other = use_server("shared").ready()
    pid = starter.said["pid"]
    with closing(psycopg2.connect(other.said["url"])) as connection:
        starter.kill()
        with shared_server() as server:
            assert server.pid == pid
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    assert alive(pid)
    supervisor = supervisor_of(pid)
    other.kill()
    wait_until(lambda: not alive(pid), "the server lives on")
    wait_until(lambda: not alive(supervisor), "the supervisor lives on")
    assert embedded_home.is_dir()


@linux
def test_a_shared_server_survives_the_loss_of_its_supervisor(
    use_server: Callable[..., User], embedded_home: Path
) -> None:
    user = use_server("shared").ready()
    query(user.said["url"], "create table kept as select 42 as answer")
    psutil.Process(supervisor_of(user.said["pid"])).kill()
    with shared_server() as server:
        assert server.pid != user.said["pid"]
        assert query(server.url(), "select answer from kept") == 42
    user.kill()
    assert embedded_home.is_dir()


def test_a_long_path_gets_its_socket_elsewhere(
    embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = own_directory(embedded_home / ("long" * 25), searchable=True)
    monkeypatch.setenv("SLOTWARDEN_HOME", str(home))
    with shared_server() as server:
        assert server.data_dir.parent == home
        assert query(server.url(), "select 1") == 1
        elsewhere = server.socket_dir.parent
        assert home not in server.socket_dir.parents
    assert not elsewhere.exists()


def test_a_comma_in_the_home_is_no_obstacle(
    embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between commas libpq reads one host each."""
    home = own_directory(embedded_home / "mine, all mine", searchable=True)
    monkeypatch.setenv("SLOTWARDEN_HOME", str(home))
    with shared_server() as server:
        assert server.data_dir.parent == home
        assert query(server.url(), "select 1") == 1


def test_a_comma_in_the_folder_for_temporary_files_is_no_obstacle(
    use_server: Callable[..., User], server_folder: Path
) -> None:
    temporary = own_directory(server_folder / "a,b", searchable=True)
    user = use_server("durable", env={**os.environ, "TMPDIR": str(temporary)}).ready()
    assert query(user.said["url"], "select 1") == 1
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_a_forked_child_ends_and_the_server_stays(kind: str, embedded_home: Path) -> None:
    """In a process of its own, since a fork of pytest's would run its ends as well."""
    answer = subprocess.run(
        [sys.executable, "-c", _FORKING, kind],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    pid, status, there, answered = answer.stdout.split()
    assert (status, there, answered) == ("3", "True", "1")
    assert not alive(int(pid)), "the parent's own exit stops it"
    assert embedded_home.is_dir()


def test_ctrl_c_ends_the_user_and_the_server(use_server: Callable[..., User]) -> None:
    user = use_server("private", stderr=subprocess.DEVNULL).ready()
    user.process.send_signal(signal.SIGINT)
    user.process.wait(30)
    assert not alive(user.said["pid"]), "leaving the context must stop the server"
