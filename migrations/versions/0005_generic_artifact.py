"""Artifacts of any kind: named by a manifest, with files, further edges, and an index by meta."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: The kinds whose members the database knows one by one. All others are named by their manifest.
STRUCTURED = "('dag_version', 'patch_set', 'run_manifest', 'run_snapshot', 'oci_manifest')"

STATEMENTS = (
    "ALTER TABLE artifact DROP CONSTRAINT artifact_kind_check",
    f"""
    ALTER TABLE artifact
        ADD CONSTRAINT artifact_kind_check CHECK (kind IN {STRUCTURED}
            OR (kind ~ '^[a-z][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*$' AND length(kind) <= 100)),
        ADD CONSTRAINT other_kinds_are_named_by_their_manifest CHECK (kind IN {STRUCTURED} OR (
            version_hash IS NOT NULL AND version_hash = cas_id AND plan_hash IS NULL
            AND base_id IS NULL AND op_count = 0
            AND nodes_count IS NULL AND edges_count IS NULL))
    """,
    # The text as the manifest has it: jsonb spells numbers in its own way.
    """
    ALTER TABLE artifact
        DROP CONSTRAINT artifact_meta_check,
        ALTER COLUMN meta DROP DEFAULT,
        ALTER COLUMN meta TYPE json USING meta::json,
        ALTER COLUMN meta SET DEFAULT '{}',
        ADD CONSTRAINT artifact_meta_check CHECK (json_typeof(meta) = 'object')
    """,
    f"""
    CREATE UNIQUE INDEX artifact_manifest_key ON artifact (version_hash, namespace)
        WHERE kind NOT IN {STRUCTURED}
    """,
    # What a list can be asked for.
    """
    CREATE INDEX artifact_name ON artifact (name COLLATE "C", namespace, artifact_id)
        WHERE name IS NOT NULL
    """,
    "CREATE INDEX artifact_created_by ON artifact (created_by, namespace, artifact_id)",
    # One row for each member of meta that can be asked for. The digest is of key and value, so
    # that a row is short however long they are.
    """
    CREATE TABLE artifact_meta (
        namespace   text NOT NULL,
        digest      bytea NOT NULL CHECK (octet_length(digest) = 16),
        artifact_id uuid NOT NULL REFERENCES artifact ON DELETE CASCADE,
        PRIMARY KEY (digest, namespace, artifact_id)
    )
    """,
    "CREATE INDEX artifact_meta_artifact ON artifact_meta (artifact_id)",
    # A file has a name; what a document names is a reference. One blob may be several files.
    """
    ALTER TABLE artifact_blob
        DROP CONSTRAINT artifact_blob_pkey,
        ADD COLUMN role text NOT NULL DEFAULT 'reference' CHECK (role IN ('file', 'reference')),
        ADD COLUMN position integer CHECK (position >= 0),
        ADD COLUMN name text CHECK (name <> '' AND octet_length(name) <= 255),
        ADD COLUMN media_type text CHECK (media_type <> '')
    """,
    """
    UPDATE artifact_blob b SET position = n.position - 1
      FROM (SELECT artifact_id, cas_id,
                   row_number() OVER (PARTITION BY artifact_id ORDER BY cas_id) AS position
              FROM artifact_blob) n
     WHERE n.artifact_id = b.artifact_id AND n.cas_id = b.cas_id
    """,
    """
    ALTER TABLE artifact_blob
        ALTER COLUMN role DROP DEFAULT,
        ALTER COLUMN position SET NOT NULL,
        ADD PRIMARY KEY (artifact_id, role, position),
        ADD CONSTRAINT a_reference_is_only_bytes
            CHECK (role = 'file' OR num_nonnulls(name, media_type) = 0),
        ADD CONSTRAINT a_file_has_a_type CHECK (role <> 'file' OR media_type IS NOT NULL)
    """,
    """
    CREATE UNIQUE INDEX artifact_blob_name ON artifact_blob (artifact_id, name)
        WHERE name IS NOT NULL
    """,
    """
    CREATE UNIQUE INDEX artifact_blob_reference ON artifact_blob (artifact_id, cas_id)
        WHERE role = 'reference'
    """,
    # An edge that came with its child says no more than the child; one that came later does.
    "ALTER TABLE lineage DROP CONSTRAINT lineage_relation_check",
    """
    ALTER TABLE lineage
        ADD CONSTRAINT lineage_relation_check
            CHECK (relation ~ '^[a-z][a-z0-9_.-]*$' AND length(relation) <= 100),
        ADD COLUMN added_by text,
        ADD COLUMN added_at timestamptz,
        ADD CHECK ((added_by IS NULL) = (added_at IS NULL))
    """,
    # Whose artifacts garbage collection is to leave, whether something names them or not.
    """
    CREATE TABLE artifact_retained (
        artifact_id uuid PRIMARY KEY REFERENCES artifact ON DELETE RESTRICT,
        retained_by text NOT NULL CHECK (retained_by <> ''),
        retained_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE artifact_retained, artifact_meta")
    op.execute("ALTER TABLE lineage DROP CONSTRAINT lineage_relation_check")
    op.execute("""
    ALTER TABLE lineage DROP COLUMN added_by, DROP COLUMN added_at,
        ADD CONSTRAINT lineage_relation_check CHECK (relation ~ '^[a-z_]+$')
    """)
    op.execute("DROP INDEX artifact_blob_name, artifact_blob_reference")
    op.execute("""
    ALTER TABLE artifact_blob
        DROP CONSTRAINT artifact_blob_pkey,
        DROP COLUMN role, DROP COLUMN position, DROP COLUMN name, DROP COLUMN media_type,
        ADD PRIMARY KEY (artifact_id, cas_id)
    """)
    op.execute("DROP INDEX artifact_manifest_key, artifact_name, artifact_created_by")
    op.execute("""
    ALTER TABLE artifact
        DROP CONSTRAINT artifact_kind_check,
        DROP CONSTRAINT other_kinds_are_named_by_their_manifest,
        DROP CONSTRAINT artifact_meta_check,
        ALTER COLUMN meta DROP DEFAULT,
        ALTER COLUMN meta TYPE jsonb USING meta::jsonb,
        ALTER COLUMN meta SET DEFAULT '{}',
        ADD CONSTRAINT artifact_meta_check CHECK (jsonb_typeof(meta) = 'object'),
        ADD CONSTRAINT artifact_kind_check CHECK (kind IN
            ('dag_version', 'patch_set', 'run_manifest', 'run_snapshot', 'oci_manifest'))
    """)
