"""What goes wrong: exit codes, and how errors are shown; no traceback for what is expected."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import typer
from rich.text import Text
from sqlalchemy.exc import DBAPIError

from slotwarden.cli.output import Output, shown
from slotwarden.cli.settings import DEFAULT_SCHEMA, settings_of
from slotwarden.cli.streams import OutputLostError, abandon_stdout
from slotwarden.embedded import EmbeddedError
from slotwarden.errors import translate_error
from slotwarden.exceptions import (
    BookingRefused,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidArgument,
    LockTimeout,
    OutcomeUnknown,
    ReservationNotFound,
    SlotwardenError,
    StaleVersion,
    TransactionConflict,
    UnknownChannel,
    UnknownVideoType,
)


class ExitCode(IntEnum):
    """What the exit code of ``slotwarden`` says."""

    DONE = 0
    REFUSED = 1
    MISTAKE = 2
    UNAVAILABLE = 3
    TRY_AGAIN = 4
    OUTCOME_UNKNOWN = 5
    OUTPUT_LOST = 74
    INTERRUPTED = 130
    UNREAD = 141


EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: (
        "refused by a rule of the workspace: slot taken, limit reached, in the past, changed"
        " meanwhile, ...; of an import: at least one row was; of the demo: something was"
        " overbooked; of the forecast: not all fit; of the doctor: something was found"
    ),
    ExitCode.MISTAKE: (
        "a mistake in the command: an argument, a file, or a channel, type, key or reservation"
        " that is not there"
    ),
    ExitCode.UNAVAILABLE: (
        "the database is not to be had: unreachable, without slotwarden, or a privilege is missing"
    ),
    ExitCode.TRY_AGAIN: "a conflict with others, or a lock not got in time: try again",
    ExitCode.OUTCOME_UNKNOWN: "the connection was lost in between: the outcome is unknown",
    ExitCode.OUTPUT_LOST: "carried out, but its output could not be written: a full disk, ...",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.UNREAD: "done, but whoever read the output went away",
}

# Of click, or of the copy of it that typer carries.
_UsageError: Any = typer.BadParameter.__base__

# The first that fits.
_BY_KIND: tuple[tuple[type[SlotwardenError], ExitCode], ...] = (
    (BookingRefused, ExitCode.REFUSED),
    (IllegalTransition, ExitCode.REFUSED),
    (StaleVersion, ExitCode.REFUSED),
    (OutcomeUnknown, ExitCode.OUTCOME_UNKNOWN),
    (DatabaseUnavailable, ExitCode.UNAVAILABLE),
    (LockTimeout, ExitCode.TRY_AGAIN),
    (TransactionConflict, ExitCode.TRY_AGAIN),
    (SlotwardenError, ExitCode.MISTAKE),
)

# The next step as a command, where the function's own hint names another function.
_COMMANDS: dict[type[SlotwardenError], str] = {
    UnknownChannel: "'slotwarden channel list' shows the channels; 'channel create' makes one.",
    UnknownVideoType: "'slotwarden channel list' shows the types; 'channel add-type' adds one.",
    ReservationNotFound: "'slotwarden calendar' and 'week' show reservations with their numbers.",
}

_IMPORT_CONFLICTS = "'slotwarden import-conflicts' shows the conflicts with their numbers."
_LIMITS = (
    "'slotwarden limits' shows the limits of a channel; 'slotwarden limit set LIMIT --max UNITS"
    " --counted-at publish' makes one."
)

# Invalid schema name, undefined table, function, column.
_NOT_INSTALLED = frozenset({"3F000", "42P01", "42883", "42703"})
# The server's own function behind RAISE: then it is slotwarden's SQL that speaks.
_RAISED_BY_SQL = "exec_stmt_raise"
# Invalid schema name, as raised; reserved name, of a role.
_NAMED_WRONGLY = frozenset({"3F000", "42939"})
_INSUFFICIENT_PRIVILEGE = "42501"

_PRIVILEGE_HINT = (
    "Connect as a role that has been granted the workspace's role for it (app, reader, admin);"
    " migrations need the owner, or a superuser."
)


# Not frozen: leaving a context manager sets an exception's traceback.
@dataclass(eq=False)
class Failure(Exception):
    """A command that ends early, and what to say about it.

    Attributes
    ----------
    code : ExitCode
        How the process ends.
    message : str
        What happened.
    hint : str or None
        The next step.
    sqlstate : str or None
        The SQLSTATE, if a database reported it.
    detail : Mapping
        The same for programs.
    """

    code: ExitCode
    message: str
    hint: str | None = None
    sqlstate: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


EXPECTED = (SlotwardenError, DBAPIError, EmbeddedError, Failure, OSError)


def failure_of(error: BaseException, schema: str) -> Failure:
    """Say what an expected error means for the command.

    Parameters
    ----------
    error : BaseException
        One of `EXPECTED`.
    schema : str
        The workspace that was used.
    """
    if isinstance(error, DBAPIError):
        translated = translate_error(error, schema=schema)
        if translated is None:
            return _foreign(error, schema)
        error = translated
    if isinstance(error, Failure):
        return error
    if isinstance(error, SlotwardenError):
        code = next(code for kind, code in _BY_KIND if isinstance(error, kind))
        return Failure(code, error.message, _next_step(error), error.sqlstate, error.detail)
    if isinstance(error, EmbeddedError):
        return Failure(ExitCode.UNAVAILABLE, str(error))
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return Failure(ExitCode.MISTAKE, f"{error.filename}: {error.strerror}")
    return Failure(ExitCode.MISTAKE, str(error))


def _next_step(error: SlotwardenError) -> str | None:
    if isinstance(error, ReservationNotFound) and error.import_conflict_id is not None:
        return _IMPORT_CONFLICTS
    if isinstance(error, InvalidArgument) and error.parameter == "limit":
        return _LIMITS
    return _COMMANDS.get(type(error), error.hint)


def upgrade_command(schema: str) -> str:
    """Return the command that installs or upgrades a workspace."""
    named = "" if schema == DEFAULT_SCHEMA else f"--schema {shlex.quote(schema)} "
    return f"slotwarden {named}db upgrade"


def not_installed(schema: str) -> Failure:
    """Return the failure of a database that has no such workspace, or an older one."""
    return Failure(
        ExitCode.UNAVAILABLE,
        f"slotwarden is not installed in schema {schema!r} of this database, or older there than"
        " this command.",
        f"Install or upgrade it with: {upgrade_command(schema)}",
    )


def show(failure: Failure, output: Output) -> None:
    """Tell people on standard error, and programs (``--json``) on standard output as well."""
    text = Text("Error: ", style="bold red")
    text.append(shown(failure.message, lines=True), style="default")
    if failure.sqlstate:
        text.append(f" [SQLSTATE {failure.sqlstate}]", style="dim")
    output.tell(text)
    if failure.hint:
        hint = Text("HINT: ", style="bold yellow").append(
            shown(failure.hint, lines=True), style="default"
        )
        output.tell(hint)
    if output.as_json:
        _show_to_programs(failure, output)


def _show_to_programs(failure: Failure, output: Output) -> None:
    try:
        output.json(
            {
                "error": {
                    "message": failure.message,
                    "sqlstate": failure.sqlstate,
                    "detail": failure.detail,
                    "hint": failure.hint,
                    "exit_code": int(failure.code),
                }
            }
        )
    except (BrokenPipeError, OutputLostError):
        # The exit code says it still.
        abandon_stdout()


def exit_for(failure: Failure, output: Output) -> typer.Exit:
    """Show a failure and return what ends the process with its code."""
    show(failure, output)
    return typer.Exit(int(failure.code))


@contextmanager
def exit_codes(context: typer.Context) -> Iterator[None]:
    """End the command with the exit code that says how it went, whatever happens inside.

    Raises
    ------
    typer.Exit
        Instead of whatever is expected to go wrong, once that is shown.
    """
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        abandon_stdout()
        raise typer.Exit(ExitCode.UNREAD) from None
    except OutputLostError as error:
        abandon_stdout()
        lost = Failure(ExitCode.OUTPUT_LOST, f"carried out, but its output is lost: {error}")
        raise exit_for(lost, settings_of(context).output) from None
    except SystemExit as end:
        # Rich ends the process where help cannot be written.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        abandon_stdout()
        raise typer.Exit(ExitCode.UNREAD) from None
    except _UsageError as error:
        # People are shown it by typer, with the usage.
        output = settings_of(context).output
        if output.as_json:
            _show_to_programs(Failure(ExitCode.MISTAKE, error.format_message()), output)
        raise
    except EXPECTED as error:
        settings = settings_of(context)
        raise exit_for(failure_of(error, settings.schema), settings.output) from error


def _foreign(error: DBAPIError, schema: str) -> Failure:
    report = error.orig
    sqlstate = getattr(report, "pgcode", None) or getattr(report, "sqlstate", None)
    diag = getattr(report, "diag", None)
    raised = getattr(diag, "source_function", None) == _RAISED_BY_SQL
    if sqlstate in _NOT_INSTALLED and not raised:
        return not_installed(schema)
    message = getattr(diag, "message_primary", None) or str(report).strip()
    hint = getattr(diag, "message_hint", None)
    if sqlstate == _INSUFFICIENT_PRIVILEGE:
        hint = hint or _PRIVILEGE_HINT
    code = ExitCode.MISTAKE if sqlstate in _NAMED_WRONGLY else ExitCode.UNAVAILABLE
    return Failure(code, message, hint, sqlstate)
