"""The operating system account that PostgreSQL runs under."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from slotwarden.embedded.errors import EmbeddedUnavailable


class PopenIdentity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that say who runs a command."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """A user of this machine, by numbers.

    Attributes
    ----------
    uid, gid : int
        The user and its only group.
    switched : bool
        True when it is not the user that runs Python.
    """

    uid: int
    gid: int
    switched: bool

    def popen_identity(self) -> PopenIdentity:
        """Return the arguments that make `subprocess.Popen` run a command as this account."""
        if not self.switched:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, directory: Path) -> bool:
        """Tell whether the account may use files below `directory`.

        Parameters
        ----------
        directory : Path
            An existing folder. Symbolic links are followed.

        Returns
        -------
        bool
            False as soon as one folder of the path refuses the account.
        """
        real = directory.resolve()
        if not self.switched:
            # The system knows of further groups and of access lists.
            return os.access(real, os.X_OK)
        return all(self._may_search(folder) for folder in (real, *real.parents))

    def _may_search(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def server_account() -> Account:
    """Return who PostgreSQL is to run as.

    PostgreSQL refuses to run as root, so root hands it to ``nobody``; everybody else runs it
    under their own name.

    Raises
    ------
    EmbeddedUnavailable
        The account has no name, which ``initdb`` insists on.
    """
    uid = os.geteuid()
    try:
        if uid == 0:
            nobody = pwd.getpwnam("nobody")
            return Account(nobody.pw_uid, nobody.pw_gid, switched=True)
        return Account(pwd.getpwuid(uid).pw_uid, os.getegid(), switched=False)
    except KeyError as error:
        who = "nobody" if uid == 0 else f"with the id {uid}"
        raise EmbeddedUnavailable(
            f"This machine has no user {who} (see /etc/passwd), and PostgreSQL runs under a named "
            f"user only. Add one, or name a running database in SLOTWARDEN_DATABASE_URL."
        ) from error
