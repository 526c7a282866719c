"""Blobs outside the database: where they are, how each part is checked; resumable uploads."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    # A segment table says how a blob in storage is cut, packed and checked. A blob in quarantine
    # is known to be damaged or gone: it is not served, and the next upload of it heals it.
    """
    ALTER TABLE cas_blob
        ADD COLUMN encoding text CHECK (encoding = 'zstd'),
        ADD COLUMN segments bytea,
        ADD COLUMN stored_bytes bigint CHECK (stored_bytes >= 0),
        ADD COLUMN quarantined_at timestamptz,
        ADD COLUMN quarantine_reason text,
        DROP CONSTRAINT inline_size_is_true,
        ADD CONSTRAINT inline_size_is_true CHECK (
            content IS NULL OR encoding IS NOT NULL OR octet_length(content) = size_bytes),
        ADD CONSTRAINT storage_has_segments CHECK (
            num_nulls(storage_key, segments, stored_bytes) IN (0, 3)),
        ADD CONSTRAINT quarantine_has_a_reason CHECK (
            (quarantined_at IS NULL) = (quarantine_reason IS NULL))
    """,
    "ALTER TABLE cas_blob ALTER COLUMN segments SET STORAGE EXTERNAL",
    """
    CREATE UNIQUE INDEX cas_blob_storage_key ON cas_blob (storage_key)
        WHERE storage_key IS NOT NULL
    """,
    """
    CREATE INDEX cas_blob_quarantine ON cas_blob (cas_id) WHERE quarantined_at IS NOT NULL
    """,
    # Unique, and yet no key that a row could refer to by: else to add a second name would need the
    # lock of a delete, and uploads of one blob, each holding it for itself, would deadlock.
    "ALTER TABLE cas_blob DROP CONSTRAINT cas_blob_sha256_key",
    "CREATE UNIQUE INDEX cas_blob_sha256 ON cas_blob (sha256) WHERE sha256 IS NOT NULL",
    # Which storage the keys are of: one row, written by the first server.
    """
    CREATE TABLE cas_storage (
        is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one),
        identity   text NOT NULL CHECK (identity <> '')
    )
    """,
    # An upload that may be interrupted. Its bytes so far are in storage; offset_bytes of them are
    # durable, in the stages that `parts` lists in order. Whoever holds `writer` may append; the
    # newest request takes it.
    """
    CREATE TABLE cas_upload (
        upload_id    uuid PRIMARY KEY,
        namespace    text NOT NULL,
        media_type   text NOT NULL CHECK (media_type <> ''),
        expected     bytea,
        wants_sha256 boolean NOT NULL DEFAULT false,
        metadata     text NOT NULL DEFAULT '',
        size_bytes   bigint CHECK (size_bytes >= 0),
        offset_bytes bigint NOT NULL DEFAULT 0 CHECK (offset_bytes >= 0),
        parts        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(parts) = 'array'),
        writer       uuid,
        cas_id       bytea CHECK (octet_length(cas_id) = 33),
        created_by   text NOT NULL CHECK (created_by <> ''),
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        expires_at   timestamptz NOT NULL,
        CHECK (offset_bytes <= size_bytes)
    )
    """,
    "CREATE INDEX cas_upload_expiry ON cas_upload (expires_at)",
    "CREATE INDEX cas_upload_open ON cas_upload (namespace) WHERE cas_id IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    # Blobs outside the database cannot be known to the older schema.
    op.execute("""
    DO $$ BEGIN
        IF EXISTS (SELECT FROM cas_blob WHERE storage_key IS NOT NULL OR encoding IS NOT NULL) THEN
            RAISE EXCEPTION 'there are blobs that the older schema cannot hold';
        END IF;
    END $$
    """)
    op.execute("DROP TABLE cas_upload, cas_storage")
    op.execute("DROP INDEX cas_blob_sha256")
    op.execute("ALTER TABLE cas_blob ADD UNIQUE (sha256)")
    op.execute("""
    ALTER TABLE cas_blob
        DROP COLUMN encoding, DROP COLUMN segments, DROP COLUMN stored_bytes,
        DROP COLUMN quarantined_at, DROP COLUMN quarantine_reason,
        ADD CONSTRAINT inline_size_is_true
            CHECK (content IS NULL OR octet_length(content) = size_bytes)
    """)
