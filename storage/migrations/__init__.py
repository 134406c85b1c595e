"""The schema's history, and the only door to Alembic. Whoever calls must have imported every room's tables."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from storage.database import Database

HERE = Path(__file__).parent


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = connection
    return config


def ours(name: str | None, kind: str) -> bool:
    """Whether the metadata speaks for this object; full-text tables are made by hand for each engine."""
    return not (kind in {"table", "index", "column"} and (name or "").startswith("fts_"))


def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision. Safe to call at every start."""
    with database.writing() as connection:
        command.upgrade(_config(connection), "head")


def downgrade(database: Database) -> None:
    """Take everything down again."""
    with database.writing() as connection:
        command.downgrade(_config(connection), "base")


def revise(database: Database, message: str, revision: str) -> None:
    """Write a new revision from the difference between tables and database (for developers)."""
    with database.writing() as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=revision)


def is_current(database: Database) -> bool:
    """Whether the database is at the newest revision."""
    with database.reading() as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    return at == ScriptDirectory.from_config(_config(None)).get_current_head()


def differences(database: Database) -> list[Any]:
    """What the tables say and the migrated database does not, or the reverse."""
    with database.writing() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _parents: ours(name, kind)}
        )
        return list(compare_metadata(context, SQLModel.metadata))
