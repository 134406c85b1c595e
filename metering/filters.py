"""筛选 The query language of rows: `column=op.value`, `select`, `order`, `limit`; pure.

The grammar is PostgREST's: `温度=gte.20&名称=in.(甲,乙)&order=日期.desc&select=名称,温度`. A reserved word that is
also the name of a column is a filter when an operator follows: `limit=gte.3`.
"""

import hashlib
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Words

RESERVED = frozenset({"select", "order", "limit", "count", "cursor", "format"})
COMPARE = {
    "eq": "=",
    "ne": "<>",
    "neq": "<>",
    "lt": "<",
    "le": "<=",
    "lte": "<=",
    "gt": ">",
    "ge": ">=",
    "gte": ">=",
}
OPERATORS = (*COMPARE, "in", "between", "prefix", "is")
MAX_FILTERS = 20
MAX_LIST = 200
MAX_PARAMETERS = 64
MAX_FAULTS = 20  # told at once
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_INTEGER = re.compile("[+-]?[0-9]{1,19}")
_DOUBLE = re.compile(r"[+-]?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,3})?")
_ROWS = re.compile("[0-9]{1,9}")
_SCALED = re.compile(r"([+-]?)(\d{1,30})(?:\.(\d{0,30}))?")


@dataclass(frozen=True, slots=True, eq=False)  # a column is itself alone: looking up a shape compares many
class Column:
    """字段. A column of a serving copy; `filter` is the one to compare with, None when it cannot be filtered."""

    name: str
    kind: str
    precision: int | None = None
    scale: int | None = None
    filter: str | None = None


class Condition(NamedTuple):
    """One comparison: its operator and the values that the column is compared with."""

    column: Column
    operator: str
    values: tuple[Any, ...]


class Kept(NamedTuple):
    """Where a page ended: the value it is ordered by and the row number."""

    value: Any
    row: int


