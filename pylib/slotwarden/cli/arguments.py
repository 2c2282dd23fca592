"""What people type, as the values that the functions take."""

from __future__ import annotations

import datetime as dt
import re

import typer

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::00)?")
_DURATION = re.compile(r"(?=.)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?")


def as_day(text: str) -> dt.date:
    """Read a day such as ``2027-03-01``.

    Raises
    ------
    typer.BadParameter
        It is not one.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2027-03-01") from None


def as_time_of_day(text: str) -> dt.time:
    """Read a time on the channel's clock, such as ``10:00``: no seconds, no offset, no 24:00.

    Raises
    ------
    typer.BadParameter
        It is not one.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not a time on the channel's clock such as 10:00;"
            " it has no seconds and no offset"
        )
    return dt.time(int(found[1]), int(found[2]))


def as_duration(text: str) -> dt.timedelta:
    """Read a duration such as ``90m``, ``2h``, ``1d12h`` or ``0``; a day has 24 hours.

    Raises
    ------
    typer.BadParameter
        It is not one.
    """
    if text == "0":
        return dt.timedelta(0)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90m, 2h, 1d12h or 0")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    try:
        return dt.timedelta(days=days, hours=hours, minutes=minutes)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long") from None


def own_options_apart(
    arguments: list[str], flags: set[str], valued: set[str]
) -> tuple[list[str], list[str]]:
    """Take the options of ``slotwarden`` itself out of a command line, wherever they stand.

    So ``slotwarden calendar --json`` works as ``slotwarden --json calendar`` does.

    Parameters
    ----------
    arguments : list of str
        The command line. What follows ``psql`` or ``--`` is not ours and stays.
    flags, valued : set of str
        Options without and with a value.

    Returns
    -------
    tuple
        These options, and what is left.
    """
    own: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--" or (argument == "psql" and not rest):
            rest += [argument, *remaining]
        elif argument in flags or ("=" in argument and argument.partition("=")[0] in valued):
            own.append(argument)
        elif argument in valued:
            own += [argument, *[value for value in [next(remaining, None)] if value is not None]]
        else:
            rest.append(argument)
    return own, rest
