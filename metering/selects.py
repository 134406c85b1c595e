"""取数语句 Writes the SELECT statements of a checked query; pure.

Nothing of the request ever becomes SQL: names come from the serving copy, values are parameters. The text follows
from the shape of a query alone.
"""

from typing import Any

from metering.filters import Condition, Query
from storage.tabular import sql

_WRITTEN_OTHERWISE = {"double", "boolean"}
_MOST_WRITTEN = 60  # columns: what a function of SQLite takes is limited
_LIMIT = "LIMIT ? + 0"  # a sum: where it sees the number, SQLite plans the statement anew for each


def page_statements(query: Query) -> tuple[str, ...]:
    """The SELECTs whose rows, one after the other, are the page; what they take is said by `page_values`.

    After a cursor there may be two: NULL comes first going up and last going down, as SQLite sorts it, and an OR
    between the two would keep SQLite from its index.
    """
    clauses = _where(query)
    ordered = _ordered(query)
    wanted = "".join(f", {sql.name(column.name)}" for column in query.columns)
    way = " DESC" if query.descending else ""
    keys = f"{ordered}, _row" if query.order else "_row"
    order = f"{ordered}{way}, _row{way}" if query.order else "_row"
    return tuple(
        f"SELECT {keys}{wanted} FROM data{_all([*clauses, *more])} ORDER BY {order} {_LIMIT}"  # noqa: S608  # see above
        for more in _after(query, ordered)
    )


def lines_statement(query: Query) -> str | None:
    """The SELECT whose one row is the page: its rows as JSON in UTF-8, a line each, and where they are, with commas.

    It takes what the only one of `page_statements` takes. None where SQLite would write other bytes than
    `rowformats`: it rounds doubles and knows no booleans; and where the place is more than a number.
    """
    kinds = {column.kind for column in query.columns}
    if query.order is not None or kinds & _WRITTEN_OTHERWISE or len(query.columns) > _MOST_WRITTEN:
        return None
    pairs = ", ".join(f"{sql.text(column.name)}, {sql.name(column.name)}" for column in query.columns)
    (after,) = _after(query, "_row")
    return (
        "SELECT CAST(group_concat(line, char(10)) AS BLOB), group_concat(_row) FROM ("  # noqa: S608  # see above
        f"SELECT _row, json_object({pairs}) AS line "
        f"FROM data{_all([*_where(query), *after])} ORDER BY _row {_LIMIT})"
    )


def page_values(query: Query) -> list[list[Any]]:
    """The parameters of each of these statements, without the LIMIT, which comes last."""
    values = query.values()
    return [values] if query.after is None else [[*values, *more] for more in _beyond(query)]


def count_statement(query: Query) -> str:
    """The SELECT that counts the rows of all pages; it takes `query.values()`."""
    return f"SELECT count(*) FROM data{_all(_where(query))}"  # noqa: S608  # see above


def _where(query: Query) -> list[str]:
    return [_clause(condition) for condition in query.conditions]


def _all(clauses: list[str]) -> str:
    return f" WHERE {' AND '.join(clauses)}" if clauses else ""


def _clause(condition: Condition) -> str:
    name = sql.name(condition.column.filter or condition.column.name)
    match condition.operator:
        case "is_null":
            return f"{sql.name(condition.column.name)} IS NULL"
        case "is_not_null":
            return f"{sql.name(condition.column.name)} IS NOT NULL"
        case "in":
            return f"{name} IN ({', '.join('?' * len(condition.values))})"
        case "between":
            return f"{name} BETWEEN ? AND ?"
        case "prefix" if len(condition.values) == 1:
            return f"{name} >= ?"
        case "prefix":
            return f"({name} >= ? AND {name} < ?)"
        case operator:
            return f"{name} {operator} ?"


def _ordered(query: Query) -> str:
    return sql.name(query.order.filter or query.order.name) if query.order else "_row"


def _after(query: Query, ordered: str) -> list[list[str]]:
    """What lies behind the cursor, in the order of the page; `_beyond` has the values."""
    if query.after is None:
        return [[]]
    if query.order is None:
        return [["_row > ?"]]
    beyond = "<" if query.descending else ">"
    if query.after.value is None:
        rest = [[f"{ordered} IS NULL", f"_row {beyond} ?"]]
        return rest if query.descending else [*rest, [f"{ordered} IS NOT NULL"]]
    rest = [[f"{ordered} {beyond}= ?", f"({ordered} {beyond} ? OR _row {beyond} ?)"]]
    return [*rest, [f"{ordered} IS NULL"]] if query.descending else rest


def _beyond(query: Query) -> list[list[Any]]:
    assert query.after is not None
    value, row = query.after
    if query.order is None:
        return [[row]]
    if value is None:
        return [[row]] if query.descending else [[row], []]
    return [[value, value, row], []] if query.descending else [[value, value, row]]
