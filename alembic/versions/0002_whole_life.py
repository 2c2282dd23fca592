"""The whole life of a booking: next slot, moves, batches, uploads, blackouts, history."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
