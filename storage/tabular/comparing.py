"""Compare two table files by key in a process of its own: what only one has, and where values differ.

Started as `python -m storage.tabular.comparing` with a JSON job on standard input; answers in JSON.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from storage.kernel.problem import Fault, Invalid, Problem
from storage.kernel.words import Words
from storage.tabular import engine as db
from storage.tabular import sql
from storage.tabular.apart import InspectionFailed
from storage.tabular.confine import confine
from storage.tabular.intake import take_in
from storage.tabular.kinds import Column, Limits
from storage.tabular.problems import UnreadableFile
from storage.tabular.sniffing import sniff
from storage.unit import slow

_ROOT = Path(__file__).parents[2]
EXAMPLES = 20


def compare_apart(
    left: tuple[Path, str],
    right: tuple[Path, str],
    *,
    key: list[tuple[str, str]],
    fields: list[tuple[str, str]],
    limits: Limits,
) -> dict[str, Any]:
    """比对. Rows of two files met by key, and how often the fields agree; values are compared as text.

    left, right: where the file lies and what people call it. key, fields: pairs of column names, left
    and right. Answers `{left_rows, right_rows, left_repeated, right_repeated, matched, left_only,
    right_only, fields: [{left, right, compared, mismatched}], examples: [{key, field, left, right}]}`.
    Keys that are empty or occur twice on a side are counted (as rows `repeated`) and compared with nothing.
    Raises the UnreadableFile problems, Invalid for a column that is not there, InspectionFailed.
    """
    slow("comparison")
    work = Path(mkdtemp(prefix="compare-", dir=left[0].parent))
    job = {
        "left": [str(left[0]), left[1]],
        "right": [str(right[0]), right[1]],
        "key": key,
        "fields": fields,
        "limits": asdict(limits),
        "work": str(work),
        "parent": os.getpid(),
    }
    try:
        child = subprocess.run(  # our own module, no shell
            [sys.executable, "-m", "storage.tabular.comparing"],
            input=json.dumps(job).encode(),
            capture_output=True,
            cwd=_ROOT,
            env={**os.environ, "TMPDIR": str(work)},
            timeout=limits.seconds,
            check=False,
        )
        answer: dict[str, Any] = json.loads(child.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise InspectionFailed(file=left[1]) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if "missing" in answer:
        raise Invalid(
            *(
                Fault("fields", "column.unknown", Words(f"没有字段：{name}", f"No such column: {name}"))
                for name in answer["missing"]
            )
        )
    if "refusal" in answer:
        told = answer["refusal"]
        kinds: dict[str, type[Problem]] = {kind.slug(): kind for kind in UnreadableFile.__subclasses__()}
        raise kinds[told["slug"]](Words(**told["detail"]) if told["detail"] else None, **told["members"])
    return answer


def _main() -> None:
    job = json.load(sys.stdin)
    limits = Limits(**job["limits"])
    confine(parent=job["parent"], memory_bytes=limits.memory_bytes)
    try:
        answer = _compare(job, limits)
    except UnreadableFile as problem:
        detail = problem.detail.both() if problem.detail else None
        answer = {"refusal": {"slug": problem.slug(), "detail": detail, "members": problem.members}}
    json.dump(answer, sys.stdout)


def _compare(job: dict[str, Any], limits: Limits) -> dict[str, Any]:
    work = Path(job["work"])
    sides = []
    for place, side in enumerate(("left", "right")):
        path, name = job[side]
        table = work / f"{side}.parquet"
        own = work / side
        own.mkdir()
        taken = take_in(Path(path), sniff(Path(path), name), own / "table.parquet", own, limits)
        (own / "table.parquet").rename(table)
        columns = {column.name: column for column in taken.columns}
        wanted = [pair[place] for pair in (*job["key"], *job["fields"])]
        if missing := [f"{name}: {label}" for label in wanted if label not in columns]:
            return {"missing": missing}
        sides.append((table, columns, taken.rows))
    with db.engine(work, limits) as connection:
        for place, (table, columns, _rows) in enumerate(sides):
            _stage(connection, place, table, columns, job)
        return _figures(connection, job, [rows for _table, _columns, rows in sides])


def _stage(
    connection: db.Connection, place: int, table: Path, columns: dict[str, Column], job: dict[str, Any]
) -> None:
    """A table `side0` or `side1`: one key text, the compared values as text, only keys that occur once."""

    def shown(label: str) -> str:
        return f"trim({sql.as_text(f'CAST({sql.name(label)} AS {sql.sql_type(columns[label])})', columns[label].kind)}::VARCHAR)"

    keys = [shown(pair[place]) for pair in job["key"]]
    # A list keeps ("a", "bc") and ("ab", "c") apart; an empty part makes no key.
    key = (
        f"CASE WHEN {' OR '.join(f'{part} IS NULL' for part in keys)} THEN NULL ELSE [{', '.join(keys)}] END"
    )
    values = ", ".join(f"{shown(pair[place])} AS v{number}" for number, pair in enumerate(job["fields"]))
    connection.execute(
        f"CREATE TABLE all{place} AS SELECT {key} AS k{', ' + values if values else ''} FROM {db.scan(table)}"
    )
    connection.execute(
        f"CREATE TABLE side{place} AS SELECT * FROM all{place} WHERE k IN "
        f"(SELECT k FROM all{place} WHERE k IS NOT NULL GROUP BY k HAVING count(*) = 1)"
    )


def _figures(connection: db.Connection, job: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    def many(query: str) -> int:
        return db.count(connection, query)

    unique = [many(f"SELECT k FROM side{place}") for place in (0, 1)]
    met = "side0 AS l JOIN side1 AS r ON l.k = r.k"
    matched = many(f"SELECT 1 FROM {met}")
    fields, examples = [], []
    for number, (left, right) in enumerate(job["fields"]):
        differs = f"l.v{number} IS DISTINCT FROM r.v{number}"
        fields.append(
            {
                "left": left,
                "right": right,
                "compared": matched,
                "mismatched": many(f"SELECT 1 FROM {met} WHERE {differs}"),
            }
        )
        found = connection.execute(
            f"SELECT l.k, l.v{number}, r.v{number} FROM {met} WHERE {differs} ORDER BY l.k LIMIT {EXAMPLES}"
        ).fetchall()
        examples += [{"key": key, "field": left, "left": a, "right": b} for key, a, b in found]
    return {
        "left_rows": rows[0],
        "right_rows": rows[1],
        "left_repeated": rows[0] - unique[0],
        "right_repeated": rows[1] - unique[1],
        "matched": matched,
        "left_only": unique[0] - matched,
        "right_only": unique[1] - matched,
        "fields": fields,
        "examples": examples[:EXAMPLES],
    }


if __name__ == "__main__":
    _main()
