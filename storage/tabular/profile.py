"""Profile a table: what each column holds, and the first rows, the same at every run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from storage.tabular import engine as db
from storage.tabular import sql
from storage.tabular.intake import take_in
from storage.tabular.kinds import ColumnProfile, Limits, Profile, Source

_EXACT_ROWS = 1_000_000
_SAMPLE_ROWS = 20


def inspect(path: Path, source: Source, limits: Limits) -> Profile:
    """检视. Read the file as it is and profile it; nothing is kept. Raises the UnreadableFile problems."""
    with TemporaryDirectory(prefix="shugang-") as folder:
        work = Path(folder)
        table = work / "table.parquet"
        take_in(path, source, table, work, limits)
        return profile(table, work, limits)


def profile(table: Path, work: Path, limits: Limits) -> Profile:
    """概况. Profile a Parquet file of ours."""
    with db.engine(work, limits, readable=[table]) as connection:
        query = f"FROM {db.scan(table)}"
        columns = db.columns_of(connection, query)
        rows = db.count(connection, query)
        exact = rows <= _EXACT_ROWS
        distinct = "count(DISTINCT {0})" if exact else "approx_count_distinct({0})"
        asked = []
        for column in columns:
            value = sql.name(column.name)
            asked.append(f"count({value})")
            asked.append(distinct.format(value))
            asked.extend(sql.as_text(f"{least}({value})", column.kind) for least in ("min", "max"))
        row = connection.execute(f"SELECT {', '.join(asked)} {query}").fetchone() or ()
        shown = ", ".join(sql.as_text(sql.name(column.name), column.kind) for column in columns)
        sample = connection.execute(f"SELECT {shown} {query} LIMIT {_SAMPLE_ROWS}").fetchall()
    profiles = []
    for i, column in enumerate(columns):
        filled, different, least, greatest = row[i * 4 : i * 4 + 4]
        profiles.append(
            ColumnProfile(column.name, column.kind, rows - filled, different, exact, least, greatest)
        )
    return Profile(rows, tuple(profiles), columns, tuple(tuple(values) for values in sample))
