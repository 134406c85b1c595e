"""取数语句 Writes the SELECT statements of a checked query; pure.

Nothing of the request ever becomes SQL: names come from the serving copy, values are parameters.
"""

from typing import Any

from metering.filters import Condition, Query

Statement = tuple[str, list[Any]]


def page_statements(query: Query) -> list[Statement]:
    """The SELECTs whose rows, one after the other, are the page; the last parameter of each is a LIMIT.

    The LIMIT is one row more than asked. After a cursor there may be two: NULL comes first going up and last
    going down, as SQLite sorts it, and an OR between the two would keep SQLite from its index.
    """
    clauses, values = _where(query)
    ordered = _quoted(query.order.filter or query.order.name) if query.order else "_row"
    wanted = "".join(f", {_quoted(column.name)}" for column in query.columns)
    way = " DESC" if query.descending else ""
    order = f"{ordered}{way}, _row{way}" if query.order else "_row"
    statements: list[Statement] = []
    for more, beyond in _after(query, ordered):
        every = [*clauses, *more]
        where = f" WHERE {' AND '.join(every)}" if every else ""
        statement = f"SELECT {ordered}, _row{wanted} FROM data{where} ORDER BY {order} LIMIT ?"  # noqa: S608  # see above
        statements.append((statement, [*values, *beyond, query.limit + 1]))
    return statements


def count_statement(query: Query) -> Statement:
    """The SELECT that counts the rows of all pages."""
    clauses, values = _where(query)
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    return f"SELECT count(*) FROM data{where}", values  # noqa: S608  # see above


def _where(query: Query) -> tuple[list[str], list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    for condition in query.conditions:
        clause, parameters = _clause(condition)
        clauses.append(clause)
        values.extend(parameters)
    return clauses, values


def _clause(condition: Condition) -> tuple[str, tuple[Any, ...]]:
    name = _quoted(condition.column.filter or condition.column.name)
    match condition.operator:
        case "is_null":
            return f"{_quoted(condition.column.name)} IS NULL", ()
        case "is_not_null":
            return f"{_quoted(condition.column.name)} IS NOT NULL", ()
        case "in":
            return f"{name} IN ({', '.join('?' * len(condition.values))})", condition.values
        case "between":
            return f"{name} BETWEEN ? AND ?", condition.values
        case "prefix" if len(condition.values) == 1:
            return f"{name} >= ?", condition.values
        case "prefix":
            return f"({name} >= ? AND {name} < ?)", condition.values
        case operator:
            return f"{name} {operator} ?", condition.values


def _after(query: Query, ordered: str) -> list[tuple[list[str], list[Any]]]:
    """What lies behind the cursor, in the order of the page."""
    if query.after is None:
        return [([], [])]
    value, row = query.after.value, query.after.row
    if query.order is None:
        return [(["_row > ?"], [row])]
    beyond = "<" if query.descending else ">"
    if value is None:
        rest = [([f"{ordered} IS NULL", f"_row {beyond} ?"], [row])]
        return rest if query.descending else [*rest, ([f"{ordered} IS NOT NULL"], [])]
    rest = [([f"{ordered} {beyond}= ?", f"({ordered} {beyond} ? OR _row {beyond} ?)"], [value, value, row])]
    return [*rest, ([f"{ordered} IS NULL"], [])] if query.descending else rest


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
