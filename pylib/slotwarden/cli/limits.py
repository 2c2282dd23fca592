"""``slotwarden limits``: the daily limits of a channel, and what its videos take from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer
from rich.table import Table
from rich.text import Text

from slotwarden.cli.connection import opened_scheduler
from slotwarden.cli.options import ChannelOption
from slotwarden.cli.output import shown, table
from slotwarden.cli.settings import settings_of
from slotwarden.models import DailyStatus
from slotwarden.takeover import LangflixSetting


def limits(context: typer.Context, *, channel: ChannelOption = "default") -> None:
    """Show the daily limits of a channel: maximum, where their day turns, who takes what.

    The maximum is that of ordinary days; 'slotwarden status' shows a day's own, and what is used.
    Administrators change them with 'slotwarden limit set', 'limit override' and 'limit charge'.
    """
    settings = settings_of(context)
    with opened_scheduler(settings) as scheduler:
        rules = scheduler.langflix_settings(channel=channel)
        today = {row.limit_id: row for row in scheduler.daily_status(channel=channel)}
    charged = [rule for rule in rules if rule.limit_id in today]
    shown_limits = [
        _limit(today[name], [rule for rule in charged if rule.limit_id == name])
        for name in sorted(today, key=lambda name: (today[name].counted_at, name))
    ]
    free = sorted({rule.video_type for rule in rules} - {rule.video_type for rule in charged})
    settings.output.result(shown_limits, _drawn(shown_limits, channel))
    if free:
        settings.output.notice(f"Without any limit: {', '.join(map(shown, free))}.")


def _limit(status: DailyStatus, rules: Sequence[LangflixSetting]) -> dict[str, object]:
    return {
        "limit_id": status.limit_id,
        "counted_at": str(status.counted_at),
        "time_zone": status.time_zone,
        "max_units": rules[0].max_units,
        "warn_percent": rules[0].warn_percent,
        "charges": {rule.video_type: rule.units for rule in rules},
    }


def _drawn(limits_shown: Sequence[Mapping[str, object]], channel: str) -> Table | Text:
    if not limits_shown:
        return Text(f"{shown(channel)} has no limit: nothing that it books takes any units.")
    made = table(
        "limit", ">a day", "counted", "its day turns in", "takes", ">warns at",
        title=f"Daily limits of {shown(channel)}",
    )  # fmt: skip
    for limit in limits_shown:
        charges = limit["charges"]
        assert isinstance(charges, dict)  # noqa: S101
        made.add_row(
            shown(limit["limit_id"]),
            f"{limit['max_units']:,}",
            str(limit["counted_at"]),
            shown(limit["time_zone"]),
            "\n".join(f"{shown(name)}: {units:,}" for name, units in charges.items()),
            f"{limit['warn_percent']} %",
        )
    return made
