"""The day that cannot be overbooked: tables, triggers and booking functions."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