class Query(NamedTuple):
    """查询. A checked question: only columns that exist, only values of their type."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]
    order: Column | None
    descending: bool
    limit: int
    name: bytes  # what makes two questions the same, besides the page they ask for
    total: bool = False  # whether to say how many rows there are in all
    after: Kept | None = None
    version: int | None = None  # the version the cursor is pinned to
    cursor: str | None = None  # as it came, not yet verified
    format: str | None = None  # as it came

    def values(self) -> list[Any]:
        """What the columns are compared with, in the order of the conditions."""
        return [value for condition in self.conditions for value in condition.values]

    def shape(self) -> Hashable:
        """Everything but the values: what decides the SQL, and how the rows are found."""
        return (
            self.columns,
            tuple([(column, operator, len(values)) for column, operator, values in self.conditions]),
            self.order,
            self.descending,
            self.after and self.after.value is None,
        )


def selection(conditions: Sequence[Condition]) -> bytes:
    """Conditions in one order, whatever order they came in."""
    return b"\n".join(sorted(orjson.dumps([c.column.name, c.operator, c.values]) for c in conditions))


def _name(
    columns: tuple[Column, ...], conditions: Sequence[Condition], order: Column | None, *, descending: bool
) -> bytes:
    said = _asked_for(columns, order, descending) + selection(conditions)
    return hashlib.blake2b(said, digest_size=12).digest()


@lru_cache(maxsize=256)
def _asked_for(columns: tuple[Column, ...], order: Column | None, descending: bool) -> bytes:  # for the cache
    parts = [[column.name for column in columns], [order and order.name, descending]]
    return orjson.dumps(parts) + b"\n"


def parse(
    parameters: Sequence[tuple[str, str]], columns: Mapping[str, Column], *, default: int, most: int
) -> Query:
    """The query in these URL parameters. Raises Invalid naming unknown columns, operators and bad values, the first of many.

    Cursor and format are handed on as they are: see `cursors.resume`, `rowformats.chosen`.
    """
    faults: list[Fault] = []
    conditions: list[Condition] = []
    single: dict[str, str] = {}
    for name, text in parameters:
        try:
            if name not in RESERVED or (name in columns and _is_filter(text)):
                conditions.append(_condition(name, text, columns))
            elif name in single:
                raise invalid(name, "once", "该参数只能出现一次。", "This parameter may appear once.")
            else:
                single[name] = text
        except Invalid as wrong:
            faults.extend(wrong.faults)
            if len(faults) >= MAX_FAULTS:
                raise Invalid(*faults) from None
    if len(conditions) > MAX_FILTERS:
        words = Words(f"最多 {MAX_FILTERS} 个筛选条件。", f"At most {MAX_FILTERS} filters.")
        faults.append(Fault("filter", "filter.many", words))
    try:
        chosen = _select(single.get("select"), columns)
        order, descending = _order(single.get("order"), columns)
        limit = _limit(single.get("limit"), default, most)
        count = _count(single.get("count"))
    except Invalid as wrong:
        raise Invalid(*faults, *wrong.faults) from None
    if faults:
        raise Invalid(*faults)
    return Query(
        chosen,
        tuple(conditions),
        order,
        descending,
        limit,
        _name(chosen, conditions, order, descending=descending),
        count,
        cursor=single.get("cursor"),
        format=single.get("format"),
    )


def _is_filter(text: str) -> bool:
    operator, dot, _ = text.partition(".")
    return bool(dot) and operator in OPERATORS


def _known(name: str, columns: Mapping[str, Column], field: str) -> Column:
    if name not in columns:
        words = Words(f"没有字段“{name[:80]}”。", f"There is no column “{name[:80]}”.")
        raise Invalid(Fault(field or "filter", "column.unknown", words))
    return columns[name]


def _comparable(name: str, columns: Mapping[str, Column], field: str) -> Column:
    column = _known(name, columns, field)
    if column.filter is None:
        words = Words(f"字段“{name}”不支持筛选或排序。", f"“{name}” can be neither filtered nor ordered.")
        raise Invalid(Fault(field, "column.not_comparable", words))
    return column


def _condition(name: str, text: str, columns: Mapping[str, Column]) -> Condition:
    operator, dot, operand = text.partition(".")
    if operator not in OPERATORS or not dot:
        column = _known(name, columns, name[:80])
        words = Words(
            f"筛选格式为 {column.name}=运算符.值，运算符：{'、'.join(OPERATORS)}。",
            f"Write {column.name}=operator.value with one of: {', '.join(OPERATORS)}.",
        )
        raise Invalid(Fault(name, "filter.operator", words))
    if operator == "is":
        column = _known(name, columns, name[:80])
        if operand not in {"null", "not_null"}:
            raise invalid(name, "filter.is", "请使用 is.null 或 is.not_null。", "Use is.null or is.not_null.")
        return Condition(column, f"is_{operand}", ())
    column = _comparable(name, columns, name[:80])
    if operator == "prefix":
        if column.kind != "text" or not operand:
            raise invalid(
                name,
                "filter.prefix",
                "prefix 仅用于文本字段且不能为空。",
                "prefix needs text and a text column.",
            )
        return Condition(column, "prefix", _prefix_bounds(operand, name))
    if operator in {"in", "between"}:
        values = tuple(_value(column, part, name) for part in _list(operand, name))
        if operator == "between" and len(values) != 2:
            raise invalid(
                name, "filter.between", "between 需要两个值：between.(1,9)。", "between needs two values."
            )
        return Condition(column, operator, values)
    return Condition(column, COMPARE[operator], (_value(column, operand, name),))


def _list(text: str, name: str) -> list[str]:
    """The parts of `(a,"b,c",d)`."""
    wrong = invalid(name, "filter.list", "列表格式为 (甲,乙)。", "Write a list as (a,b).")
    if len(text) < 3 or text[0] != "(" or text[-1] != ")":
        raise wrong
    parts, current, quoted, was_quoted = [], "", False, False
    body = iter(text[1:-1])
    for char in body:
        if quoted:
            if char == "\\":
                current += next(body, "")
            elif char == '"':
                quoted = False
            else:
                current += char
        elif char == '"' and not current:
            quoted = was_quoted = True
        elif char == ",":
            parts.append(current)
            current, was_quoted = "", False
        elif was_quoted:
            raise wrong
        else:
            current += char
    parts.append(current)
    if quoted:
        raise wrong
    _refuse_many(parts, name)
    return parts


def _refuse_many(parts: Sequence[str], name: str) -> None:
    if len(parts) > MAX_LIST:
        words = Words(f"列表最多 {MAX_LIST} 个值。", f"A list has at most {MAX_LIST} values.")
        raise Invalid(Fault(name, "filter.list_many", words))


def _prefix_bounds(text: str, name: str) -> tuple[str, ...]:
    _refuse_unstorable(text, name)
    for end in range(len(text), 0, -1):
        point = ord(text[end - 1]) + 1
        if point <= 0x10FFFF:
            return text, text[: end - 1] + chr(0xE000 if point == 0xD800 else point)
    return (text,)


def _refuse_unstorable(text: str, name: str) -> None:
    if _UNSTORABLE.search(text):
        raise invalid(
            name, "text", "文本含有不可用的字符。", "The text holds characters that cannot be stored."
        )


def _value(column: Column, text: str, name: str) -> str | int | float:
    """The text as the serving copy compares it. Raises Invalid when it is no value of the column's kind."""
    try:
        value = _typed(column, text, name)
    except (ValueError, OverflowError):
        value = None
    if value is None:
        words = Words(
            f"“{text[:60]}”不是字段“{column.name}”的 {column.kind} 值。",
            f"“{text[:60]}” is no {column.kind} for “{column.name}”.",
        )
        raise Invalid(Fault(name, f"type.{column.kind}", words))
    return value


