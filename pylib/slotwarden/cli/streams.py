"""Standard streams that are closed or full, which must not hide what a command has done."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class OutputLostError(Exception):
    """Standard output could not be written; whatever the command did is done."""


def open_streams() -> None:
    """Open the streams that whoever started this process has closed.

    Else the first connection would take their place. What is written to a standard output
    that was closed is an error then; what is told beside it goes nowhere.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            stream = os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8")
            setattr(sys, name, stream)


@contextmanager
def writing_results() -> Iterator[None]:
    """Tell a standard output that cannot be written from the other errors of a system.

    Raises
    ------
    OutputLostError
        Instead of any `OSError` but a `BrokenPipeError`.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLostError(error.strerror or str(error)) from error


def abandon_stdout() -> None:
    """Drop what is left to be written, which Python would try to write once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
