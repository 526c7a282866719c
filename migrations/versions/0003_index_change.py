"""Less to check per write, and indexes that find a blob's first holder; no rows change."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    # One statement writes a tag and its move, and only a deletion by hand could part them. To
    # check that again cost each create and each move a fourth of its time in the database.
    "ALTER TABLE tag DROP CONSTRAINT tag_namespace_name_version_fkey",
    # Where the result is the content, as in every dag_version, the key of cas_id keeps it: only
    # a result of its own is worth a second check. This rewrites the table.
    """
    ALTER TABLE artifact
        DROP CONSTRAINT artifact_version_hash_fkey,
        ADD COLUMN result_hash bytea GENERATED ALWAYS AS (NULLIF(version_hash, cas_id)) STORED
            REFERENCES cas_blob ON DELETE RESTRICT
    """,
    """
    CREATE INDEX artifact_result_hash ON artifact (result_hash) WHERE result_hash IS NOT NULL
    """,
    # By time within a namespace: what a blob is there, its oldest artifact says. Thousands of
    # patches may share their operations.
    "DROP INDEX artifact_cas_id, artifact_version_hash",
    "CREATE INDEX artifact_cas_id ON artifact (cas_id, namespace, created_at)",
    """
    CREATE INDEX artifact_version_hash ON artifact (version_hash, namespace, created_at)
        WHERE version_hash IS NOT NULL
    """,
    # What tells more comes first. While tables are empty all indexes seem alike to the planner,
    # and one that begins with the namespace was taken to look for a name or an id: until the
    # tables were first analysed such a lookup read all of the namespace.
    "DROP INDEX tag_target, tag_move_to, artifact_kind",
    "CREATE INDEX tag_target ON tag (target_id, namespace)",
    "CREATE INDEX tag_move_to ON tag_move (to_id, namespace)",
    "CREATE INDEX artifact_kind ON artifact (kind, namespace, artifact_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX tag_target, tag_move_to, artifact_kind")
    op.execute("CREATE INDEX tag_target ON tag (namespace, target_id)")
    op.execute("CREATE INDEX tag_move_to ON tag_move (namespace, to_id)")
    op.execute("CREATE INDEX artifact_kind ON artifact (namespace, kind, artifact_id)")
    op.execute("DROP INDEX artifact_cas_id, artifact_version_hash")
    op.execute("CREATE INDEX artifact_cas_id ON artifact (cas_id, namespace)")
    op.execute("""
    CREATE INDEX artifact_version_hash ON artifact (version_hash, namespace)
        WHERE version_hash IS NOT NULL
    """)
    op.execute("""
    ALTER TABLE artifact
        DROP COLUMN result_hash,
        ADD FOREIGN KEY (version_hash) REFERENCES cas_blob ON DELETE RESTRICT
    """)
    op.execute("""
    ALTER TABLE tag
        ADD FOREIGN KEY (namespace, name, version) REFERENCES tag_move (namespace, name, seq)
    """)
