"""Create the store: blobs, leases, artifacts, lineage, tags, their moves, idempotency keys."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    # ---------------------------------------------------------------- content-addressed storage
    """
    CREATE TABLE cas_blob (
        cas_id      bytea PRIMARY KEY,
        size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
        media_type  text NOT NULL CHECK (media_type <> ''),
        content     bytea,
        storage_key text,
        sha256      bytea UNIQUE CHECK (octet_length(sha256) = 32),
        created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT cas_id_is_one_algorithm_byte_and_32_digest_bytes
            CHECK (octet_length(cas_id) = 33 AND get_byte(cas_id, 0) = 1),
        CONSTRAINT bytes_are_in_exactly_one_place CHECK (num_nonnulls(content, storage_key) = 1),
        CONSTRAINT inline_size_is_true
            CHECK (content IS NULL OR octet_length(content) = size_bytes)
    )
    """,
    # Content is read whole and often is compressed already: no attempt to compress it.
    "ALTER TABLE cas_blob ALTER COLUMN content SET STORAGE EXTERNAL",
    """
    CREATE TABLE cas_lease (
        cas_id     bytea NOT NULL REFERENCES cas_blob ON DELETE CASCADE,
        namespace  text NOT NULL,
        -- What this namespace said and when: the blob's own row may tell of another's upload.
        media_type text NOT NULL CHECK (media_type <> ''),
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (cas_id, namespace)
    )
    """,
    # ------------------------------------------------------------------------------- catalogue
    """
    CREATE TABLE artifact (
        artifact_id  uuid PRIMARY KEY,
        namespace    text NOT NULL,
        kind         text NOT NULL CHECK (kind IN
            ('dag_version', 'patch_set', 'run_manifest', 'run_snapshot', 'oci_manifest')),
        cas_id       bytea NOT NULL REFERENCES cas_blob ON DELETE RESTRICT,
        name         text,
        version_hash bytea REFERENCES cas_blob ON DELETE RESTRICT,
        plan_hash    bytea CHECK (octet_length(plan_hash) = 33),
        base_id      uuid,
        previous_id  uuid,
        depth        integer NOT NULL DEFAULT 0 CHECK (depth >= 0),
        op_count     integer NOT NULL DEFAULT 0 CHECK (op_count >= 0),
        nodes_count  integer CHECK (nodes_count >= 0),
        edges_count  integer CHECK (edges_count >= 0),
        meta         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
        created_by   text NOT NULL CHECK (created_by <> ''),
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (namespace, artifact_id),
        FOREIGN KEY (namespace, base_id)
            REFERENCES artifact (namespace, artifact_id) ON DELETE RESTRICT,
        FOREIGN KEY (namespace, previous_id)
            REFERENCES artifact (namespace, artifact_id) ON DELETE RESTRICT,
        CONSTRAINT dag_version_is_its_own_version CHECK (kind <> 'dag_version' OR (
            version_hash IS NOT NULL AND version_hash = cas_id
            AND base_id IS NULL AND previous_id IS NULL AND plan_hash IS NULL
            AND depth = 0 AND op_count = 0
            AND nodes_count IS NOT NULL AND edges_count IS NOT NULL)),
        CONSTRAINT patch_set_stands_on_a_base CHECK (kind <> 'patch_set' OR (
            version_hash IS NOT NULL AND base_id IS NOT NULL AND plan_hash IS NULL
            AND depth >= 1 AND (depth = 1) = (previous_id IS NULL))),
        CONSTRAINT run_snapshot_has_a_plan CHECK (kind <> 'run_snapshot' OR (
            plan_hash IS NOT NULL AND version_hash IS NOT NULL)),
        CONSTRAINT only_patches_are_chained CHECK (kind = 'patch_set' OR (
            previous_id IS NULL AND depth = 0))
    )
    """,
    """
    CREATE UNIQUE INDEX artifact_dag_version_key ON artifact (namespace, version_hash)
        WHERE kind = 'dag_version'
    """,
    """
    CREATE UNIQUE INDEX artifact_run_snapshot_key ON artifact (namespace, plan_hash)
        WHERE kind = 'run_snapshot'
    """,
    "CREATE INDEX artifact_kind ON artifact (namespace, kind, artifact_id)",
    "CREATE INDEX artifact_cas_id ON artifact (cas_id, namespace)",
    """
    CREATE INDEX artifact_version_hash ON artifact (version_hash, namespace)
        WHERE version_hash IS NOT NULL
    """,
    "CREATE INDEX artifact_base ON artifact (namespace, base_id) WHERE base_id IS NOT NULL",
    """
    CREATE INDEX artifact_previous ON artifact (namespace, previous_id)
        WHERE previous_id IS NOT NULL
    """,
    """
    CREATE TABLE artifact_blob (
        artifact_id uuid NOT NULL REFERENCES artifact ON DELETE CASCADE,
        cas_id      bytea NOT NULL REFERENCES cas_blob ON DELETE RESTRICT,
        PRIMARY KEY (artifact_id, cas_id)
    )
    """,
    "CREATE INDEX artifact_blob_cas_id ON artifact_blob (cas_id)",
    """
    CREATE TABLE lineage (
        child_id  uuid NOT NULL REFERENCES artifact ON DELETE CASCADE,
        parent_id uuid NOT NULL REFERENCES artifact ON DELETE RESTRICT,
        relation  text NOT NULL CHECK (relation ~ '^[a-z_]+$'),
        PRIMARY KEY (child_id, parent_id, relation),
        CHECK (child_id <> parent_id)
    )
    """,
    "CREATE INDEX lineage_parent ON lineage (parent_id, child_id)",
    """
    CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER artifact_is_immutable BEFORE UPDATE ON artifact
        FOR EACH ROW EXECUTE FUNCTION refuse_update()
    """,
    """
    CREATE TRIGGER lineage_is_immutable BEFORE UPDATE ON lineage
        FOR EACH ROW EXECUTE FUNCTION refuse_update()
    """,
    # A patch stands on a dag_version, directly above the patch before it: the rules that span rows.
    """
    CREATE FUNCTION check_patch_chain() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (SELECT FROM artifact
                        WHERE artifact_id = NEW.base_id AND kind = 'dag_version') THEN
            RAISE EXCEPTION 'the base of a patch_set is a dag_version'
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.previous_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM artifact WHERE artifact_id = NEW.previous_id AND kind = 'patch_set'
               AND base_id = NEW.base_id AND depth = NEW.depth - 1) THEN
            RAISE EXCEPTION 'a patch_set follows a patch_set of the same base, one deeper'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER artifact_patch_chain BEFORE INSERT ON artifact
        FOR EACH ROW WHEN (NEW.kind = 'patch_set') EXECUTE FUNCTION check_patch_chain()
    """,
    # ------------------------------------------------------------------------------------ tags
    """
    CREATE TABLE tag_move (
        namespace  text NOT NULL,
        name       text NOT NULL,
        seq        bigint NOT NULL CHECK (seq >= 1),
        action     text NOT NULL CHECK (action IN ('create', 'move', 'undo', 'redo', 'delete')),
        from_id    uuid,
        to_id      uuid,
        parent_seq bigint CHECK (parent_seq < seq),
        message    text,
        moved_by   text NOT NULL CHECK (moved_by <> ''),
        moved_at   timestamptz NOT NULL,
        PRIMARY KEY (namespace, name, seq),
        -- from_id is the to_id of an earlier move of the same tag, which holds that artifact.
        FOREIGN KEY (namespace, to_id)
            REFERENCES artifact (namespace, artifact_id) ON DELETE RESTRICT,
        CHECK ((action = 'delete') = (to_id IS NULL)),
        CHECK ((action = 'create') = (from_id IS NULL)),
        CHECK ((action = 'create') = (parent_seq IS NULL))
    )
    """,
    "CREATE INDEX tag_move_to ON tag_move (namespace, to_id)",
    """
    CREATE TRIGGER tag_move_is_immutable BEFORE UPDATE ON tag_move
        FOR EACH ROW EXECUTE FUNCTION refuse_update()
    """,
    # The row is the tag's last move and where undo stands. Carrying what the move replaced
    # (from_id, parent_seq) lets one statement move the tag and record the move without reading
    # a value that another transaction is changing. A deleted tag keeps its row, without target:
    # its version goes on counting, so an old version number never comes back.
    """
    CREATE TABLE tag (
        namespace  text NOT NULL,
        name       text NOT NULL,
        target_id  uuid,
        version    bigint NOT NULL CHECK (version >= 1),
        cursor     bigint CHECK (cursor <= version),
        protected  boolean NOT NULL DEFAULT false,
        action     text NOT NULL,
        from_id    uuid,
        parent_seq bigint,
        message    text,
        moved_by   text NOT NULL,
        moved_at   timestamptz NOT NULL,
        PRIMARY KEY (namespace, name),
        FOREIGN KEY (namespace, target_id)
            REFERENCES artifact (namespace, artifact_id) ON DELETE RESTRICT,
        -- No version of a tag without its recorded move.
        FOREIGN KEY (namespace, name, version) REFERENCES tag_move (namespace, name, seq),
        CHECK ((target_id IS NULL) = (cursor IS NULL)),
        CHECK ((target_id IS NULL) = (action = 'delete'))
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX tag_target ON tag (namespace, target_id)",
    # -------------------------------------------------------------------------- repeated requests
    """
    CREATE TABLE idempotency_key (
        principal   text NOT NULL,
        key         text NOT NULL,
        fingerprint bytea NOT NULL,
        status      integer,
        headers     jsonb,
        body        bytea,
        expires_at  timestamptz NOT NULL,
        PRIMARY KEY (principal, key)
    )
    """,
    "CREATE INDEX idempotency_key_expiry ON idempotency_key (expires_at)",
    # Counts of the current minute: not worth a log that survives a crash.
    """
    CREATE UNLOGGED TABLE rate_count (
        principal    text NOT NULL,
        tier         text NOT NULL,
        window_start timestamptz NOT NULL,
        count        integer NOT NULL CHECK (count >= 1),
        PRIMARY KEY (principal, tier)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE rate_count, idempotency_key, tag, tag_move, lineage, artifact_blob")
    op.execute("DROP TABLE artifact")
    op.execute("DROP TABLE cas_lease, cas_blob")
    op.execute("DROP FUNCTION check_patch_chain")
    op.execute("DROP FUNCTION refuse_update")
