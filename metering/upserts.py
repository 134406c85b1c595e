"""Rows that are added to those of the same key, on either database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel


def as_json(values: Iterable[Any]) -> str:
    """Many values as one, for a raw statement to take apart."""
    return orjson.dumps(list(values)).decode()


def as_stored(at: datetime) -> str:
    """A moment as SQLite's column type keeps it; PostgreSQL, whose sessions are in UTC, reads it, too."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def insert_into(connection: Connection, table: Any) -> SqliteInsert | PostgresInsert:
    """An INSERT that may say what happens on a conflict."""
    return (sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert)(table)


def add_up(connection: Connection, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows; where one of that key stands, add the numbers that are not of the key."""
    table = model.__table__  # type: ignore[attr-defined]
    keys = [column.name for column in table.primary_key]
    statement = insert_into(connection, table)
    sums = {name: table.c[name] + statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums), rows)
