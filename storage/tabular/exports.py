"""Write tables for people and machines: Parquet, CSV and XLSX, the same bytes for the same rows.

Rule for people's programs: a text cell that begins with = + - @, a tab or a carriage return would
be run as a formula, so it gets a leading apostrophe in CSV and XLSX. Numbers, dates and the Parquet
and serving copies are never touched. Pass `guarded=False` for a CSV that only machines read.
"""

from pathlib import Path

from storage.tabular import engine as db
from storage.tabular import sql
from storage.tabular.formulas import STARTS
from storage.tabular.formulas import guarded as guarded_text
from storage.tabular.intake import write_parquet
from storage.tabular.kinds import Column, Kind, Limits
from storage.tabular.workbook import write_workbook

_BATCH = 2_000
_FORMULA = "^[" + "".join(f"\\x{ord(start):02x}" for start in STARTS) + "]"


def to_parquet(table: Path, to: Path, work: Path, limits: Limits) -> int:
    """Write the rows of one Parquet file to another, packed tightly. Returns the rows."""
    with db.engine(work, limits, readable=[table]) as connection:
        return write_parquet(connection, f"FROM {db.scan(table)}", to)


def to_csv(table: Path, to: Path, work: Path, limits: Limits, *, guarded: bool = True) -> int:
    """Write UTF-8 CSV as in RFC 4180 with line feeds; empty cells are nulls. Returns the rows."""
    with db.engine(work, limits, readable=[table]) as connection:
        query = _shown(connection, table, guarded=guarded)
        row = connection.execute(
            f"COPY ({query}) TO {sql.text(str(to))} (FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"')"
        ).fetchone()
        return int(row[0]) if row else 0


def to_xlsx(table: Path, to: Path, work: Path, limits: Limits) -> int:
    """Write a workbook with one sheet, all cells as text people can open safely. Returns the rows.

    Raises ValueError above the limit of rows a sheet can hold.
    """
    with db.engine(work, limits, readable=[table]) as connection:
        rows = db.count(connection, f"FROM {db.scan(table)}")
        if rows >= limits.xlsx_rows:
            raise ValueError("more rows than a sheet can hold")
        cursor = connection.execute(_shown(connection, table, guarded=True))
        names = [column[0] for column in cursor.description or ()]
        write_workbook(
            to, names, (row for batch in iter(lambda: cursor.fetchmany(_BATCH), []) for row in batch)
        )
        return rows


def _shown(connection: db.Connection, table: Path, *, guarded: bool) -> str:
    columns = db.columns_of(connection, f"FROM {db.scan(table)}")
    values = ", ".join(_cell(column, guarded=guarded) for column in columns)
    return f"SELECT {values} FROM {db.scan(table)}"


def _cell(column: Column, *, guarded: bool) -> str:
    value = sql.name(column.name)
    name = sql.name(guarded_text(column.name) if guarded else column.name)
    if guarded and column.kind is Kind.TEXT:
        # Not IN (…): the engine makes a join of it, which keeps the order of rows with one thread only.
        danger = f"regexp_matches({value}, '{_FORMULA}')"
        return f"CASE WHEN {danger} THEN '''' || {value} ELSE {value} END AS {name}"
    return f"{sql.as_text(value, column.kind)} AS {name}"
