"""The database roles of a workspace."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from slotwarden.database import check_name


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the database roles of a workspace.

    They are created where they are missing and the installing role may create
    roles, and never dropped. A workspace keeps those that it was installed with.

    Raises
    ------
    InvalidArgument
        SWARG: a name that PostgreSQL cannot have.
    """

    owner: str = "slotwarden_owner"
    app: str = "slotwarden_app"
    reader: str = "slotwarden_reader"
    admin: str = "slotwarden_admin"

    def __post_init__(self) -> None:
        for name in astuple(self):
            check_name(name, "a role")
