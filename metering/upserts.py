"""Rows that are added to those of the same key, on either database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel


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
