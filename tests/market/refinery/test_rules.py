"""Recipes walked over schemas: every fault found and placed, every good recipe's columns foretold."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.refinery import rules
from market.refinery.compile import INNER, OUTER, compile_recipe
from storage.kernel.problem import Invalid
from storage.tabular import engine as db
from storage.tabular.kinds import Column, ColumnProfile, Kind, Limits, Profile
from storage.tabular.sql import name, sql_type

COLUMNS = (
    Column("id", Kind.INTEGER),
    Column("城市", Kind.TEXT),
    Column("price", Kind.DECIMAL, 18, 2),
    Column("ratio", Kind.DOUBLE),
    Column("ok", Kind.BOOLEAN),
    Column("day", Kind.DATE),
    Column("at", Kind.INSTANT),
)


def faults(*steps: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        rules.check(rules.parse({"steps": steps}), COLUMNS)
    return [(fault.field, fault.rule) for fault in caught.value.faults]


def test_all_faults_are_reported_at_once_with_their_places() -> None:
    assert faults(
        {"step": "rename", "names": {"id": "price", "gone": "x"}},
        {"step": "trim", "columns": ["ratio"]},
        {"step": "filter", "where": {"op": "and", "of": [{"op": "gt", "column": "day", "value": "soon"}]}},
        {"step": "cast", "column": "ok", "to": "date"},
    ) == [
        ("steps.0.names", "recipe.missing_column"),
        ("steps.0.names", "recipe.duplicate_name"),
        ("steps.1.columns", "recipe.type_mismatch"),
        ("steps.2.where.of.0.value", "recipe.type_mismatch"),
        ("steps.3.to", "recipe.type_mismatch"),
    ]


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            {"step": "drop", "columns": [column.name for column in COLUMNS]},
            ("steps.0.columns", "recipe.no_columns"),
        ),
        ({"step": "select", "columns": ["id", "id"]}, ("steps.0.columns", "recipe.duplicate_name")),
        (
            {"step": "derive", "name": "ID", "value": {"op": "literal", "value": 1}},
            ("steps.0.name", "recipe.duplicate_name"),
        ),
        ({"step": "rename", "names": {"id": "_row"}}, ("steps.0.names", "recipe.bad_name")),
        ({"step": "fill", "column": "price", "value": "1.125"}, ("steps.0.value", "recipe.scale")),
        ({"step": "fill", "column": "id", "value": "x"}, ("steps.0.value", "recipe.type_mismatch")),
        (
            {"step": "mask", "column": "城市", "by": {"method": "bucket", "width": 5}},
            ("steps.0.by", "recipe.type_mismatch"),
        ),
        (
            {"step": "filter", "where": {"op": "eq", "column": "id"}},
            ("steps.0.where", "recipe.one_side"),
        ),
        (
            {"step": "filter", "where": {"op": "eq", "column": "id", "other": "城市"}},
            ("steps.0.where.other", "recipe.type_mismatch"),
        ),
    ],
)
def test_each_fault_has_its_rule(step: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults(step) == [fault]


@pytest.mark.parametrize(
    "document",
    [
        {"steps": [{"step": "sql", "text": "DROP TABLE x"}]},
        {"steps": [{"step": "filter", "where": "1=1"}]},
        {"steps": [{"step": "fill", "column": "a", "value": 1.5}]},
        {"steps": [{"step": "drop", "columns": ["a"], "and": "more"}]},
    ],
)
def test_what_the_grammar_does_not_know_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        rules.parse(document)


def test_the_hash_depends_on_meaning_only() -> None:
    one = rules.parse({"steps": [{"columns": ["a"], "step": "drop"}]})
    two = rules.parse({"version": 1, "nulls": [""], "steps": [{"step": "drop", "columns": ["a"]}]})
    assert one.hash() == two.hash() != rules.parse({"steps": [{"step": "drop", "columns": ["b"]}]}).hash()


def test_completeness_counts_filled_cells() -> None:
    columns = tuple(ColumnProfile(str(i), Kind.TEXT, i, 1, True, None, None) for i in range(2))
    assert rules.completeness_bp(Profile(4, columns, (), ())) == 8750


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20) | st.sampled_from(
    ['a"; DROP TABLE origin; --', "'", '""', "s0", "origin", "select", "$1", "{x}", "a\\", "🐘", "_row2"]
)
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30
) | st.sampled_from(["' OR 1=1 --", "\\'", "$$x$$", "'; COPY origin TO 'x'; --", "E'\\x'"])


@given(name_=names, value=texts.filter(bool), cells=st.lists(st.none() | texts, min_size=1, max_size=8))
def test_hostile_names_and_literals_never_change_the_query(
    name_: str, value: str, cells: list[str | None]
) -> None:
    """A filter, a fill and a concat over any name and text give what plain Python gives."""
    if name_.casefold() in {"_row", "made"}:
        return
    cells = [*cells, value, value + "x"]
    recipe = rules.parse({
        "steps": [
            {"step": "derive", "name": "made", "value": {"op": "concat", "of": [{"op": "column", "name": name_}, {"op": "literal", "value": value}]}},
            {"step": "filter", "where": {"op": "or", "of": [{"op": "prefix", "column": name_, "value": value}, {"op": "is_null", "column": name_}]}},
            {"step": "fill", "column": name_, "value": value},
        ]
    })  # fmt: skip
    compiled = compile_recipe(recipe, [Column(name_, Kind.TEXT)])
    with db.engine(Path("/nowhere"), Limits(threads=1)) as connection:
        connection.execute(f"CREATE TABLE origin (_row BIGINT, {name(name_)} VARCHAR)")
        connection.executemany(
            "INSERT INTO origin VALUES (?, ?)", [[i, cell] for i, cell in enumerate(cells)]
        )
        assert len(connection.extract_statements(compiled.rows)) == 1
        got = connection.execute(compiled.rows).fetchall()
        counts = connection.execute(compiled.counts).fetchone()
    kept = [cell for cell in cells if cell is None or cell.startswith(value)]
    expected = [(value, None) if cell is None else (cell, cell + value) for cell in kept]
    assert sorted(got, key=str) == sorted(expected, key=str)
    assert counts == (len(cells), len(cells), len(kept), len(kept))


numbers = st.sampled_from(["id", "price", "ratio"])
some = st.sampled_from([column.name for column in COLUMNS] + ["gone"])
steps = st.one_of(
    st.fixed_dictionaries({"step": st.sampled_from(["select", "drop", "trim"]), "columns": st.lists(some, min_size=1, max_size=4)}),
    st.fixed_dictionaries({"step": st.just("rename"), "names": st.dictionaries(some, st.sampled_from(["x", "y", "id"]), min_size=1)}),
    st.fixed_dictionaries({"step": st.just("cast"), "column": some, "to": st.sampled_from(list(Kind)), "on_error": st.sampled_from(["null", "drop"])}),
    st.fixed_dictionaries({"step": st.just("dedupe"), "columns": st.lists(some, max_size=2)}),
    st.fixed_dictionaries({"step": st.just("fill"), "column": some, "value": st.sampled_from([1, "1.5", "x", True, "2026-01-31"])}),
    st.fixed_dictionaries({"step": st.just("mask"), "column": some, "by": st.sampled_from([{"method": "hash"}, {"method": "redact"}, {"method": "bucket", "width": 10}, {"method": "keep", "first": 1, "last": 1}])}),
    st.fixed_dictionaries({"step": st.just("filter"), "where": st.fixed_dictionaries({"op": st.sampled_from(["eq", "lt", "ge"]), "column": some, "value": st.sampled_from([1, "1.5", "x", True, "2026-01-31", "2026-01-31T00:00:00Z"])})}),
    st.fixed_dictionaries({"step": st.just("derive"), "name": st.sampled_from(["d", "e"]), "value": st.fixed_dictionaries({"op": st.sampled_from(["add", "sub", "mul"]), "left": st.fixed_dictionaries({"op": st.just("column"), "name": numbers}), "right": st.fixed_dictionaries({"op": st.just("column"), "name": numbers})})}),
    st.fixed_dictionaries({"step": st.just("derive"), "name": st.just("h"), "value": st.fixed_dictionaries({"op": st.just("hash"), "of": st.fixed_dictionaries({"op": st.just("column"), "name": some})})}),
)  # fmt: skip


@given(st.lists(steps, max_size=6))
def test_what_passes_the_check_runs_and_gives_the_columns_foretold(chosen: list[dict[str, Any]]) -> None:
    recipe = rules.parse({"steps": chosen})
    try:
        foretold = rules.check(recipe, COLUMNS)
    except Invalid:
        return
    compiled = compile_recipe(recipe, COLUMNS)
    with db.engine(Path("/nowhere"), Limits(threads=1)) as connection:
        defined = ", ".join(f"{name(column.name)} {sql_type(column)}" for column in COLUMNS)
        connection.execute(f"CREATE TABLE origin (_row BIGINT, {defined})")
        connection.execute(
            "INSERT INTO origin VALUES (0, 1, ' 青岛', 1.50, 0.5, true, '2026-01-31', '2026-01-31 00:00:00Z'), "
            "(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
        for variable in (INNER, OUTER):
            connection.execute(f"SET VARIABLE {variable} = unhex('00')")
        made = db.columns_of(connection, compiled.rows)
        rows = connection.execute(f"SELECT count(*) FROM ({compiled.rows})").fetchone()
        counts = connection.execute(compiled.counts).fetchone()
    assert [(column.name, column.kind) for column in made] == [
        (column.name, column.kind) for column in foretold
    ]
    assert rows is not None
    assert counts is not None
    assert counts[-1] == rows[0]
    assert sorted(counts, reverse=True) == list(counts)