def _typed(column: Column, text: str, name: str) -> str | int | float | None:
    match column.kind:
        case "integer":
            return _int64(int(text)) if _INTEGER.fullmatch(text) else None
        case "double":
            number = float(text) if _DOUBLE.fullmatch(text) else math.nan
            return number if math.isfinite(number) else None
        case "boolean":
            return {"true": 1, "1": 1, "false": 0, "0": 0}.get(text)
        case "decimal":
            return _scaled(text, column.scale or 0)
        case "date":
            return date.fromisoformat(text).isoformat() if len(text) == 10 else None
        case "timestamp":
            moment = datetime.fromisoformat(text)
            return None if moment.tzinfo else moment.isoformat(timespec="microseconds")
        case "instant":
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                return None
            return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        case _:
            _refuse_unstorable(text, name)
            return text


def _scaled(text: str, scale: int) -> int | None:
    match = _SCALED.fullmatch(text)
    if not match:
        return None
    sign, whole, part = match.groups()
    part = (part or "").rstrip("0")
    if len(part) > scale:
        return None
    return _int64(int(f"{sign}{whole}{part.ljust(scale, '0')}"))


def _int64(number: int) -> int | None:
    return number if -(2**63) <= number < 2**63 else None


def _select(text: str | None, columns: Mapping[str, Column]) -> tuple[Column, ...]:
    if text is None:
        return tuple(columns.values())
    names = list(dict.fromkeys(text.split(",")))
    return tuple(_known(name, columns, "select") for name in names)


def _order(text: str | None, columns: Mapping[str, Column]) -> tuple[Column | None, bool]:
    if text is None:
        return None, False
    name, dot, way = text.rpartition(".")
    if not dot or way not in {"asc", "desc"}:
        name, way = text, "asc"
    if "," in name and name not in columns:
        raise invalid("order", "order.one", "只能按一个字段排序。", "Rows are ordered by one column.")
    return _comparable(name, columns, "order"), way == "desc"


def _limit(text: str | None, default: int, most: int) -> int:
    if text is None:
        return min(default, most)
    if not _ROWS.fullmatch(text) or int(text) > most:
        words = Words(f"limit 为 0 至 {most} 的整数。", f"limit is a whole number from 0 to {most}.")
        raise Invalid(Fault("limit", "limit", words))
    return int(text)


def _count(text: str | None) -> bool:
    if text not in {None, "none", "exact"}:
        raise invalid("count", "count", "count 为 exact 或 none。", "count is exact or none.")
    return text == "exact"
