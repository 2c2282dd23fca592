"""Cheaper refusals: the next free slot is looked for day by day. Blackouts can be listed."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
