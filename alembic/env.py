"""Runs the revisions: online on a connection, offline (``--sql``) as text.

Called through :mod:`slotwarden.migrations`, or by plain ``alembic`` with the
database in ``SLOTWARDEN_DATABASE_URL`` and ``-x schema=...``.
"""

import os

from alembic import context

from slotwarden.migrations import Roles, prepare_sql, run_sql

given = context.config.attributes
asked = context.get_x_argument(as_dictionary=True)
schema: str = given.get("schema") or asked.get("schema", "slotwarden")
roles: Roles = given.get("roles") or Roles(
    **{purpose: asked[purpose] for purpose in Roles.__match_args__ if purpose in asked}
)


def migrate() -> None:
    """Prepare roles and schema, then run the revisions, in one transaction."""
    with context.begin_transaction():
        run_sql(context.get_context(), prepare_sql(schema, roles))
        context.run_migrations()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        # Without it names are printed for the driver, with every % doubled.
        dialect_opts={"paramstyle": "named"},
        version_table_schema=schema,
        literal_binds=True,
    )
    migrate()
elif "connection" in given:
    context.configure(connection=given["connection"], version_table_schema=schema)
    migrate()
else:
    from slotwarden.database import create_engine

    engine = create_engine(os.environ["SLOTWARDEN_DATABASE_URL"])
    with engine.connect() as connection:
        context.configure(connection=connection, version_table_schema=schema)
        migrate()
    engine.dispose()
