"""The embedded PostgreSQL, with real servers, real processes and real kills."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from slotwarden.embedded import (
    EmbeddedError,
    EmbeddedServer,
    EmbeddedUnavailable,
    binaries,
    find_binaries,
    shared_server,
)
from slotwarden.embedded.account import server_account
from slotwarden.embedded.places import own_directory, temporary_directory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, so root")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")

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
elif kind == "private":
    context = EmbeddedServer(durable=False)
else:
    context = EmbeddedServer(Path(kind), durable=False)
with context as server:
    print(json.dumps({"pid": server.pid, "url": server.url(), "log": str(server.log_file),
                      "bin": str(server.bin_dir)}), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses a server."""

    def __init__(self, kind: str, command: Sequence[str] = (sys.executable,), **popen: Any) -> None:
        self.process = subprocess.Popen(
            [*command, "-c", _USER_OF_A_SERVER, kind],
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


@pytest.fixture
def use() -> Iterator[Callable[..., User]]:
    """Start processes that use a server; whatever is left of them is ended after the test."""
    started: list[User] = []

    def start(kind: str, **popen: Any) -> User:
        started.append(User(kind, **popen))
        return started[-1]

    yield start
    for user in started:
        user.kill()
        for pipe in (user.process.stdin, user.process.stdout):
            assert pipe is not None
            pipe.close()
    pids = {user.said["pid"] for user in started if user.said}
    wait_until(lambda: not any(map(alive, pids)), "a server outlived its users")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's account can enter; pytest's own are for one user only."""
    made = temporary_directory(server_account(), in_memory=True)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    """A server for the tests that only look at one."""
    settings = {"deadlock_timeout": "123ms"}
    with EmbeddedServer(durable=False, port=6543, settings=settings) as server:
        yield server


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


def test_a_server_of_ones_own_comes_and_goes() -> None:
    with EmbeddedServer(durable=False) as server:
        pid = server.pid
        assert pid is not None
        assert query(server.url(), "show server_encoding") == "UTF8"
        assert query(server.url(), "show timezone") == "UTC"
        supervisor = supervisor_of(pid)
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C in the terminal would stop it"
    assert not alive(pid)
    assert not alive(supervisor)
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
def test_an_ordinary_user_runs_it(use: Callable[..., User]) -> None:
    uid = server_account().uid
    identity: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": [], "cwd": "/"}
    try:
        subprocess.run([sys.executable, "-c", "import slotwarden"], check=True, **identity)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{sys.executable} is for root only")
    environment = {**os.environ, "HOME": "/nonexistent"}
    environment.pop("SLOTWARDEN_HOME")
    user = use("private", env=environment, **identity).ready()
    assert psutil.Process(user.said["pid"]).uids().effective == uid
    user.leave()


@as_root
def test_a_user_without_a_name_is_told_so() -> None:
    # In a process of its own: the user of a process is not a test's to change.
    without_name = """
import os
from slotwarden.embedded import EmbeddedServer, EmbeddedUnavailable
os.setuid(4_000_001)
try:
    EmbeddedServer().start()
except EmbeddedUnavailable as error:
    print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", without_name], capture_output=True, text=True, check=True
    )
    assert "no user with the id 4000001" in answer.stdout


def test_data_are_kept_in_a_folder_of_the_callers(folder: Path) -> None:
    data = folder / "deep" / "data"
    data.parent.mkdir(mode=0o755)
    with EmbeddedServer(data, durable=False) as server:
        query(server.url(), "create table kept as select 42 as answer")
    with EmbeddedServer(data, durable=False) as server:
        assert query(server.url(), "select answer from kept") == 42
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]


def test_a_second_server_on_the_same_data_is_refused(folder: Path) -> None:
    with EmbeddedServer(folder / "data", durable=False) as server:
        with pytest.raises(EmbeddedError, match=f"in use by a running server .*{server.pid}"):
            EmbeddedServer(folder / "data", durable=False).start()
        assert query(server.url(), "select 1") == 1


def test_a_server_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedServer(durable=False)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        assert query(server.url(), "select 1") == 1
    finally:
        server.stop()


