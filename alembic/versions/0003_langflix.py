"""From LangFlix: its bookings taken over, its tables as views."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
