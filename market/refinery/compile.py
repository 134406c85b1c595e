"""Turn a checked recipe into SQL: names quoted, literals typed and quoted, nothing else from people.

The rows come from a view `origin` with the file's columns and `_row`, their place in the file. The
key of `hash` comes from two engine variables, so that it appears in no statement and no message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from market.refinery import grammar as g
from market.refinery.rules import constant_kind, trace
from storage.tabular.kinds import MOMENTS, NUMBERS, Column, Kind
from storage.tabular.sql import as_text, name, sql_type, text

BLANK = " \t\r\n\u3000\u00a0\ufeff"
INNER, OUTER = "shugang_inner", "shugang_outer"
_SIGNS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*"}
_PARTS = {"weekday": "isodow"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """编译结果. `rows` selects the final rows in order; `counts` gives one row: how many rows there
    are before the first step and after each step; `columns` are those of the result.
    """

    rows: str
    counts: str
    columns: tuple[Column, ...]


def compile_recipe(recipe: g.Recipe, columns: Sequence[Column]) -> Compiled:
    """SQL for the recipe over these columns. Raises Invalid as `rules.check` does."""
    schemas = trace(recipe, columns)
    start = ", ".join(["_row", *(name(column.name) for column in columns)])
    views = [f"s0 AS (SELECT {start} FROM origin)"]
    changes = [0]
    for number, step in enumerate(recipe.steps):
        query, drops = _step(step, number, schemas[number], schemas[number + 1])
        views.append(f"s{number + 1} AS ({query})")
        changes.append(number + 1 if drops else changes[-1])
    last = len(recipe.steps)
    head = "WITH " + ", ".join(views)
    final = ", ".join(f"CAST({name(c.name)} AS {sql_type(c)}) AS {name(c.name)}" for c in schemas[-1])
    order = " ORDER BY _row" if any(isinstance(step, g.Dedupe) for step in recipe.steps) else ""
    asked = {source: f"(SELECT count(*) FROM s{source})" for source in dict.fromkeys(changes)}
    counts = ", ".join(asked.values())
    places = ", ".join(f"c[{list(asked).index(source) + 1}]" for source in changes)
    return Compiled(
        rows=f"{head} SELECT {final} FROM s{last}{order}",
        counts=f"{head} SELECT {places} FROM (SELECT [{counts}] AS c)",
        columns=schemas[-1],
    )


def _step(step: g.Step, number: int, before: Sequence[Column], after: Sequence[Column]) -> tuple[str, bool]:  # noqa: C901  # one case for each step
    """The query for one step over `s<number>`, and whether it may drop rows."""
    source = f"s{number}"
    known = {column.name: column for column in before}
    values = {column.name: name(column.name) for column in before}
    where = ""
    match step:
        case g.Filter():
            where = f" WHERE {_condition(step.where, known)}"
        case g.Dedupe():
            keys = ", ".join(name(key) for key in step.columns or known)
            where = f" WHERE _row IN (SELECT min(_row) FROM {source} GROUP BY {keys})"
        case g.Rename():
            values = {step.names.get(column.name, column.name): name(column.name) for column in before}
        case g.Trim():
            for key in step.columns:
                values[key] = f"nullif(trim({name(key)}, {text(BLANK)}), '')"
        case g.Fill():
            column = known[step.column]
            values[step.column] = (
                f"coalesce({name(column.name)}, CAST({_literal(column, step.value)} AS {sql_type(column)}))"
            )
        case g.Cast():
            column, target = known[step.column], next(c for c in after if c.name == step.column)
            made = _cast(column, target, step.format)
            value = name(column.name)
            if step.on_error == "drop":
                where = f" WHERE {value} IS NULL OR ({made}) IS NOT NULL"
            if step.on_error == "fail":
                stop = f"error('shugang:cast:{number}')"
                made = (
                    f"CASE WHEN {value} IS NULL THEN NULL WHEN ({made}) IS NULL THEN {stop} ELSE {made} END"
                )
            values[step.column] = made
        case g.Mask():
            values[step.column] = _mask(step.by, known[step.column])
        case g.Derive():
            values[step.name] = _value(step.value, known)[0]
        case _:
            pass  # select and drop: the columns after the step say it all
    chosen = ", ".join(["_row", *(f"{values[column.name]} AS {name(column.name)}" for column in after)])
    return f"SELECT {chosen} FROM {source}{where}", bool(where)


def _literal(column: Column, value: g.Atom) -> str:
    """A literal of the column's type. Its form was checked by `rules.suits`."""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    if column.kind is Kind.TEXT:
        return text(written)
    if column.kind is Kind.INSTANT:
        moment = datetime.fromisoformat(written).astimezone(UTC).replace(tzinfo=None)
        return f"CAST({text(moment.isoformat(sep=' ') + '+00')} AS TIMESTAMP WITH TIME ZONE)"
    if column.kind is Kind.TIMESTAMP:
        written = datetime.fromisoformat(written).isoformat(sep=" ")
    if column.kind is Kind.DECIMAL:
        scale = len(written.partition(".")[2])
        return f"CAST({text(written)} AS DECIMAL(38, {scale}))"
    return f"CAST({text(written)} AS {sql_type(column)})"


