"""Rows by filters over every kind of column equal a plain Python filter, in every format."""

import csv
import io
import json
import operator as op
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pysqlite3
import pytest
from arro3.io import read_ipc_stream
from hypothesis import given
from hypothesis import strategies as st

from metering import rowformats
from metering.filters import Column, Query, parse
from metering.selects import page_statements, page_values
from metering.serving import Row, ServingCopy, TimeLimit
from storage.kernel.problem import Invalid
from storage.tabular.exports import to_csv
from storage.tabular.formulas import STARTS, guarded
from storage.tabular.kinds import Limits
from storage.tabular.serving import to_serving

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": op.eq, "ne": op.ne, "lt": op.lt, "le": op.le, "gt": op.gt, "ge": op.ge,
}  # fmt: skip
WORDS = [
    "",
    "甲",
    "甲乙",
    "乙",
    "=1+1",
    "-x",
    "@a",
    "\tb",
    "a,b",
    'q"q',
    "line\nbreak",
    "u\u2028v",
    "%",
    "a_",
]
COLUMNS = ["编号", "名称", "温度", "日期", "有效", "单价", "时刻", "count"]


def row_of(n: int) -> tuple[Any, ...]:
    if n % 17 == 0:
        return (n, None, None, None, None, None, None, None)
    return (
        n,
        WORDS[n % len(WORDS)],
        (n % 23) / 4 - 2,
        date(2026, 1, 1) + timedelta(days=n % 40),
        n % 3 == 0,
        Decimal(n * 37 % 1000 - 500) / 100,
        datetime(2026, 1, 1, n % 24),  # noqa: DTZ001  # a column without zone
        n % 5,
    )


DATA = [row_of(n) for n in range(1, 301)]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    connection = duckdb.connect()
    connection.execute(
        'CREATE TABLE t ("编号" BIGINT, "名称" VARCHAR, "温度" DOUBLE, "日期" DATE, "有效" BOOLEAN, '
        '"单价" DECIMAL(10,2), "时刻" TIMESTAMP, "count" BIGINT)'
    )
    connection.executemany("INSERT INTO t VALUES (?,?,?,?,?,?,?,?)", DATA)
    connection.execute(f"COPY t TO '{folder}/t.parquet' (FORMAT parquet)")
    connection.close()
    return folder / "t.parquet"


@pytest.fixture(scope="module")
def copy(parquet: Path) -> ServingCopy:
    """Made by the refinery's own writer."""
    path = parquet.parent / "serving.db"
    to_serving(parquet, path, parquet.parent, Limits(), indexes=["名称", "日期", "单价"])
    return ServingCopy(path)


def asked(copy: ServingCopy, parameters: list[tuple[str, str]]) -> Query:
    return parse(parameters, copy.columns, default=1000, most=1000)


def written_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)


comparisons = st.tuples(st.sampled_from(range(8)), st.sampled_from([*COMPARE, "in", "between"]), st.integers(0, 299), st.integers(0, 299))  # fmt: skip


@given(
    wanted=st.lists(comparisons, max_size=3),
    limit=st.integers(1, 60),
    down=st.booleans(),
    by=st.integers(0, 7),
)
def test_any_filters_select_what_a_python_filter_selects(
    copy: ServingCopy, wanted: list[tuple[int, str, int, int]], limit: int, down: bool, by: int
) -> None:
    parameters: list[tuple[str, str]] = []
    rows = DATA
    for place, operator, one, two in wanted:
        low, high = DATA[one][place], DATA[two][place]
        if low is None or high is None or (operator in {"in", "between"} and place == 1):
            parameters.append((COLUMNS[place], "is.null"))
            rows = [row for row in rows if row[place] is None]
            continue
        rows = [row for row in rows if row[place] is not None]
        if operator == "in":
            parameters.append((COLUMNS[place], f"in.({written_value(low)},{written_value(high)})"))
            rows = [row for row in rows if row[place] in {low, high}]
        elif operator == "between":
            parameters.append((COLUMNS[place], f"between.({written_value(low)},{written_value(high)})"))
            rows = [row for row in rows if low <= row[place] <= high]
        else:
            parameters.append((COLUMNS[place], f"{operator}.{written_value(low)}"))
            rows = [row for row in rows if COMPARE[operator](row[place], low)]
    parameters += [("order", f"{COLUMNS[by]}.{'desc' if down else 'asc'}"), ("limit", str(limit))]

    def order(row: tuple[Any, ...]) -> tuple[bool, Any, int]:
        value = row[by].encode() if isinstance(row[by], str) else row[by]
        return (value is not None, value if value is not None else 0, row[0])

    expected = sorted(rows, key=order, reverse=down)
    query = asked(copy, parameters)
    page = copy.plan(query).read(query, TimeLimit.of(5000), 2**20, len)
    assert [row[0] for row in page.rows] == [row[0] for row in expected[:limit]]
    assert copy.count(query, 5000) == len(expected)
    assert (page.last is not None) == (len(expected) > limit)


