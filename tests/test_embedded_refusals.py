"""What the embedded PostgreSQL refuses, and how it finds its binaries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_support import User, query
from slotwarden.embedded import (
    EmbeddedError,
    EmbeddedServer,
    EmbeddedUnavailable,
    binaries,
    find_binaries,
    shared_server,
)
from slotwarden.embedded.account import server_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user, so root")


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


def test_a_failed_start_shows_the_servers_log() -> None:
    server = EmbeddedServer(durable=False, settings={"shared_buffers": "a lot"})
    with pytest.raises(EmbeddedError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    assert server.pid is None
    assert not server.log_file.parent.exists()


def test_a_second_server_on_the_same_data_is_refused(server_folder: Path) -> None:
    with EmbeddedServer(server_folder / "data", durable=False) as server:
        with pytest.raises(EmbeddedError, match=f"in use by a running server .*{server.pid}"):
            EmbeddedServer(server_folder / "data", durable=False).start()
        assert query(server.url(), "select 1") == 1


def test_a_folder_with_other_things_is_refused_and_left_alone(server_folder: Path) -> None:
    data = server_folder / "data"
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    with pytest.raises(EmbeddedError, match="not a complete data folder"):
        EmbeddedServer(data, durable=False).start()
    assert [path.name for path in data.iterdir()] == ["letter.txt"]


def test_half_a_data_folder_is_refused(server_folder: Path) -> None:
    data = server_folder / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(EmbeddedError, match="not a complete data folder"):
        EmbeddedServer(data, durable=False).start()


def test_data_of_another_major_version_are_refused(server_folder: Path) -> None:
    data = server_folder / "data"
    with EmbeddedServer(data, durable=False) as server:
        bin_dir = server.bin_dir
    (data / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 14, but .* holds PostgreSQL \d\d"):
        EmbeddedServer(data, durable=False, bin_dir=bin_dir).start()


def test_the_binaries_named_by_the_user_come_first(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_binaries()
    named = server_folder / "bin"
    named.symlink_to(real)
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(named))
    assert find_binaries() == named


def test_wrong_binaries_named_by_the_user_are_an_error(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOTWARDEN_PG_BIN", str(server_folder))
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
    use_server: Callable[..., User], embedded_home: Path, server_folder: Path
) -> None:
    for_root_only = server_folder / "site"
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
    users = [use_server("private", env=environment) for _ in range(2)]
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


@pytest.mark.parametrize("kind", ["file", "file/home", "dangling", "circle"])
def test_a_home_that_cannot_be_a_folder_is_refused(
    kind: str, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server_folder / "file").write_text("dear")
    (server_folder / "dangling").symlink_to(server_folder / "nowhere" / "home")
    (server_folder / "circle").symlink_to(server_folder / "circle")
    there = sorted(server_folder.iterdir())
    home = server_folder / kind
    monkeypatch.setenv("SLOTWARDEN_HOME", str(home))
    with pytest.raises(EmbeddedError, match=re.escape(str(home))), shared_server():
        pytest.fail("started in what is no folder")
    assert sorted(server_folder.iterdir()) == there


def test_data_below_a_file_are_refused(server_folder: Path) -> None:
    (server_folder / "file").write_text("dear")
    with pytest.raises(EmbeddedError, match=re.escape(str(server_folder / "file"))):
        EmbeddedServer(server_folder / "file" / "data", durable=False).start()


def test_a_lock_that_is_no_file_is_refused(embedded_home: Path) -> None:
    (embedded_home / "users.lock").mkdir()
    with pytest.raises(EmbeddedError, match=r"users\.lock"), shared_server():
        pytest.fail("started without a lock")


def test_a_home_of_ones_own_without_the_right_to_write_is_refused(server_folder: Path) -> None:
    """Of an ordinary user: no mode of a folder keeps root out."""
    home = server_folder / "home"
    home.mkdir()
    uid = server_account().uid
    os.chown(home, uid, -1)
    home.chmod(0o500)
    # In a process of its own: the user of a process is not a test's to change.
    code = """
import os, sys
from slotwarden.embedded import EmbeddedError, shared_server
os.setuid(int(sys.argv[1]))
try:
    with shared_server():
        print("started")
except EmbeddedError as error:
    print(error)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(uid)],
        env={**os.environ, "SLOTWARDEN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"You may not write to {home}" in answer.stdout, answer.stderr
    assert list(home.iterdir()) == []


def test_binaries_may_be_named_from_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binaries()
    monkeypatch.chdir(real.parent)
    with EmbeddedServer(bin_dir=Path(real.name), durable=False) as server:
        assert query(server.url(), "select 1") == 1
        assert server.bin_dir.is_absolute()
