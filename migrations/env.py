"""Alembic's entry: runs the migrations on the connection that `orchestrator.migration` opened."""

from alembic import context

config = context.config


def run() -> None:
    """One transaction for all steps: a crash in the middle leaves the old schema, whole."""
    connection = config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


run()
