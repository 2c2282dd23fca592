"""The command line: ``slotwarden``."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from contextlib import suppress

from slotwarden.cli.streams import open_streams

__all__ = ["main", "version_line"]

_INTERRUPTED = 130


def version_line() -> str:
    """Return the name and the version, as ``slotwarden --version`` shows them."""
    return f"slotwarden {importlib.metadata.version('slotwarden')}"


def main() -> None:
    """Run the command line and end the process with its exit code."""
    open_streams()
    if sys.argv[1:] == ["--version"]:
        # All the commands need not be imported for it; but they know what to do if it fails. Past
        # the buffer, which would be written once more at the end.
        with suppress(OSError):
            os.write(sys.stdout.fileno(), f"{version_line()}{os.linesep}".encode())
            return
    if "--no-color" in sys.argv:
        # Help texts and usage errors are shown before options are read.
        os.environ["NO_COLOR"] = "1"
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not become an error.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from slotwarden.cli.application import app  # noqa: PLC0415

        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
