"""Settings that the guides recommend: the programs they are for accept them, and work so."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from conftest import ServerAddress
from docs_support import ROOT, SHOWN_TODAY, Python, as_shown, examples, read, today_in_utc
from embedded_support import wait_until
from installing import database_name, run_sql
from slotwarden import Scheduler
from slotwarden.embedded.account import server_account
from slotwarden.embedded.places import private_directory
from support import Connect, query, session

HOW_TO = ROOT / "docs" / "how-to"
_PORT = "6432"


def settings_block(page: Path) -> str:
    (block,) = re.findall(r"^```ini\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_server_accepts_the_settings_for_a_standby(
    server: ServerAddress, connect: Connect
) -> None:
    parser = configparser.ConfigParser()
    parser.read_string("[server]\n" + settings_block(HOW_TO / "high-availability.md"))
    connection = session(connect, dsn=server.url("postgres"))
    for name, value in parser["server"].items():
        # Checked as it is written; without a reload it never comes into force.
        try:
            query(connection, f"alter system set {name} = {value}")
        finally:
            query(connection, f"alter system reset {name}")


def test_the_server_that_accepts_writes_is_found_by_the_urls(
    server: ServerAddress, database_url: str
) -> None:
    text = read(HOW_TO / "high-availability.md")
    (for_slotwarden,) = re.findall(r"`(postgresql://user@/\S+)`", text)
    (for_psql,) = re.findall(r"`(postgresql://user@one\S+)`", text)
    name = database_name(database_url)
    address = for_slotwarden.replace("user@/app", f"{server.user}@/{name}")
    # Nobody listens at the first.
    address = address.replace("one:5432", f"{server.host}x:{server.port}")
    with Scheduler(address.replace("two:5432", f"{server.host}:{server.port}")) as scheduler:
        assert scheduler.available_slots("final", count=1)
    dead, live = (
        f"{quote(host, safe='')}:{server.port}" for host in (f"{server.host}x", server.host)
    )
    address = for_psql.replace("user@", f"{server.user}@").replace("/app", f"/{name}")
    address = address.replace("one:5432", dead).replace("two:5432", live)
    assert run_sql(address, "show transaction_read_only") == "off\n"


@contextmanager
def pooler(settings: configparser.ConfigParser, folder: Path) -> Iterator[str]:
    """Run PgBouncer, as the account that the server runs as, and give its socket's folder."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no pgbouncer (Debian: apt install pgbouncer)")
    account = server_account()
    file = folder / "pgbouncer.ini"
    with file.open("w", encoding="utf-8") as written:
        settings.write(written)
    file.chmod(0o644)
    private_directory(Path(settings["pgbouncer"]["unix_socket_dir"]), account)
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            **account.popen_identity(),
        )
    sockets = settings["pgbouncer"]["unix_socket_dir"]
    try:
        wait_until(
            lambda: Path(sockets, f".s.PGSQL.{_PORT}").exists() or process.poll() is not None,
            "pgbouncer does not listen",
        )
        assert process.poll() is None, (folder / "pgbouncer.log").read_text(errors="replace")
        yield sockets
    finally:
        process.terminate()
        process.wait(30)


def test_the_examples_work_through_pgbouncer(
    server: ServerAddress, database_url: str, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = HOW_TO / "pgbouncer.md"
    settings = configparser.ConfigParser()
    settings.read_string(settings_block(page))
    name = database_name(database_url)
    settings["databases"] = {
        name: f"host={server.host} port={server.port} user={server.user} dbname={name}"
    }
    # Addresses and passwords are the reader's; all else is the page's.
    own = settings["pgbouncer"]
    own["unix_socket_dir"] = str(server_folder / "sockets")
    own["listen_addr"] = ""
    own["listen_port"] = _PORT
    own["auth_type"] = "any"
    del own["auth_file"]
    with pooler(settings, server_folder) as sockets:
        url = f"postgresql://{server.user}@/{name}?host={sockets}&port={_PORT}"
        monkeypatch.setenv("SLOTWARDEN_DATABASE_URL", url)
        python = Python(str(page))
        with closing(python):
            for example in examples(read(page)):
                assert example.language == "python"
                assert example.shown is not None
                today = today_in_utc()
                output = as_shown(python.run(example), today)
                assert output == as_shown(example.shown, SHOWN_TODAY)
        with closing(psycopg2.connect(f"{url.replace(name, 'pgbouncer')}")) as console:
            console.autocommit = True
            with console.cursor() as cursor:
                cursor.execute("show config")
                modes = [value for key, value, *_ in cursor.fetchall() if key == "pool_mode"]
            assert modes == ["transaction"]
