"""Why the embedded PostgreSQL does not run."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run; `str(error)` is one line for a person."""
