"""Make the indexed serving copy of a product version: one immutable SQLite file the gateway reads.

Table `data`: `_row` INTEGER PRIMARY KEY 1..n in product order, then the product's columns.
Integers are INTEGER, doubles REAL, booleans 0/1, texts TEXT; dates and moments are ISO 8601 texts of
fixed width, so that text order is time order (`2026-01-31`, `2026-01-31T08:00:00.000000`, the same
with `Z`). A decimal is kept twice: `"name"` is the exact text people see, and `"name#"` an INTEGER,
the value times 10^scale, used for filters and order; when that may not fit in 64 bits the column has
only the text and `filter` in `columns` is empty: it cannot be filtered by size.
The index on the first declared query column whose values are shared holds the whole rows.
Table `columns(position, name, kind, precision, scale, filter)` says which column to compare.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pysqlite3

from storage.tabular import engine as db
from storage.tabular import sql
from storage.tabular.kinds import MOMENTS, Column, Kind, Limits

_BATCH = 10_000
_WHOLE_COLUMNS = 64  # of a table whose rows an index may hold
_WHOLE_BYTES = 500  # of a row, on average: an entry of more than a thousand lies on pages of its own
_SQLITE = {Kind.INTEGER: "INTEGER", Kind.DOUBLE: "REAL", Kind.BOOLEAN: "INTEGER"}


def to_serving(table: Path, to: Path, work: Path, limits: Limits, *, indexes: Sequence[str] = ()) -> int:
    """服务副本. Build the serving copy of a Parquet file, indexed on the declared query columns.

    Returns the rows. Raises KeyError for an index on a column that does not exist.
    """
    with db.engine(work, limits, readable=[table]) as connection:
        columns = db.columns_of(connection, f"FROM {db.scan(table)}")
        filters = filter_names(columns)
        keys = {wanted: filters[wanted] or wanted for wanted in indexes}
        shared = _first_shared(connection, table, list(keys))
        values = [expression for column in columns for expression in _values(column)]
        cursor = connection.execute(f"SELECT {', '.join(values)} FROM {db.scan(table)}")
        lite = pysqlite3.connect(to, isolation_level=None)
        try:
            for pragma in (
                "journal_mode=OFF",
                "synchronous=OFF",
                "locking_mode=EXCLUSIVE",
                "cache_size=-65536",
            ):
                lite.execute(f"PRAGMA {pragma}")
            _create(lite, columns, filters)
            rows = _fill(lite, cursor, len(values))
            fits = _bytes(lite) <= _WHOLE_BYTES * rows and len(values) <= _WHOLE_COLUMNS
            _index(lite, list(keys.values()), keys[shared] if shared and fits else None)
            lite.execute("ANALYZE")
            # With samples of values, SQLite plans a statement anew for each value it is asked with.
            lite.execute("DROP TABLE IF EXISTS sqlite_stat4")
            lite.execute("VACUUM")
        finally:
            lite.close()
    return rows


def filter_names(columns: Sequence[Column]) -> dict[str, str | None]:
    """For each column the serving column to compare with for filters and order; None when only text is kept."""
    taken = {column.name.casefold() for column in columns}
    filters: dict[str, str | None] = {}
    for column in columns:
        shadow: str | None = column.name
        if column.kind is Kind.DECIMAL:
            shadow = f"{column.name}#" if _fits_64_bits(column) else None
            while shadow and shadow.casefold() in taken:
                shadow += "#"
            taken.add((shadow or "").casefold())
        filters[column.name] = shadow
    return filters


def _fits_64_bits(column: Column) -> bool:
    return (column.precision or 18) <= 18


def filter_value(column: Column, written: str) -> str | int | float:
    """A filter's text as the value the serving copy compares with.

    Raises ValueError when the text is no value of the column's kind.
    """
    match column.kind:
        case Kind.INTEGER:
            return int(written)
        case Kind.DOUBLE:
            return float(written)
        case Kind.BOOLEAN:
            return {"true": 1, "1": 1, "false": 0, "0": 0}[written.lower()]
        case Kind.DECIMAL:
            return _scaled(written, column)
        case _:
            return written


def _scaled(written: str, column: Column) -> int | str:
    if not _fits_64_bits(column):
        return written
    whole, _, part = written.partition(".")
    scale = column.scale or 0
    if part.rstrip("0")[scale:]:
        raise ValueError("more decimals than the column has")
    return int(whole + part[:scale].ljust(scale, "0"))


def _values(column: Column) -> list[str]:
    value = sql.name(column.name)
    if column.kind is Kind.DECIMAL:
        exact = f"CAST({value} AS VARCHAR)"
        if not _fits_64_bits(column):
            return [exact]
        return [
            exact,
            f"CAST(CAST({value} AS DECIMAL(38, {column.scale})) * {10 ** (column.scale or 0)} AS BIGINT)",
        ]
    if column.kind is Kind.BOOLEAN:
        return [f"CAST({value} AS INTEGER)"]
    if column.kind is Kind.TIMESTAMP:
        return [f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%f')"]
    if column.kind is Kind.INSTANT:
        return [f"strftime({value} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"]
    return [sql.as_text(value, column.kind) if column.kind in MOMENTS else value]


def _create(lite: Any, columns: Sequence[Column], filters: dict[str, str | None]) -> None:
    defined = ["_row INTEGER PRIMARY KEY"]
    for column in columns:
        defined.append(f"{sql.name(column.name)} {_SQLITE.get(column.kind, 'TEXT')}")
        shadow = filters[column.name]
        if shadow and shadow != column.name:
            defined.append(f"{sql.name(shadow)} INTEGER")
    lite.execute(f"CREATE TABLE data ({', '.join(defined)})")
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.executemany(
        "INSERT INTO columns VALUES (?, ?, ?, ?, ?, ?)",
        [(i, c.name, str(c.kind), c.precision, c.scale, filters[c.name]) for i, c in enumerate(columns)],
    )


def _first_shared(connection: db.Connection, table: Path, columns: Sequence[str]) -> str | None:
    """The first of the columns with a value that several rows have."""
    for column in columns:
        name = sql.name(column)
        several = f"SELECT 1 FROM {db.scan(table)} WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1 LIMIT 1"
        if connection.execute(several).fetchone():
            return column
    return None


def _bytes(lite: Any) -> int:
    pages, size = (lite.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(size)


def _index(lite: Any, keys: Sequence[str], whole: str | None) -> None:
    """Index each key; the index on `whole` holds the whole rows.

    A page of one value is then read from one place instead of one for each row, in half the time. One index only, for
    it is as large as the table.
    """
    everything = [row[1] for row in lite.execute("PRAGMA table_info(data)")]
    for place, key in enumerate(keys):
        names = [key]
        if key == whole:
            names += ["_row", *(name for name in everything if name not in {key, "_row"})]
        lite.execute(f"CREATE INDEX data_{place} ON data ({', '.join(map(sql.name, names))})")


def _fill(lite: Any, cursor: db.Connection, width: int) -> int:
    places = ", ".join("?" * (width + 1))
    number = 0
    lite.execute("BEGIN")
    while batch := cursor.fetchmany(_BATCH):
        lite.executemany(
            f"INSERT INTO data VALUES ({places})", [(number + i, *row) for i, row in enumerate(batch, 1)]
        )
        number += len(batch)
    lite.execute("COMMIT")
    return number
