"""One DuckDB, shut off from the network and from every file but those named, with bounded memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from storage.kernel.words import Words
from storage.tabular import sql
from storage.tabular.kinds import Column, Kind, Limits
from storage.tabular.problems import OutOfRoom
from storage.unit import slow

ENGINE = f"duckdb {duckdb.__version__}"
Connection = duckdb.DuckDBPyConnection
EngineError = duckdb.Error


@contextmanager
def engine(work: Path, limits: Limits, *, readable: Sequence[Path] = ()) -> Iterator[Connection]:
    """A DuckDB that may write only below `work` and read only there and in `readable`.

    Raises OutOfRoom in place of the engine's own words when memory or disk ran out.
    """
    slow("DuckDB")
    connection = duckdb.connect(
        config={
            "threads": limits.threads,
            "memory_limit": f"{limits.memory_bytes}B",
            "temp_directory": str(work / "spill"),
            "max_temp_directory_size": f"{limits.spill_bytes}B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        folders = sql.text(str(work.resolve()))
        files = ", ".join(sql.text(str(path.resolve())) for path in readable)
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute(f"SET allowed_paths = [{files}]")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise OutOfRoom(
            Words("处理该文件所需内存或磁盘超出限额。", "The file needs more memory or disk than allowed.")
        ) from error
    finally:
        connection.close()


def column_of(label: str, engine_type: str) -> Column:
    """The column for one of the engine's types; what we have no kind for is kept as text."""
    upper = engine_type.upper()
    if upper.startswith("DECIMAL("):
        precision, scale = (int(part) for part in upper[8:-1].split(","))
        return Column(label, Kind.DECIMAL, precision, scale)
    if upper in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}:
        return Column(label, Kind.INTEGER)
    if upper in {"FLOAT", "DOUBLE"}:
        return Column(label, Kind.DOUBLE)
    if upper.startswith("TIMESTAMP"):
        return Column(label, Kind.INSTANT if "ZONE" in upper else Kind.TIMESTAMP)
    simple = {"BOOLEAN": Kind.BOOLEAN, "DATE": Kind.DATE}
    return Column(label, simple.get(upper, Kind.TEXT))


def columns_of(connection: Connection, query: str) -> tuple[Column, ...]:
    """The columns a query would give."""
    rows = connection.execute(f"DESCRIBE {query}").fetchall()
    return tuple(column_of(row[0], row[1]) for row in rows)


def scan(path: Path, *, numbered: bool = False) -> str:
    """SQL that reads a Parquet file of ours, with `file_row_number` when `numbered`."""
    return f"read_parquet({sql.text(str(path))}{', file_row_number=true' if numbered else ''})"


def count(connection: Connection, query: str) -> int:
    """How many rows a query gives."""
    row = connection.execute(f"SELECT count(*) FROM ({query})").fetchone()
    return int(row[0]) if row else 0
