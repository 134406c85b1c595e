"""Take a file in: any format to one Parquet file whose types lose nothing.

Every value is read as text first. A column gets a type only if each of its values survives the
way there and back: "007" or "1e3" never become integers, "1.5" and "1.25" become one decimal.
A sample proposes the types and the copy proves them; when it fails, all rows are asked.
"""

from dataclasses import dataclass
from pathlib import Path

from storage.kernel.words import Words
from storage.tabular import engine as db
from storage.tabular import sql
from storage.tabular.kinds import Column, Format, Kind, Limits, Source
from storage.tabular.plaintext import check_names, find_ragged, header, plain_csv, refuse_no_rows
from storage.tabular.problems import BrokenParquet, OutOfRoom

_SAMPLE_ROWS = 20_000
_PLAIN_NUMBER = "-?(0|[1-9][0-9]*)"
_ORDER = (Kind.BOOLEAN, Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT)
_CLOCK = "[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"


@dataclass(frozen=True, slots=True)
class Intake:
    """入库结果. The columns and rows of the Parquet file that was written."""

    columns: tuple[Column, ...]
    rows: int


def take_in(path: Path, source: Source, to: Path, work: Path, limits: Limits) -> Intake:
    """读入. Write the table in `path` to the Parquet file `to`, in its order, with lossless types.

    `to` must lie in `work`, a folder of our own for this run alone.
    Raises the UnreadableFile problems.
    """
    if source.format is Format.PARQUET:
        return _take_parquet(path, source, to, work, limits)
    plain, delimiter = plain_csv(path, source, work, limits)
    names = header(plain, delimiter, source, limits)
    with db.engine(work, limits, readable=[plain]) as connection:
        reader = _reader(plain, delimiter, names, source, limits)
        try:
            columns = _settle(connection, f"(FROM {reader} LIMIT {_SAMPLE_ROWS})", names)
            try:
                rows = _copy(connection, reader, columns, to)
            except db.EngineError as error:
                if not _says_widen(error):
                    raise
                columns = _settle(connection, reader, names)
                rows = _copy(connection, reader, columns, to)
        except OutOfRoom:
            raise
        except db.EngineError as error:
            if _is_room(error):
                raise
            find_ragged(plain, delimiter, source, limits)
    if plain != path:
        plain.unlink()
    if not rows:
        refuse_no_rows(source.name)
    return Intake(columns, rows)


def _is_room(error: Exception) -> bool:
    return type(error).__name__ == "OutOfMemoryException"


def _says_widen(error: Exception) -> bool:
    return "shugang:widen" in str(error) or type(error).__name__ == "ConversionException"


def _reader(plain: Path, delimiter: str, names: list[str], source: Source, limits: Limits) -> str:
    columns = ", ".join(f"{sql.text(label)}: 'VARCHAR'" for label in names)
    nulls = ", ".join(sql.text(null) for null in source.nulls or ("",))
    return (
        f"read_csv({sql.text(str(plain))}, auto_detect=false, header=true, strict_mode=true, "
        f"null_padding=false, delim={sql.text(delimiter)}, quote='\"', escape='\"', "
        f"nullstr=[{nulls}], max_line_size={limits.line_bytes}, columns={{{columns}}})"
    )


def _settle(connection: db.Connection, query: str, names: list[str]) -> tuple[Column, ...]:
    """The narrowest type of every column that keeps all values of `query`, in one pass."""
    asked: list[str] = []
    for label in names:
        value = sql.name(label)
        asked.append(f"count({value})")
        asked.extend(f"bool_and({_fits(value, kind)})" for kind in _ORDER)
        number = f"CASE WHEN {_fits(value, Kind.DECIMAL)} THEN {value} END"
        asked.append(f"max(strlen(ltrim(split_part({number}, '.', 1), '-')))")
        asked.append(f"max(strlen(split_part({number}, '.', 2)))")
    row = connection.execute(f"SELECT {', '.join(asked)} FROM {query}").fetchone() or ()
    width = len(_ORDER) + 3
    return tuple(_narrowest(label, row[i * width : (i + 1) * width]) for i, label in enumerate(names))


