"""Transactions that can be found and taken back; a delete is no node of the undo tree."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    # A move alone has no transaction. One that takes another back does so once.
    """
    CREATE TABLE transaction (
        transaction_id uuid PRIMARY KEY,
        namespace      text NOT NULL,
        message        text,
        made_by        text NOT NULL CHECK (made_by <> ''),
        made_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
        reverts_id     uuid UNIQUE REFERENCES transaction CHECK (reverts_id <> transaction_id)
    )
    """,
    "CREATE INDEX transaction_namespace ON transaction (namespace, transaction_id)",
    "CREATE INDEX transaction_made_by ON transaction (made_by, namespace, transaction_id)",
    """
    CREATE TRIGGER transaction_is_immutable BEFORE UPDATE ON transaction
        FOR EACH ROW EXECUTE FUNCTION refuse_update()
    """,
    "ALTER TABLE tag_move ADD COLUMN transaction_id uuid REFERENCES transaction",
    """
    CREATE INDEX tag_move_transaction ON tag_move (transaction_id, namespace, name)
        WHERE transaction_id IS NOT NULL
    """,
    # A deleted tag keeps its cursor, so that undo restores it, and a create is made from there.
    # It has none if its create was taken back. So an undo or a redo may come from nowhere, too.
    """
    ALTER TABLE tag_move
        DROP CONSTRAINT tag_move_check2,
        DROP CONSTRAINT tag_move_check3,
        ADD CONSTRAINT a_move_comes_from_somewhere CHECK (
            from_id IS NOT NULL AND action <> 'create'
            OR from_id IS NULL AND action IN ('create', 'undo', 'redo')),
        ADD CONSTRAINT a_move_is_made_from_one
            CHECK (parent_seq IS NOT NULL OR action IN ('create', 'undo', 'redo'))
    """,
    """
    ALTER TABLE tag
        DROP CONSTRAINT tag_check1,
        ADD CONSTRAINT a_tag_stands_somewhere CHECK (target_id IS NULL OR cursor IS NOT NULL)
    """,
    "UPDATE tag SET cursor = parent_seq WHERE target_id IS NULL",
    # The same for the tags that were deleted and created again before.
    "ALTER TABLE tag_move DISABLE TRIGGER tag_move_is_immutable",
    """
    UPDATE tag_move c SET parent_seq = d.parent_seq
      FROM tag_move d
     WHERE c.action = 'create' AND c.seq > 1 AND d.namespace = c.namespace AND d.name = c.name
       AND d.seq = c.seq - 1
    """,
    "ALTER TABLE tag_move ENABLE TRIGGER tag_move_is_immutable",
    """
    UPDATE tag t SET parent_seq = m.parent_seq
      FROM tag_move m
     WHERE t.action = 'create' AND t.version > 1
       AND m.namespace = t.namespace AND m.name = t.name AND m.seq = t.version
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("UPDATE tag SET cursor = NULL WHERE target_id IS NULL")
    # What came from nowhere was a create, to the schema before.
    op.execute("ALTER TABLE tag_move DISABLE TRIGGER tag_move_is_immutable")
    op.execute("UPDATE tag_move SET action = 'create', parent_seq = NULL WHERE from_id IS NULL")
    op.execute("UPDATE tag SET action = 'create', parent_seq = NULL WHERE from_id IS NULL")
    op.execute("ALTER TABLE tag_move ENABLE TRIGGER tag_move_is_immutable")
    op.execute(
        """
        ALTER TABLE tag
            DROP CONSTRAINT a_tag_stands_somewhere,
            ADD CONSTRAINT tag_check1 CHECK ((target_id IS NULL) = (cursor IS NULL))
        """
    )
    op.execute(
        """
        ALTER TABLE tag_move
            DROP COLUMN transaction_id,
            DROP CONSTRAINT a_move_comes_from_somewhere,
            DROP CONSTRAINT a_move_is_made_from_one,
            ADD CONSTRAINT tag_move_check2 CHECK ((action = 'create') = (from_id IS NULL)),
            ADD CONSTRAINT tag_move_check3 CHECK ((action = 'create') = (parent_seq IS NULL))
        """
    )
    op.execute("DROP TABLE transaction")