def test_a_failed_start_shows_the_servers_log() -> None:
    server = EmbeddedServer(durable=False, settings={"shared_buffers": "a lot"})
    with pytest.raises(EmbeddedError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    assert server.pid is None
    assert not server.log_file.parent.exists()


def test_a_killed_owner_leaves_nothing_behind(use: Callable[..., User]) -> None:
    user = use("private").ready()
    supervisor = supervisor_of(user.said["pid"])
    user.kill()
    wait_until(lambda: not alive(user.said["pid"]), "the server lives on")
    wait_until(lambda: not alive(supervisor), "the supervisor lives on")
    assert not Path(user.said["log"]).parent.exists()


@linux
def test_a_killed_supervisor_takes_its_server_along(use: Callable[..., User], folder: Path) -> None:
    user = use(str(folder / "data")).ready()
    query(user.said["url"], "create table kept as select 42 as answer")
    psutil.Process(supervisor_of(user.said["pid"])).kill()
    wait_until(lambda: not alive(user.said["pid"]), "the server lives on")
    user.kill()
    left_behind = Path(user.said["log"]).parent
    assert left_behind.is_dir(), "nobody was left to remove it"
    hour_ago = time.time() - 3600
    os.utime(left_behind / "supervisor.lock", (hour_ago, hour_ago))
    with EmbeddedServer(folder / "data", durable=False) as server:
        assert query(server.url(), "select answer from kept") == 42
    assert not left_behind.exists()


def test_a_killed_initdb_leaves_no_half_made_data(use: Callable[..., User], folder: Path) -> None:
    user = use(str(folder / "data"))
    wait_until(lambda: list(folder.glob(".data.new-*")), "initdb did not begin")
    user.kill()
    assert not (folder / "data").exists()
    with EmbeddedServer(folder / "data", durable=False) as server:
        assert query(server.url(), "select 1") == 1
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_two_commands_at_once_share_one_server(
    use: Callable[..., User], embedded_home: Path
) -> None:
    users = [use("shared") for _ in range(3)]
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
    use: Callable[..., User], embedded_home: Path
) -> None:
    starter = use("shared").ready()
    other = use("shared").ready()
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
    use: Callable[..., User], embedded_home: Path
) -> None:
    user = use("shared").ready()
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


def test_a_folder_with_other_things_is_refused_and_left_alone(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    with pytest.raises(EmbeddedError, match="not a complete data folder"):
        EmbeddedServer(data, durable=False).start()
    assert [path.name for path in data.iterdir()] == ["letter.txt"]


def test_half_a_data_folder_is_refused(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(EmbeddedError, match="not a complete data folder"):
        EmbeddedServer(data, durable=False).start()


def test_data_of_another_major_version_are_refused(folder: Path) -> None:
    data = folder / "data"
    with EmbeddedServer(data, durable=False) as server:
        bin_dir = server.bin_dir
    (data / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 14, but .* holds PostgreSQL \d\d"):
        EmbeddedServer(data, durable=False, bin_dir=bin_dir).start()


def test_the_binaries_named_by_the_user_come_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_binaries()
    named = folder / "bin"
    named.symlink_to(real)
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(named))
    assert find_binaries() == named


def test_wrong_binaries_named_by_the_user_are_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(folder))
    with pytest.raises(EmbeddedUnavailable, match=r"SLOTWARDEN_PG_BIN names .*no initdb"):
        find_binaries()


def test_the_wrong_major_version_named_by_the_user_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(find_binaries()))
    with pytest.raises(EmbeddedUnavailable, match="PostgreSQL 14 is needed here"):
        find_binaries(14)


def test_without_binaries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLOTWARDEN_PG_BIN", raising=False)
    monkeypatch.setattr(binaries, "_WHEEL_PACKAGE", "no_such_package")
    binaries._wheel_binaries.cache_clear()
    try:
        with pytest.raises(EmbeddedUnavailable, match=re.escape("slotwarden[embedded]")):
            find_binaries()
    finally:
        binaries._wheel_binaries.cache_clear()


@as_root
def test_unreachable_binaries_are_copied_once(
    use: Callable[..., User], embedded_home: Path, folder: Path
) -> None:
    for_root_only = folder / "site"
    package = binaries.packaged_folder()
    if package is None:
        pytest.skip("needs the packaged binaries")
    shutil.copytree(package, for_root_only / package.name)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, for_root_only / libraries.name)
    for_root_only.chmod(0o700)
    paths = [str(for_root_only), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("SLOTWARDEN_PG_BIN", None)
    users = [use("private", env=environment) for _ in range(2)]
    used = {user.ready().said["bin"] for user in users}
    assert len(used) == 1
    assert embedded_home in Path(used.pop()).parents
    assert len(list((embedded_home / "binaries").iterdir())) == 1
    assert for_root_only.stat().st_mode & 0o777 == 0o700


@as_root
def test_data_that_nobody_cannot_reach_are_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedError, match="cannot enter"):
        EmbeddedServer(tmp_path / "data", durable=False).start()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_home_that_belongs_to_somebody_else_is_refused(embedded_home: Path) -> None:
    os.chown(embedded_home, server_account().uid, -1)
    with pytest.raises(EmbeddedError, match="belongs to uid"), shared_server():
        pytest.fail("started in a folder of another user")


def test_a_home_that_others_may_write_to_is_refused(embedded_home: Path) -> None:
    embedded_home.chmod(0o777)
    with pytest.raises(EmbeddedError, match="Others may write"), shared_server():
        pytest.fail("started in a folder that others may write to")


def test_ctrl_c_ends_the_user_and_the_server(use: Callable[..., User]) -> None:
    user = use("private", stderr=subprocess.DEVNULL).ready()
    user.process.send_signal(signal.SIGINT)
    user.process.wait(_PATIENCE_SECONDS)
    assert not alive(user.said["pid"]), "leaving the context must stop the server"
