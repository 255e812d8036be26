"""The changes of the schema, one after the other, for Alembic. `records.migrate` applies them."""
