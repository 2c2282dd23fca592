"""Results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from slotwarden.cli.folding import UNLIMITED_WIDTH, FoldingTable
from slotwarden.cli.streams import writing_results

_SHOW_AFTER_SECONDS = 1.0
# A day with its time of day.
_NARROWEST = 16

JsonData = Mapping[str, object] | Sequence[object]


def shown(value: object, *, lines: bool = False) -> str:
    """Return a value as text that cannot steer a terminal.

    Names of channels and videos come from anywhere; escape sequences in them are made visible.

    Parameters
    ----------
    value : object
        What to show.
    lines : bool
        Keep line breaks.
    """
    text = str(value).expandtabs(4)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode()
        for c in text
    )


class Output:
    """The two streams of a command.

    Parameters
    ----------
    as_json : bool
        Results are one JSON document on standard output.
    color : bool
        False: no colours. On other things than terminals, and where ``NO_COLOR`` is set, there
        are none anyway.
    """

    def __init__(self, *, as_json: bool = False, color: bool = True) -> None:
        self.as_json = as_json
        self.stdout = _console(stderr=False, color=color)
        self.stderr = _console(stderr=True, color=color)

    def result(self, data: JsonData, *shown_as: RenderableType) -> None:
        """Show a result: `data` as JSON, or else what people read."""
        if self.as_json:
            self.json(data)
            return
        with writing_results():
            for renderable in shown_as:
                self.stdout.print(renderable)

    def text(self, text: str) -> None:
        """Write text as it stands, such as SQL, to standard output."""
        with writing_results():
            sys.stdout.write(text)
            sys.stdout.flush()

    def json(self, data: JsonData) -> None:
        """Write one JSON document to standard output."""
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        ascii_only = encoding.replace("-", "") != "utf8"
        self.text(json.dumps(data, ensure_ascii=ascii_only, indent=2) + "\n")

    def notice(self, text: str, *, style: str = "dim") -> None:
        """Tell something beside the result, on standard error."""
        self.tell(Text(text, style=style))

    def tell(self, text: Text) -> None:
        """Write to standard error, if that is possible: it does not count as a result."""
        with suppress(OSError):
            self.stderr.print(text, soft_wrap=True)

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Show that something of unknown length goes on, once it has taken a second."""
        if not self.stderr.is_terminal:
            yield
            return
        status = self.stderr.status(Text(doing))
        timer = threading.Timer(_SHOW_AFTER_SECONDS, status.start)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            status.stop()

    @contextmanager
    def progress(self, doing: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar once the work has taken a second.

        Yields
        ------
        Callable
            To be called after each of the `total` steps, from any thread.
        """
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.stderr,
            transient=True,
            disable=not self.stderr.is_terminal,
        )
        task = bar.add_task(doing, total=total)
        began = time.monotonic()

        def advance() -> None:
            bar.advance(task)
            if time.monotonic() - began > _SHOW_AFTER_SECONDS:
                bar.start()

        try:
            yield advance
        finally:
            # One that was never shown would still end its line.
            if bar.live.is_started:
                bar.stop()


def table(*columns: str, title: str | None = None, narrowest: int = _NARROWEST) -> Table:
    """Return an empty table in the style of all commands; columns named ``>x`` align right.

    Parameters
    ----------
    *columns : str
        Their headers.
    title : str, optional
        Stands above.
    narrowest : int
        As of `FoldingTable`.
    """
    made = FoldingTable(title=title, title_justify="left", header_style="bold", narrowest=narrowest)
    for name in columns:
        right = name.startswith(">")
        made.add_column(
            name.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    return made


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command, instead of ending the process here."""
        raise BrokenPipeError


def _console(*, stderr: bool, color: bool) -> Console:
    # Without markup: a video may be called "[red]".
    console = _Console(
        stderr=stderr, no_color=None if color else True, markup=False, emoji=False, highlight=False
    )
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNLIMITED_WIDTH
    return console
