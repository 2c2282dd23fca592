"""The commands of ``slotwarden``, put together."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slotwarden.cli import (
    administration,
    booking,
    database,
    demonstration,
    doctor,
    forecast,
    importing,
    langflix,
    limits,
    planning,
    psql,
    reading,
    recalculation,
    version_line,
    web,
    week,
)
from slotwarden.cli.arguments import own_options_apart
from slotwarden.cli.examples import add_examples
from slotwarden.cli.failures import EXIT_CODES, exit_codes
from slotwarden.cli.output import Output
from slotwarden.cli.settings import DEFAULT_SCHEMA, Settings
from slotwarden.cli.streams import writing_results
from slotwarden.database import check_name

__all__ = ["app"]

_FLAGS = {"--json", "--no-color"}
_VALUED = {"--database-url", "--schema"}
_EXIT_CODES_HELP = "\n".join(
    ["Exit codes:\n", *(f"- **{int(code)}** {meaning}" for code, meaning in EXIT_CODES.items())]
)


class _Root(TyperGroup):
    """The root command: takes its options anywhere, and turns errors into exit codes."""

    # Any: typer has had several classes of contexts.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        own, rest = own_options_apart(args, _FLAGS, _VALUED)
        # Until the options are read: a mistake in them is shown as they ask, too.
        ctx.obj = Settings(
            database_url=None,
            schema=DEFAULT_SCHEMA,
            output=Output(as_json="--json" in own, color="--no-color" not in own),
        )
        with exit_codes(ctx), writing_results():
            return super().parse_args(ctx, own + rest)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        with exit_codes(ctx):
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Root,
    name="slotwarden",
    no_args_is_help=True,
    # An unexpected error is a bug; a plain traceback is what a report of it needs.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    epilog=_EXIT_CODES_HELP,
)
app.command()(booking.reserve)
app.command("next")(planning.next_slot)
app.command()(planning.move)
app.command()(booking.cancel)
app.command()(week.week)
app.command()(reading.calendar)
app.command()(reading.status)
app.command()(limits.limits)
app.command()(forecast.forecast)
app.add_typer(administration.channels, name="channel")
app.add_typer(administration.limits, name="limit")
app.command()(recalculation.recalculate)
app.command()(doctor.doctor)
app.command("import")(importing.import_videos)
app.command()(demonstration.demo)
app.command()(web.web)
app.command()(langflix.import_langflix)
app.command()(langflix.import_conflicts)
app.command()(langflix.rebook)
app.command(context_settings={"ignore_unknown_options": True})(psql.psql)
app.add_typer(database.commands, name="db")
add_examples(app)


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="SLOTWARDEN_DATABASE_URL",
            metavar="URL",
            help="The database: postgresql://user@host:5432/database. A password is safer in the"
            " variable, or in ~/.pgpass. Without it: an embedded PostgreSQL, kept for you.",
        ),
    ] = None,
    schema: Annotated[
        str,
        typer.Option(
            envvar="SLOTWARDEN_SCHEMA", help="The workspace: the schema that slotwarden lives in."
        ),
    ] = DEFAULT_SCHEMA,
    json: Annotated[
        bool,
        typer.Option("--json", help="One JSON document on standard output, for programs."),
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; so does NO_COLOR.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _print_version(asked=asked),
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Book publish slots for video uploads; no slot twice, no day over its limits.

    Works on the database named by --database-url or SLOTWARDEN_DATABASE_URL, which only
    'slotwarden db' ever migrates. Without one it starts a PostgreSQL of its own, which keeps its
    data between runs.

    The options below may stand before or after the command, but for psql, which takes what follows
    it as its own. Results go to standard output, notices, progress and errors to standard error.
    """
    check_name(schema, "a schema")
    context.obj = Settings(
        database_url=database_url or None,
        schema=schema,
        output=Output(as_json=json, color=not no_color),
    )
