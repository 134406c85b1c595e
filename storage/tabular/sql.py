"""Write SQL safely: names, texts, types and the text form of values. Pure; no engine needed."""

from storage.tabular.kinds import Column, Kind

_TYPES = {
    Kind.INTEGER: "BIGINT",
    Kind.DOUBLE: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.INSTANT: "TIMESTAMP WITH TIME ZONE",
}


def name(identifier: str) -> str:
    """`identifier` as a quoted SQL name: whatever it holds, it stays one name."""
    return '"' + identifier.replace('"', '""') + '"'


def text(literal: str) -> str:
    """`literal` as a quoted SQL text: whatever it holds, it stays one text.

    A backslash means itself, and NUL, which no engine text can hold, is refused with ValueError.
    """
    if "\0" in literal:
        raise ValueError("a text cannot hold NUL")
    return "'" + literal.replace("'", "''") + "'"


def sql_type(column: Column) -> str:
    """The engine's type for a column."""
    if column.kind is Kind.DECIMAL:
        return f"DECIMAL({column.precision or 18}, {column.scale or 0})"
    return _TYPES[column.kind]


def as_text(expression: str, kind: Kind) -> str:
    """SQL that writes a value as the text we show everywhere: ISO 8601, `true`/`false`, plain digits."""
    if kind is Kind.TEXT:
        return expression
    if kind is Kind.TIMESTAMP:
        return f"replace(CAST({expression} AS VARCHAR), ' ', 'T')"
    if kind is Kind.INSTANT:
        return f"replace(CAST({expression} AT TIME ZONE 'UTC' AS VARCHAR), ' ', 'T') || 'Z'"
    return f"CAST({expression} AS VARCHAR)"
