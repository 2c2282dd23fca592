"""Waits for locks end within the budget, `lock_waits` shows those of its own database, no JIT."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
