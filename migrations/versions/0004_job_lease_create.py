"""Which server does a job that one server is to do, and until when."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    CREATE TABLE job_lease (
        job text PRIMARY KEY CHECK (job <> ''),
        holder uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz
    )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE job_lease")
