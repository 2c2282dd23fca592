"""Quick: cheaper statements, triggers and constraints; the same rules."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
