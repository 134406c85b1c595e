"""Filters never become SQL and select what a plain Python comparison selects."""

import operator as op
import re
import string
from typing import Any

import pysqlite3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metering import cursors
from metering.filters import OPERATORS, Column, Kept, Query, parse
from metering.selects import count_statement, page_statements, page_values
from metering.serving import ServingCopy, TimeLimit
from storage.kernel.problem import Invalid

NAMES = ["编号", 'a"b', "x; DROP TABLE data", "select"]
MS, MOST = 5000, 2**20
TEXTS = ["", "a", "ab", "b", "%", "_", "'", "站点", "站点3", "\U0010ffff", "\ud7ff", "a\U0010ffff"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> ServingCopy:
    path = tmp_path_factory.mktemp("serving") / "s.db"
    lite = pysqlite3.connect(path, isolation_level=None)
    lite.execute('CREATE TABLE data (_row INTEGER PRIMARY KEY, "编号" INTEGER, "a""b" TEXT)')
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.execute(
        "INSERT INTO columns VALUES (0,'编号','integer',NULL,NULL,'编号'), (1,'a\"b','text',NULL,NULL,'a\"b')"
    )
    lite.executemany("INSERT INTO data VALUES (?,?,?)", [(i, *row) for i, row in enumerate(DATA, 1)])
    lite.close()
    return ServingCopy(path)


DATA = [
    (None if i % 11 == 0 else i % 9 - 4, None if i % 13 == 0 else TEXTS[i % len(TEXTS)]) for i in range(1, 90)
]
# All the words a statement may hold besides the columns of the copy.
KEYWORDS = {
    "SELECT",
    "_row",
    "FROM",
    "count",
    "data",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IS",
    "NULL",
    "IN",
    "BETWEEN",
    "ORDER",
    "BY",
    "ASC",
    "DESC",
    "LIMIT",
    "0",
    "1",
}
operators = st.sampled_from([*OPERATORS, "like", "", "eq.eq"])
operands = st.text(max_size=12) | st.sampled_from(TEXTS) | st.integers(-6, 6).map(str)


@given(
    parameters=st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "order", "limit"]) | st.text(max_size=8),
            st.builds("{}.{}".format, operators, operands) | st.text(max_size=12),
        ),
        max_size=4,
    )
)
@example(parameters=[("编号", "eq.1); DROP TABLE data; --")])
@example(parameters=[("编号 = 1 OR 1", "eq.1")])
@example(parameters=[("order", 'a"b.desc; DROP TABLE data')])
def test_whatever_comes_is_answered_or_refused_and_never_becomes_sql(
    copy: ServingCopy, parameters: list[tuple[str, str]]
) -> None:
    try:
        query = parse(parameters, copy.columns, default=10, most=100)
    except Invalid:
        return
    harmless = query._replace(
        conditions=tuple(c._replace(values=tuple(0 for _ in c.values)) for c in query.conditions)
    )
    assert query.shape() == harmless.shape()
    assert statements(query) == statements(harmless)
    given_values = [*([*values, query.limit] for values in page_values(query)), query.values()]
    for statement, values in zip(statements(query), given_values, strict=True):
        names = statement.replace('"编号"', "").replace('"a""b"', "")
        assert set(re.findall(r"\w+", names)) <= KEYWORDS
        assert set(names) <= set(string.ascii_letters + string.digits + "_ <>=+?,()*")
        assert statement.count("?") == len(values)
    page = copy.plan(query).read(query, TimeLimit.of(MS), MOST, len)
    assert len(page.rows) <= copy.count(query, MS) <= len(DATA)


def statements(query: Query) -> list[str]:
    return [*page_statements(query), count_statement(query)]


@given(
    low=st.integers(-6, 6),
    high=st.integers(-6, 6),
    text=st.sampled_from(TEXTS[1:]),
    operator=st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
)
def test_filters_select_what_python_selects(
    copy: ServingCopy, low: int, high: int, text: str, operator: str
) -> None:
    def found(*parameters: tuple[str, str]) -> list[tuple[Any, ...]]:
        query = parse(parameters, copy.columns, default=100, most=100)
        return copy.plan(query).read(query, TimeLimit.of(MS), MOST, len).rows

    compare = getattr(op, operator)
    number: list[tuple[Any, ...]] = [row for row in DATA if row[0] is not None]
    word: list[tuple[Any, ...]] = [row for row in DATA if row[1] is not None]
    assert found(("编号", f"{operator}.{low}")) == [row for row in number if compare(row[0], low)]
    assert found(("编号", f"between.({low},{high})")) == [row for row in number if low <= row[0] <= high]
    assert found(("编号", f"in.({low},{high})")) == [row for row in number if row[0] in {low, high}]
    assert found(('a"b', f"prefix.{text}")) == [row for row in word if row[1].startswith(text)]
    assert found(('a"b', f"eq.{text}")) == [row for row in word if row[1] == text]
    assert found(('a"b', "is.null")) == [row for row in DATA if row[1] is None]


@given(
    order=st.sampled_from([None, "编号", "编号.desc", 'a"b', 'a"b.desc']),
    limit=st.integers(1, 40),
    floor=st.integers(-6, 4),
    most=st.sampled_from([0, 3, MOST]),
)
def test_pages_by_cursor_are_the_whole_answer_once(
    copy: ServingCopy, order: str | None, limit: int, floor: int, most: int
) -> None:
    parameters = [("limit", str(limit)), *([("order", order)] if order else [])]
    if floor > -6:
        parameters.append(("编号", f"ge.{floor}"))
    query = parse(parameters, copy.columns, default=10, most=100)
    unlimited = parse([(n, v) for n, v in parameters if n != "limit"], copy.columns, default=100, most=100)
    whole = copy.plan(unlimited).read(unlimited, TimeLimit.of(MS), MOST, len).rows
    seen: list[tuple[Any, ...]] = []
    at = query
    while True:
        page = copy.plan(at).read(at, TimeLimit.of(MS), most, len)
        seen += page.rows
        if page.last is None:
            break
        mark = cursors.cursor(query, page.last, version=1, product="prd", key=b"k")
        at = cursors.resume(query, mark, product="prd", key=b"k")
    assert seen == whole


@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_a_made_up_cursor_is_refused(copy: ServingCopy, text: str) -> None:
    query = parse([], copy.columns, default=10, most=100)
    with pytest.raises(Invalid):
        cursors.resume(query, text, product="prd", key=b"k")
    mark = cursors.cursor(query, Kept(None, 3), version=1, product="prd", key=b"k")
    for product, key in (("other", b"k"), ("prd", b"other")):
        with pytest.raises(Invalid):
            cursors.resume(query, mark, product=product, key=key)


def test_rows_ordered_by_a_long_text_go_on(copy: ServingCopy) -> None:
    query = parse([("order", 'a"b')], copy.columns, default=10, most=100)
    last = Kept("站" * 8000, 3)
    mark = cursors.cursor(query, last, version=1, product="prd", key=b"k")
    assert cursors.resume(query, mark, product="prd", key=b"k").after == last


def test_a_column_without_a_comparable_form_is_not_compared() -> None:
    columns = {"额": Column("额", "decimal", 30, 2, None)}
    for parameters in ([("额", "eq.1")], [("order", "额")]):
        with pytest.raises(Invalid) as refused:
            parse(parameters, columns, default=1, most=1)
        assert refused.value.faults[0].rule == "column.not_comparable"
    assert parse([("额", "is.null")], columns, default=1, most=1).conditions
