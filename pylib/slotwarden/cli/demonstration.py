"""``slotwarden demo``."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from slotwarden.cli.connection import opened_engine
from slotwarden.cli.failures import ExitCode, Failure
from slotwarden.cli.output import shown, table
from slotwarden.cli.pictures import weeks
from slotwarden.cli.settings import settings_of
from slotwarden.demo import SCHEMA, NotOurSchema, Result, run_demo

_MEANINGS = {
    "SWTKN": "slot taken",
    "SWLIM": "daily limit reached",
    "SWDUP": "video booked already",
    "55P03": "waited too long for a lock",
}
_PERCENTILES = (50, 95, 99)
_MEASURED = {
    "booking": "a booking",
    "lock_wait": "its wait for the locks",
    "refusal": "a refusal",
}


def demo(
    context: typer.Context,
    *,
    callers: Annotated[int, typer.Option(min=1, max=500, help="Callers at once.")] = 50,
    requests: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests of all of them together.")
    ] = 500,
    seed: Annotated[
        int, typer.Option(help="Decides who asks for what; who wins is decided by the race.")
    ] = 1,
) -> None:
    """Watch 50 callers fight over one day, and count afterwards whether anything is overbooked.

    Each caller has a connection of its own; all start at the same moment, and ask for slots of a
    fresh day and of its neighbours: finals and shorts, often for the same slot, sometimes for the
    same video. Then every booking is counted again from the rows, without the views and balances
    that slotwarden itself uses.

    Runs in the schema slotwarden_demo, whatever --schema says, which it drops and makes anew; only
    if it has made it itself. It stays, to be looked at:

    slotwarden --schema slotwarden_demo psql

    Exit code 1: something was overbooked.
    """
    settings = settings_of(context)
    output = settings.output
    # One more for the demo itself, one for the migration.
    with opened_engine(settings, prepare=False, connections=callers + 2) as engine:
        output.notice(f"Making schema {SCHEMA} ...")
        with output.progress("Booking", requests) as advance:
            try:
                result = run_demo(
                    engine, callers=callers, requests=requests, seed=seed, on_answer=advance
                )
            except NotOurSchema as error:
                raise Failure(
                    ExitCode.MISTAKE, str(error), "Drop it yourself if nobody needs it."
                ) from error
        output.result(_as_data(result), *_pictures(result))
    if not result.audit.passed:
        raise typer.Exit(ExitCode.REFUSED)


def percentiles(seconds: Sequence[float]) -> list[float]:
    """Return the 50th, 95th and 99th percentile, in milliseconds; of nothing, nothing."""
    if not seconds:
        return []
    if len(seconds) == 1:
        return [seconds[0] * 1000] * len(_PERCENTILES)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return [cuts[percentile - 1] * 1000 for percentile in _PERCENTILES]


def _measured(result: Result) -> dict[str, list[float]]:
    return {
        "booking": [answer.seconds for answer in result.booked],
        "lock_wait": [
            answer.locked_after for answer in result.booked if answer.locked_after is not None
        ],
        "refusal": [answer.seconds for answer in result.turned_down],
    }


def _as_data(result: Result) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "day": result.contested_day.isoformat(),
        "callers": result.callers,
        "requests": len(result.answers),
        "seconds": round(result.seconds, 3),
        "accepted": len(result.booked),
        "refused": [
            {"sqlstate": sqlstate, "limit": limit, "requests": count}
            for (sqlstate, limit), count in result.refused.items()
        ],
        "milliseconds": {
            name: {
                f"p{percentile}": round(figure, 2)
                for percentile, figure in zip(_PERCENTILES, percentiles(seconds), strict=False)
            }
            for name, seconds in _measured(result).items()
        },
        "audit": {
            "passed": result.audit.passed,
            "bookings": result.audit.bookings,
            "days": result.audit.days,
            "overbooked": list(result.audit.overbooked),
            "inconsistent": list(result.audit.inconsistent),
            "verdict": result.audit.verdict,
        },
        "calendar": [entry.to_dict() for entry in result.calendar],
    }


def _pictures(result: Result) -> Iterator[RenderableType]:
    yield from weeks(
        result.calendar, result.first_day, 7, "The week after the fight", details=False
    )
    yield Text(
        f"{len(result.answers)} requests of {result.callers} callers in {result.seconds:.2f} s,"
        f" half of them for {result.contested_day:%a %Y-%m-%d}:"
    )
    yield _outcomes(result)
    yield _times(result)
    yield Text(_explanation(result), style="dim")
    style = "bold green" if result.audit.passed else "bold white on red"
    yield Text(f"Audit: {shown(result.audit.verdict)}", style=style)


def _explanation(result: Result) -> str:
    return (
        "Calls are timed from sending them until their answer, as the caller sees it. All"
        f" {result.callers} callers are threads of one Python ({os.cpu_count()} cores here); each"
        " had warmed up its connection with a booking that was rolled back. The wait: from the"
        " statement's arrival at the server until its row was inserted, so including the checks;"
        " refusals do not tell theirs."
    )


def _outcomes(result: Result) -> Table:
    made = table("", ">requests")
    made.add_row("accepted", str(len(result.booked)), style="green")
    for (sqlstate, limit), count in result.refused.items():
        meaning = _MEANINGS.get(sqlstate, "refused")
        named = f"{meaning}: {limit}" if limit else meaning
        made.add_row(f"refused: {named} [{sqlstate}]", str(count))
    return made


def _times(result: Result) -> Table:
    made = table("milliseconds", ">calls", *(f">p{percentile}" for percentile in _PERCENTILES))
    for name, seconds in _measured(result).items():
        figures = [f"{figure:.1f}" for figure in percentiles(seconds)]
        made.add_row(_MEASURED[name], str(len(seconds)), *(figures or ["-"] * len(_PERCENTILES)))
    return made
