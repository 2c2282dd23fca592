"""An example of each command, shown below its help. A test runs them, from top to bottom."""

from __future__ import annotations

import typer

EXAMPLES = {
    "db upgrade": "slotwarden db upgrade",
    "db current": "slotwarden db current",
    "channel create": "slotwarden channel create news --time-zone Asia/Seoul --lead 2h",
    "channel list": "slotwarden channel list",
    "channel set": "slotwarden channel set news --lead 90m",
    "channel add-type": "slotwarden channel add-type live --channel news",
    "limit set": "slotwarden limit set news/final --max 3",
    "limit override": "slotwarden limit override final 2027-03-02 4",
    "limit charge": "slotwarden limit charge live news/final 1 --channel news",
    "limits": "slotwarden limits --channel news",
    "reserve": "slotwarden reserve 2027-03-01 final 10:00 --video intro.mp4",
    "next": "slotwarden next short --from 2027-03-01 --list 5",
    "move": "slotwarden move 1 2027-03-02 14:00",
    "week": "slotwarden week 2027-03-01",
    "calendar": "slotwarden calendar --from 2027-03-01 --days 14",
    "status": "slotwarden status --day 2027-03-01",
    "forecast": "slotwarden forecast final=40 short=100 --from 2027-03-01",
    "cancel": "slotwarden cancel 1 --version 2",
    "recalculate": "slotwarden recalculate --from 2027-03-01 --to 2027-03-31 --dry-run",
    "doctor": "slotwarden doctor",
    "import": "slotwarden import videos.csv --shift-days 365 --dry-run",
    "import-langflix": "slotwarden import-langflix --from postgresql://langflix@db/videos",
    "import-conflicts": "slotwarden import-conflicts --all",
    "rebook": "slotwarden rebook 1 2027-03-01 18:00",
    "psql": "slotwarden psql -c 'select * from daily_status()'",
    "demo": "slotwarden demo",
    "web": "slotwarden web --port 9000 --no-open",
    "db downgrade": "slotwarden db downgrade -1",
}
"""By the command's words."""


def add_examples(app: typer.Typer, words: str = "") -> None:
    """Let the help of every command end with its example.

    Raises
    ------
    KeyError
        A command has none.
    """
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        command.epilog = f"Example: `{EXAMPLES[words + name]}`"
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, f"{words}{group.name} ")
