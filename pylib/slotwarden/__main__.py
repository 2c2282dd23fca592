"""Runs the command line: ``python -m slotwarden``."""

from __future__ import annotations

from slotwarden.cli import main

if __name__ == "__main__":
    main()