@given(
    name=st.text(max_size=12)
    | st.sampled_from(['编号"; DROP TABLE data; --', "编号 OR 1=1", "_row", "rowid", "sqlite_master"]),
    value=st.text(max_size=20)
    | st.sampled_from(["eq.1 OR 1=1", "is.null; DROP TABLE data", "in.(1);--)", "eq.';--"]),
    word=st.sampled_from(["", "select", "order", "count", "limit"]),
)
def test_a_hostile_name_or_value_is_refused_or_stays_a_value(
    copy: ServingCopy, name: str, value: str, word: str
) -> None:
    parameters = [(name, value), *([(word, name)] if word else [])]
    try:
        query = asked(copy, parameters)
    except Invalid as problem:
        refused = problem.faults
    else:
        refused = ()
    if refused:
        assert all(fault.field and fault.rule and fault.words.zh for fault in refused)
        return
    for statement in page_statements(query):
        bare = statement
        for column in COLUMNS:
            bare = bare.replace(f'"{column}#"', "").replace(f'"{column}"', "")
        assert bare.count('"') == 0
        assert "DROP" not in bare
        assert ";" not in bare
    copy.plan(query).read(query, TimeLimit.of(5000), 2**20, len)
    assert copy.count(asked(copy, []), 5000) == len(DATA)


def written(rows: list[Row], columns: Sequence[Column], form: str, total: int | None = None) -> bytes:
    """A page, written in two pieces."""
    page = rowformats.writing(form, columns)
    if rows:
        assert page.add(rows[:1]) > 0
    if rows[1:]:
        assert page.add(rows[1:]) > 0
    return page.finish(version=3, following=None, total=total)


def test_every_format_tells_the_same_rows(copy: ServingCopy, parquet: Path) -> None:
    query = asked(copy, [])
    page = copy.plan(query).read(query, TimeLimit.of(5000), 2**20, len)

    def body(form: str) -> bytes:
        return written(page.rows, query.columns, form, total=300)

    document = json.loads(body("json"))
    assert (document["version"], document["count"], document["next"]) == (3, 300, None)
    lines = body("ndjson").decode().splitlines()
    assert [json.loads(line) for line in lines] == document["rows"]
    table = read_ipc_stream(io.BytesIO(body("arrow"))).read_all()
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    assert list(zip(*columns, strict=True)) == DATA
    assert str(table.schema.field("单价").type) == str(rowformats._TYPES["decimal"](copy.columns["单价"]))
    to_csv(parquet, parquet.parent / "t.csv", parquet.parent, Limits())
    ours = list(csv.reader(io.StringIO(body("csv").decode(), newline="")))
    file = (parquet.parent / "t.csv").read_text(encoding="utf-8")
    theirs = list(csv.reader(io.StringIO(file, newline="")))
    assert [row[:6] + row[7:] for row in ours] == [row[:6] + row[7:] for row in theirs]
    empty = {form: written([], query.columns, form) for form in rowformats.MEDIA}
    assert json.loads(empty["json"]) == {"version": 3, "rows": [], "next": None}
    assert (empty["ndjson"], empty["csv"].count(b"\n")) == (b"", 1)
    nothing = empty["arrow"]
    assert read_ipc_stream(io.BytesIO(nothing)).read_all().num_rows == 0


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.tuples(st.sampled_from(list(STARTS)), st.sampled_from(WORDS)).map("".join)
)
def test_no_text_of_a_csv_answer_begins_a_formula(copy: ServingCopy, text: str) -> None:
    body = written([(text,)], [copy.columns["名称"]], "csv")
    cell = list(csv.reader(io.StringIO(body.decode(), newline="")))[1][0]
    assert cell == guarded(text)
    assert not cell.startswith(tuple(STARTS))


def test_a_plan_without_an_index_is_heavy(copy: ServingCopy) -> None:
    for parameters, light in [
        ([("名称", "eq.甲")], True),
        ([("日期", "ge.2026-02-01"), ("order", "日期.desc")], True),
        ([("单价", "between.(-1,1)"), ("order", "单价")], True),
        ([], True),
        ([("order", "日期.desc")], True),
        ([("温度", "gt.1")], False),
        ([("order", "温度")], False),
        ([("名称", "eq.甲"), ("order", "温度")], True),
        ([("名称", "ne.甲")], False),
        ([("有效", "eq.true"), ("order", "日期")], False),
    ]:
        query = asked(copy, parameters)
        assert copy.plan(query).is_light is light, parameters


def test_the_next_page_of_an_ordered_query_starts_in_the_index(copy: ServingCopy, parquet: Path) -> None:
    lite = pysqlite3.connect(f"file:{parquet.parent}/serving.db?mode=ro", uri=True)
    for order in ("日期", "日期.desc"):
        query = asked(copy, [("order", order), ("limit", "20")])
        last = copy.plan(query).read(query, TimeLimit.of(5000), 2**20, len).last
        assert last is not None
        after = query._replace(after=last)
        for statement, values in zip(page_statements(after), page_values(after), strict=True):
            plan = [row[3] for row in lite.execute(f"EXPLAIN QUERY PLAN {statement}", [*values, 20])]
            assert all(step.startswith("SEARCH data USING INDEX") for step in plan), plan
    lite.close()
