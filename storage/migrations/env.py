"""Runs a migration on the connection it is given; reads only the metadata."""

from alembic import context
from sqlmodel import SQLModel

from storage.migrations import ours

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    include_name=lambda name, kind, _parents: ours(name, kind),
)
with context.begin_transaction():
    context.run_migrations()
