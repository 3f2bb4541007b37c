"""What Alembic runs. The connection comes from `store.migrate`; there is no configuration file."""

from alembic import context

from forecourt.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
