"""An index of the moves of a namespace by their time, with all that a list can be asked for."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    CREATE INDEX tag_move_moved_at ON tag_move (namespace, moved_at, name, seq) INCLUDE (moved_by)
    """)


def downgrade() -> None:
    op.execute("DROP INDEX tag_move_moved_at")