def _narrowest(label: str, answers: tuple[int | bool | None, ...]) -> Column:
    filled, *fits, whole, part = answers
    if not filled:
        return Column(label, Kind.TEXT)
    for kind, fit in zip(_ORDER, fits, strict=True):
        if not fit:
            continue
        if kind is not Kind.DECIMAL:
            return Column(label, kind)
        scale, precision = int(part or 0), int(whole or 1) + int(part or 0)
        if not scale:
            return Column(label, Kind.TEXT)  # whole numbers too long for 64 bits are codes
        if scale <= 18 and precision <= 38:
            return Column(label, kind, 18 if precision <= 18 else 38, scale)
    return Column(label, Kind.TEXT)


def _fits(value: str, kind: Kind) -> str:
    """SQL that is true when a text is exactly a value of `kind`; NULL for NULL.

    The cheap look at the shape comes first: a cast that fails costs far more than one that works.
    """
    if kind is Kind.BOOLEAN:
        return f"({value} IN ('true', 'false', 'TRUE', 'FALSE', 'True', 'False'))"
    if kind is Kind.DECIMAL:
        return f"regexp_full_match({value}, '{_PLAIN_NUMBER}([.][0-9]+)?')"
    shape = {
        Kind.INTEGER: "-?[1-9][0-9]{0,18}|0",
        Kind.DOUBLE: f"{_PLAIN_NUMBER}([.][0-9]+)?([eE][+-]?[0-9]+)?",
        Kind.DATE: _DAY,
        Kind.TIMESTAMP: f"{_DAY}({_CLOCK})?",
        Kind.INSTANT: f"{_DAY}{_CLOCK}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})",
    }[kind]
    cast = f"TRY_CAST({value} AS {sql.sql_type(Column('', kind))})"
    sound = f"isfinite({cast})" if kind is Kind.DOUBLE else f"{cast} IS NOT NULL"
    return (
        f"CASE WHEN {value} IS NULL THEN NULL WHEN regexp_full_match({value}, '{shape}') "
        f"THEN coalesce({sound}, false) ELSE false END"
    )


def _proof(column: Column) -> str:
    """SQL that converts a text and stops the whole copy at the first value that would be changed."""
    value = sql.name(column.name)
    if column.kind is Kind.TEXT:
        return value
    cast = f"TRY_CAST({value} AS {sql.sql_type(column)})"
    fits = _fits(value, column.kind)
    if column.kind is Kind.INTEGER:
        fits = f"CAST({cast} AS VARCHAR) IS NOT DISTINCT FROM {value}"
    if column.kind is Kind.DECIMAL:
        scale, whole = column.scale or 0, (column.precision or 18) - (column.scale or 0)
        fits = f"regexp_full_match({value}, '-?(0|[1-9][0-9]{{0,{whole - 1}}})([.][0-9]{{1,{scale}}})?')"
    return f"CASE WHEN {value} IS NULL THEN NULL WHEN {fits} THEN {cast} ELSE error('shugang:widen') END AS {value}"


def _copy(connection: db.Connection, reader: str, columns: tuple[Column, ...], to: Path) -> int:
    values = ", ".join(_proof(column) for column in columns)
    return write_parquet(connection, f"SELECT {values} FROM {reader}", to, compression="lz4")


def write_parquet(connection: db.Connection, query: str, to: Path, *, compression: str = "zstd") -> int:
    """Write a query's rows in their order; the same rows give the same bytes. Returns the rows."""
    row = connection.execute(
        f"COPY ({query}) TO {sql.text(str(to))} (FORMAT parquet, COMPRESSION {compression}, ROW_GROUP_SIZE 122880)"
    ).fetchone()
    return int(row[0]) if row else 0


def _take_parquet(path: Path, source: Source, to: Path, work: Path, limits: Limits) -> Intake:
    with db.engine(work, limits, readable=[path]) as connection:
        try:
            described = connection.execute(f"DESCRIBE FROM {db.scan(path)}").fetchall()
            names = [str(row[0]) for row in described]
            check_names(names, source.name, limits)
            columns = tuple(db.column_of(row[0], row[1]) for row in described)
            values = ", ".join(
                f"CAST({sql.name(column.name)} AS {sql.sql_type(column)}) AS {sql.name(column.name)}"
                for column in columns
            )
            rows = write_parquet(connection, f"SELECT {values} FROM {db.scan(path)}", to, compression="lz4")
        except db.EngineError as error:
            if _is_room(error):
                raise
            raise BrokenParquet(
                Words(f"文件“{source.name}”无法读取。", f"“{source.name}” cannot be read."), file=source.name
            ) from error
    if not rows:
        refuse_no_rows(source.name)
    return Intake(columns, rows)
