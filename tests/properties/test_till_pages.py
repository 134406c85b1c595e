"""Short pages that SQLite writes are, byte by byte, those that we write ourselves."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import rowformats
from metering.filters import Query, parse
from metering.serving import ServingCopy, TimeLimit
from storage.tabular.kinds import Limits
from storage.tabular.serving import to_serving

NAMES = ['a"b', "it's", "名\\称", "\t", "时刻", "单价", "code"]
NASTY = ["", "\u2028", "\u2029", "😀", "\ufeff", "\ufffd", "</script>", "null", '{"a":[1]}', "'--", "\\u0041"]
TEXTS = [chr(number) for number in range(1, 0x180)] + NASTY
MS, MOST = 5000, 2**20


def row_of(number: int) -> tuple[Any, ...]:
    text = TEXTS[number % len(TEXTS)]
    return (
        None if number % 7 == 0 else text,
        text * (number % 3),
        (-1) ** number * (2**63 - 1 - number),
        None if number % 11 == 0 else date(1600 + number, 1 + number % 12, 28),
        datetime(2026, 1, 1, number % 24, 59, 59, number),  # noqa: DTZ001  # a column without zone
        None if number % 5 == 0 else Decimal(number * 37 - 500) / 100,
        number % 13,
    )


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    names = ['"' + name.replace('"', '""') + '"' for name in NAMES]
    kinds = ["VARCHAR", "VARCHAR", "BIGINT", "DATE", "TIMESTAMP", "DECIMAL(10,2)", "BIGINT"]
    connection = duckdb.connect()
    connection.execute(
        f"CREATE TABLE t ({', '.join(map(' '.join, zip(names, kinds, strict=True)))}, "
        "whether BOOLEAN DEFAULT true, measured DOUBLE DEFAULT 0.1)"
    )
    connection.executemany(
        f"INSERT INTO t ({', '.join(names)}) VALUES (?,?,?,?,?,?,?)",
        [row_of(number) for number in range(1, len(TEXTS))],
    )
    connection.execute(f"COPY t TO '{folder}/t.parquet' (FORMAT parquet)")
    connection.close()
    to_serving(folder / "t.parquet", folder / "serving.db", folder, Limits(), indexes=["code"])
    return folder / "serving.db"


@pytest.fixture(scope="module")
def copy(serving: Path) -> ServingCopy:
    return ServingCopy(serving)


def asked(copy: ServingCopy, columns: list[str], limit: int, code: int | None) -> Query:
    query = parse([("limit", str(limit))], copy.columns, default=10, most=1000)
    if code is not None:
        (condition,) = parse([("code", f"ge.{code}")], copy.columns, default=10, most=1000).conditions
        query = query._replace(conditions=(condition,))
    return query._replace(columns=tuple(copy.columns[name] for name in columns))


@given(
    columns=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    limit=st.integers(1, 100),
    code=st.none() | st.integers(0, 14),
)
def test_what_sqlite_writes_is_what_we_write(
    copy: ServingCopy, columns: list[str], limit: int, code: int | None
) -> None:
    query = asked(copy, columns, limit, code)
    while True:
        plan = copy.plan(query)
        ours = rowformats.writing("json", query.columns)
        page = plan.read(query, TimeLimit.of(MS), MOST, ours.add)
        whole = plan.written(query, TimeLimit.of(MS), MOST)
        assert whole is not None
        assert (whole.number, whole.last) == (len(page.rows), page.last)
        told: dict[str, Any] = {"version": 1, "following": None, "total": None}
        assert rowformats.json_page(whole.rows, **told) == ours.finish(**told)
        assert plan.written(query, TimeLimit.of(MS), len(whole.rows)) == whole
        if page.last is None:
            return
        query = query._replace(after=page.last)


def test_a_page_that_grows_too_large_is_left_to_who_stops_in_time(serving: Path) -> None:
    copy = ServingCopy(serving)
    query = asked(copy, ["code", "时刻"], 100, None)
    whole = copy.plan(query).written(query, TimeLimit.of(MS), MOST)
    assert whole is not None
    assert copy.plan(query).written(query, TimeLimit.of(MS), len(whole.rows) - 1) is None
    assert copy.plan(query).written(query, TimeLimit.of(MS), MOST) is None  # nor are others like it tried


@pytest.mark.parametrize(
    ("columns", "limit", "order"),
    [
        (["code", "measured"], 10, None),  # SQLite rounds doubles
        (["code", "whether"], 10, None),  # and knows no booleans
        (["code"], 101, None),
        (["code"], 0, None),
        (["code"], 10, "code"),
    ],
)
def test_what_sqlite_would_write_otherwise_is_left_to_us(
    copy: ServingCopy, columns: list[str], limit: int, order: str | None
) -> None:
    query = asked(copy, columns, limit, None)._replace(order=copy.columns[order] if order else None)
    assert copy.plan(query).written(query, TimeLimit.of(MS), MOST) is None


def test_a_shape_is_planned_once_whatever_is_asked_for(serving: Path) -> None:
    copy = ServingCopy(serving)  # with one connection
    query = asked(copy, ["code"], 5, 3)
    plan = copy.plan(query)
    planned: list[Any] = []

    def allow(*what: Any) -> int:
        planned.append(what)
        return 0

    with copy.reader() as connection:
        connection.set_authorizer(allow)
    for number in range(2):  # what is planned at first stays
        planned.clear()
        for limit in (1 + number, 7, 50):
            asks = asked(copy, ["code"], limit, limit)
            assert plan.written(asks, TimeLimit.of(MS), MOST) is not None
            plan.read(asks, TimeLimit.of(MS), MOST, len)
    copy.close()
    assert planned == []
