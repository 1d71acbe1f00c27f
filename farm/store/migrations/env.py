"""What alembic runs: all steps on the connection, and in the transaction, of farm.store.schema."""

from alembic import context

from farm.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
