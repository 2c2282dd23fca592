"""Reading what no function of the API tells, where the role may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from slotwarden.database import quote_identifier


def may_read(connection: Connection, schema: str, relation: str) -> bool:
    """Tell whether the session may read a table or view of the workspace; False if it is absent."""
    rows = read(
        connection,
        schema,
        "select has_schema_privilege(n.oid, 'usage')"
        " and has_table_privilege(c.oid, 'select') as may"
        " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname = :workspace and c.relname = :relation",
        workspace=schema,
        relation=relation,
    )
    return bool(rows and rows[0].may)


def read(
    connection: Connection, schema: str, query: str, **parameters: object
) -> Sequence[Row[Any]]:
    """Run a query in which ``{schema}`` stands for the workspace, and give its rows.

    Parameters
    ----------
    connection : Connection
        A connection.
    schema : str
        The workspace.
    query : str
        Of this package's own making.
    **parameters
        Values of its ``:name`` parameters.
    """
    # A colon would begin a parameter.
    quoted = quote_identifier(schema).replace(":", r"\:")
    return connection.execute(text(query.replace("{schema}", quoted)), parameters).all()
