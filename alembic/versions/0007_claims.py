"""A claim that lost an upload to another call counts it as held, and so waits for no day."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
