"""Indexes by which the moves of one person, deleted tags, and beginnings of names are found."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    # What one person moved has an index of its own: the one by time need not hold names of people.
    "DROP INDEX tag_move_moved_at",
    "CREATE INDEX tag_move_moved_at ON tag_move (namespace, moved_at, name, seq)",
    "CREATE INDEX tag_move_moved_by ON tag_move (moved_by, namespace, moved_at, name, seq)",
    "CREATE INDEX tag_deleted ON tag (namespace, name) WHERE target_id IS NULL",
    # A beginning is looked for in one namespace, and must not pass the names of others.
    "DROP INDEX artifact_name",
    """
    CREATE INDEX artifact_name ON artifact (namespace, name COLLATE "C", artifact_id)
        WHERE name IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX artifact_name, tag_deleted, tag_move_moved_by, tag_move_moved_at")
    op.execute("""
    CREATE INDEX artifact_name ON artifact (name COLLATE "C", namespace, artifact_id)
        WHERE name IS NOT NULL
    """)
    op.execute("""
    CREATE INDEX tag_move_moved_at ON tag_move (namespace, moved_at, name, seq) INCLUDE (moved_by)
    """)
