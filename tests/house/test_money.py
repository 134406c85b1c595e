"""No float touches money or a counted quantity, in code or in a column."""

import ast
import re

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from tests.house.tree import Source, caught, load_all, sources

# Rooms that live on money and counts; any other module that speaks of fen is found by its names.
ROOMS = re.compile(
    r"^(market\.(billing|trading)|metering\.(till|gate|booking|books|rating|usage|statements|tables|actions)"
    r"|storage\.kernel\.money|contracts\.(terms|policy|offers))(\.|$)"
)
# A float may be a duration: how long to wait is no money.
DURATION = re.compile(r"(timeout|second|interval|wait|sleep|beat|deadline|pause|join)", re.IGNORECASE)


def touches_money(source: Source) -> bool:
    if ROOMS.match(source.name):
        return True
    names = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)}
    return any(name.endswith("_fen") for name in names)


def _durations(tree: ast.Module) -> set[int]:
    """Nodes that stand where a name says it is a duration."""
    found: set[int] = set()

    def mark(name: str, node: ast.AST | None) -> None:
        if node is not None and DURATION.search(name):
            found.update(id(inner) for inner in ast.walk(node))

    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg=str(name), value=value):
                mark(name, value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                mark(name, value)
            case ast.For(target=ast.Name(id=name), iter=value):
                mark(name, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                mark(name, value)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args):
                for argument in args:
                    mark(name, argument)
            case ast.arguments():
                plain = [*node.posonlyargs, *node.args]
                pairs = [*zip(plain[::-1], node.defaults[::-1], strict=False)]
                for arg, default in [*pairs, *zip(node.kwonlyargs, node.kw_defaults, strict=True)]:
                    mark(arg.arg, default)
    return found


def _is_path(node: ast.expr) -> bool:
    """`folder / "name"`: joining paths looks like division."""
    return any(
        isinstance(inner, ast.JoinedStr) or (isinstance(inner, ast.Constant) and isinstance(inner.value, str))
        for inner in ast.walk(node)
    )


def float_faults(source: Source) -> list[str]:
    """Float literals, calls of float, true division and float columns."""
    durations = _durations(source.tree)
    found = []
    for node in ast.walk(source.tree):
        match node:
            case ast.Constant(value=float()) if id(node) not in durations:
                found.append(source.at(node, "a float literal"))
            case ast.Call(func=ast.Name(id="float")):
                found.append(source.at(node, "float(…)"))
            case ast.BinOp(op=ast.Div()) if not _is_path(node) and id(node) not in durations:
                found.append(source.at(node, "true division; use // or a Fraction"))
            case ast.AugAssign(op=ast.Div()):
                found.append(source.at(node, "true division; use // or a Fraction"))
            case (
                ast.Attribute(attr="Float" | "Numeric" | "REAL" | "DOUBLE") | ast.Name(id="Float" | "Numeric")
            ):
                found.append(source.at(node, "a column that is no whole number"))
    return found


def test_no_float_touches_money() -> None:
    looked_at = [source for source in sources() if touches_money(source)]
    assert [fault for source in looked_at for fault in float_faults(source)] == []
    assert len(looked_at) >= 10


@pytest.mark.parametrize(
    "text",
    [
        "price = 1.5",
        "half = amount_fen / 2",
        "amount_fen /= 2",
        "x = float('1')",
        "import sqlalchemy as sa\ncolumn = sa.Numeric(10, 2)",
        "def charge(rate=0.1): ...",
    ],
)
def test_a_float_is_caught(text: str) -> None:
    caught("no float touches money", float_faults(Source("market.billing.planted", text)))


def test_a_duration_and_a_path_are_no_money() -> None:
    text = (
        "def take(timeout: float = 60.0): ...\nlock.wait(0.5)\nBEAT_SECONDS = 0.25\nfile = folder / 'a.csv'\n"
    )
    assert float_faults(Source("market.billing.planted", text)) == []


def inexact_columns(metadata: sa.MetaData) -> list[str]:
    return [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.Float | sa.Numeric) and not isinstance(column.type, sa.Integer)
    ]


def test_no_column_is_inexact() -> None:
    load_all()
    assert inexact_columns(SQLModel.metadata) == []
    assert len(SQLModel.metadata.tables) >= 12


def test_an_inexact_column_is_caught() -> None:
    planted = sa.MetaData()
    sa.Table("invoice", planted, sa.Column("amount", sa.Float()), sa.Column("net", sa.Numeric(10, 2)))
    assert inexact_columns(planted) == ["invoice.amount", "invoice.net"]
    caught("no column is inexact", inexact_columns(planted))
