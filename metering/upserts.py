"""Rows that are added to those of the same key, on either database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

_AT_ONCE = 1024  # rows of one INSERT: some 13 values each, of the 32,766 that SQLite takes


def as_json(values: Iterable[Any]) -> str:
    """Many values as one, for a raw statement to take apart."""
    return orjson.dumps(list(values)).decode()


def as_stored(at: datetime) -> str:
    """A moment, in UTC, as SQLite's column type keeps it; PostgreSQL, whose sessions are in UTC, reads it, too."""
    return at.isoformat(" ", "microseconds")[:26]


@cache
def _insert(table: str, columns: str, rows: int) -> str:
    row = f"({', '.join('?' * _width(columns))})"
    return f"INSERT INTO {table} ({columns}) SELECT * FROM (VALUES {', '.join([row] * rows)}) WHERE column1 <> 0 "  # noqa: S608  # our own words


@cache
def _width(columns: str) -> int:
    return columns.count(",") + 1


def insert_many(raw: Any, table: str, columns: str, values: list[Any], then: str = "") -> list[Any]:
    """Insert rows, given as one list of their values, with SQLite's driver; returns the rows that `then` returns.

    One statement for many, their number rounded up so that few are prepared; spare rows have no key and are left out.
    A statement a row would hand the interpreter to another thread at every row. Bind a `bytearray` rather than
    `bytes`, for which the driver asks three protocols.
    """
    width = _width(columns)
    found: list[Any] = []
    for start in range(0, len(values), _AT_ONCE * width):
        some = values[start : start + _AT_ONCE * width]
        padded = 1 << (len(some) // width - 1).bit_length()
        some += [0] * (padded * width - len(some))
        found += raw.execute(_insert(table, columns, padded) + then, some).fetchall()
    return found


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