def _condition(where: g.Condition, known: dict[str, Column]) -> str:
    """SQL that is true or false, never unknown: a comparison with a missing value is false."""
    match where:
        case g.Group():
            sign = " AND " if where.op == "and" else " OR "
            return "(" + sign.join(_condition(part, known) for part in where.of) + ")"
        case g.Negation():
            return f"(NOT {_condition(where.of, known)})"
        case g.Presence():
            return f"({name(where.column)} IS {'NOT ' if where.op == 'not_null' else ''}NULL)"
        case g.Prefix():
            test = f"starts_with({name(where.column)}, {text(where.value)})"
        case g.Among():
            column = known[where.column]
            test = f"{name(column.name)} IN ({', '.join(_literal(column, value) for value in where.values)})"
        case g.Between():
            column = known[where.column]
            ends = f"{_literal(column, where.least)} AND {_literal(column, where.greatest)}"
            test = f"{name(column.name)} BETWEEN {ends}"
        case _:
            column = known[where.column]
            other = name(where.other) if where.other is not None else _literal(column, where.value or 0)
            if where.value is not None:
                other = _literal(column, where.value)
            test = f"{name(column.name)} {_SIGNS[where.op]} {other}"
    return f"coalesce({test}, false)"


def _cast(column: Column, target: Column, form: str | None) -> str:
    """SQL for an exact conversion: NULL where the value would change or has no such form."""
    value, wanted = name(column.name), sql_type(target)
    if target.kind is Kind.TEXT:
        return as_text(value, column.kind)
    if column.kind is Kind.TEXT:
        return _from_text(value, target, form)
    if column.kind in {Kind.DECIMAL, Kind.DOUBLE} and target.kind in {Kind.INTEGER, Kind.DECIMAL}:
        scale = 0 if target.kind is Kind.INTEGER else target.scale
        return f"CASE WHEN {value} = round({value}, {scale}) THEN TRY_CAST({value} AS {wanted}) END"
    return f"TRY_CAST({value} AS {wanted})"


