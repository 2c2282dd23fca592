"""${message}."""

from pathlib import Path

from slotwarden.migrations import run_frozen

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    run_frozen(Path(__file__), "up")


def downgrade() -> None:
    run_frozen(Path(__file__), "down")
