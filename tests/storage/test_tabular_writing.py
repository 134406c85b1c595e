"""Exports and serving copies: the same bytes each time, safe to open, comparing as they should."""

import csv
import hashlib
from pathlib import Path

import pysqlite3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from storage.tabular import engine as db
from storage.tabular.exports import to_csv, to_parquet, to_xlsx
from storage.tabular.intake import take_in
from storage.tabular.kinds import Column, Kind, Limits
from storage.tabular.serving import filter_names, filter_value, to_serving
from storage.tabular.sniffing import sniff
from storage.tabular.sql import name, text

ROWS = b"""id,title,price,day,at,ok
3,=SUM(A1),9.50,2026-01-31,2026-01-31T08:00:00Z,true
1,+86 532,10.25,2025-12-01,2026-01-31T08:00:00.5Z,false
2,-x,-1.00,,2025-01-01T00:00:00+08:00,
4,@me,100.00,2024-02-29,,true
5,plain,,2026-02-01,2026-02-01T00:00:00Z,true
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def table(work: Path, content: bytes = ROWS) -> Path:
    source = work / "input"
    source.write_bytes(content)
    take_in(source, sniff(source, "x.csv"), work / "t.parquet", work, Limits())
    return work / "t.parquet"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_texts_that_would_run_as_formulas_are_made_harmless_and_numbers_are_not_touched(work: Path) -> None:
    kept = table(work)
    to_csv(kept, work / "a.csv", work, Limits())
    rows = list(csv.DictReader((work / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["title"] for row in rows] == ["'=SUM(A1)", "'+86 532", "'-x", "'@me", "plain"]
    assert rows[2]["price"] == "-1.00"
    assert rows[0]["at"] == "2026-01-31T08:00:00Z"
    to_csv(kept, work / "b.csv", work, Limits(), guarded=False)
    assert "\n2,-x,-1.00," in (work / "b.csv").read_text(encoding="utf-8")
    to_xlsx(kept, work / "a.xlsx", work, Limits())
    sheet = load_workbook(work / "a.xlsx").active
    assert [cell.value for cell in sheet["B"]][1:] == ["'=SUM(A1)", "'+86 532", "'-x", "'@me", "plain"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n"}


def test_the_same_rows_give_the_same_bytes_whatever_the_threads(work: Path) -> None:
    content = b"a,b,c\n" + b"".join(b"%d,%d.5,name %d\n" % (i, i * 7 % 1000, i % 97) for i in range(300_000))
    kept = table(work, content)
    for threads in (1, 2):
        limits = Limits(threads=threads)
        to_csv(kept, work / f"{threads}.csv", work, limits)
        to_parquet(kept, work / f"{threads}.parquet", work, limits)
        to_serving(kept, work / f"{threads}.sqlite", work, limits, indexes=["a"])
    for kind in ("csv", "parquet", "sqlite"):
        assert digest(work / f"1.{kind}") == digest(work / f"2.{kind}"), kind


def test_the_serving_copy_keeps_order_and_compares_by_type(work: Path) -> None:
    to_serving(table(work), work / "s.sqlite", work, Limits(), indexes=["price", "at"])
    lite = pysqlite3.connect(work / "s.sqlite")
    assert [row[0] for row in lite.execute("SELECT id FROM data ORDER BY _row")] == [3, 1, 2, 4, 5]
    assert lite.execute("SELECT min(_row), max(_row) FROM data").fetchone() == (1, 5)
    price = Column("price", Kind.DECIMAL, 18, 2)
    shadow = lite.execute("SELECT filter FROM columns WHERE name = 'price'").fetchone()[0]
    query = f'SELECT price FROM data WHERE "{shadow}" > ? ORDER BY "{shadow}"'
    assert lite.execute(query, [filter_value(price, "9.5")]).fetchall() == [("10.25",), ("100.00",)]
    plan = str(lite.execute("EXPLAIN QUERY PLAN " + query, [1]).fetchall())
    assert "USING INDEX" in plan
    late = "SELECT id FROM data WHERE at > '2026-01-31T08:00:00.000000Z' ORDER BY at"
    assert [row[0] for row in lite.execute(late)] == [1, 5]
    assert [row[0] for row in lite.execute("SELECT id FROM data WHERE ok = 1 ORDER BY _row")] == [3, 4, 5]
    lite.close()


@pytest.mark.parametrize(("width", "held"), [(200, True), (1200, False)])
def test_the_index_on_shared_values_holds_whole_rows_unless_they_are_wide(
    work: Path, width: int, held: bool
) -> None:
    lines = [f"{number},{number % 7},{'x' * width}{number}" for number in range(700)]
    kept = table(work, "\n".join(["id,code,text", *lines]).encode())
    to_serving(kept, work / "s.sqlite", work, Limits(), indexes=["id", "code"])
    lite = pysqlite3.connect(work / "s.sqlite")
    for column, whole in (("id", False), ("code", held)):
        asked = f"SELECT * FROM data WHERE {column} = ? ORDER BY _row LIMIT 20"  # our own names
        (plan,) = [row[3] for row in lite.execute(f"EXPLAIN QUERY PLAN {asked}", (3,))]
        assert plan.startswith("SEARCH data USING ")
        assert ("COVERING" in plan) is whole
        assert lite.execute(asked, (3,)).fetchone()[:3] == (4, 3, 3)
    lite.close()


@given(st.decimals(-(10**12), 10**12, places=3), st.decimals(-(10**12), 10**12, places=3))
def test_filter_values_of_decimals_order_as_the_decimals_do(one: object, two: object) -> None:
    column = Column("d", Kind.DECIMAL, 18, 3)
    assert (filter_value(column, f"{one:f}") < filter_value(column, f"{two:f}")) == (one < two)  # type: ignore[operator]


def test_a_shadow_never_takes_the_name_of_a_column() -> None:
    columns = [Column("p", Kind.DECIMAL, 18, 2), Column("P#", Kind.TEXT), Column("w", Kind.DECIMAL, 38, 2)]
    assert filter_names(columns) == {"p": "p##", "P#": "P#", "w": None}


def test_the_engine_reads_nothing_beside_what_it_was_given(work: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    with db.engine(work, Limits()) as connection:
        for attempt in (
            f"FROM read_csv({text(str(secret))})",
            f"COPY (SELECT 1) TO {text(str(tmp_path / 'out'))}",
        ):
            with pytest.raises(db.EngineError):
                connection.execute(attempt)
        with pytest.raises(db.EngineError):
            connection.execute("SET enable_external_access = true")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_quoted_names_and_texts_stay_one_name_and_one_text(words: str) -> None:
    with db.engine(Path("/nowhere"), Limits(threads=1)) as connection:
        cursor = connection.execute(f"SELECT {text(words)} AS {name(words)}")
        assert cursor.fetchall() == [(words,)]
        assert [column[0] for column in cursor.description] == [words]