def _from_text(value: str, target: Column, form: str | None) -> str:
    if target.kind in MOMENTS and form is not None:
        return f"TRY_CAST(try_strptime({value}, {text(form)}) AS {sql_type(target)})"
    shapes = {
        Kind.INTEGER: "[+-]?[0-9]+",
        Kind.DECIMAL: f"[+-]?[0-9]+([.][0-9]{{1,{max(target.scale or 0, 1)}}}0*)?",
        Kind.DOUBLE: "[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?",
        Kind.BOOLEAN: "(?i)true|false|0|1",
        Kind.DATE: "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    }
    shape = shapes.get(target.kind, "[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
    cast = f"TRY_CAST({value} AS {sql_type(target)})"
    return f"CASE WHEN regexp_full_match({value}, '{shape}') THEN {cast} END"


def _mask(by: g.Keep | g.Hash | g.Redact | g.Bucket, column: Column) -> str:
    value = name(column.name)
    shown = as_text(value, column.kind)
    match by:
        case g.Bucket():
            floor = value if column.kind is Kind.INTEGER else f"CAST(floor({value}) AS BIGINT)"
            return f"({floor} - (({floor} % {by.width}) + {by.width}) % {by.width})"
        case g.Redact():
            return f"CASE WHEN {value} IS NOT NULL THEN '***' END"
        case g.Hash():
            return _hmac(shown)
        case _:
            hidden = f"repeat('*', length({shown}) - {by.first + by.last})"
            ends = f"left({shown}, {by.first}) || {hidden} || right({shown}, {by.last})"
            whole = f"repeat('*', length({shown}))"
            return f"CASE WHEN length({shown}) > {by.first + by.last} THEN {ends} ELSE {whole} END"


def _hmac(shown: str) -> str:
    """HMAC-SHA256 (RFC 2104) in hexadecimal, of a text in UTF-8."""
    inner = f"unhex(sha256(getvariable('{INNER}') || encode({shown})))"
    return f"sha256(getvariable('{OUTER}') || {inner})"


def _value(value: g.Value, known: dict[str, Column]) -> tuple[str, Column]:  # one return for each shape
    """SQL for a value, and the column it would make."""
    match value:
        case g.ColumnValue():
            return name(value.name), known[value.name]
        case g.Constant():
            column = Column("", constant_kind(value.value))
            return _literal(column, value.value), column
        case g.Concat():
            parts = [_shown(part, known) for part in value.of]
            return "(" + " || ".join([*parts, "''"]) + ")", Column("", Kind.TEXT)
        case g.Arithmetic():
            return _arithmetic(value, known)
        case g.DatePart():
            of, column = _value(value.of, known)
            local = f"({of} AT TIME ZONE 'UTC')" if column.kind is Kind.INSTANT else of
            return f"date_part('{_PARTS.get(value.part, value.part)}', {local})", Column("", Kind.INTEGER)
        case g.Substring():
            return f"substring({_shown(value.of, known)}, {value.start}, {value.length})", Column(
                "", Kind.TEXT
            )
        case _:
            return _hmac(_shown(value.of, known)), Column("", Kind.TEXT)


def _shown(value: g.Value, known: dict[str, Column]) -> str:
    made, column = _value(value, known)
    return as_text(made, column.kind)


def _arithmetic(value: g.Arithmetic, known: dict[str, Column]) -> tuple[str, Column]:
    (left, one), (right, two) = _value(value.left, known), _value(value.right, known)
    sign = _ARITHMETIC[value.op]
    kinds = {one.kind, two.kind}
    if not kinds <= NUMBERS:
        raise ValueError("arithmetic on something else than numbers passed the check")
    if Kind.DOUBLE in kinds:
        return f"(CAST({left} AS DOUBLE) {sign} CAST({right} AS DOUBLE))", Column("", Kind.DOUBLE)
    if Kind.DECIMAL not in kinds:
        return f"(CAST({left} AS BIGINT) {sign} CAST({right} AS BIGINT))", Column("", Kind.INTEGER)
    scales = (one.scale or 0, two.scale or 0)
    scale = sum(scales) if value.op == "mul" else max(scales)
    made = Column("", Kind.DECIMAL, 38, scale)
    if value.op == "mul":
        halves = (f"CAST({left} AS DECIMAL(38, {scales[0]}))", f"CAST({right} AS DECIMAL(38, {scales[1]}))")
        return f"CAST({halves[0]} * {halves[1]} AS {sql_type(made)})", made
    return (
        f"CAST(CAST({left} AS {sql_type(made)}) {sign} CAST({right} AS {sql_type(made)}) AS {sql_type(made)})",
        made,
    )
