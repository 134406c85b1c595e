"""行数据格式 How a page of rows is written: JSON, NDJSON, CSV, Arrow IPC stream."""

import io
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Protocol

import orjson
from arro3.core import Array, DataType, Field, RecordBatch, Schema
from arro3.io import write_ipc_stream

from metering.filters import Column
from metering.serving import Row
from storage.kernel.problem import invalid
from storage.tabular.formulas import guarded

MEDIA = {
    "json": "application/json",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
FORM = 2  # raise it when the same rows are written as other bytes: it is part of every entity tag
_ACCEPTED = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
}
_TO_QUOTE = re.compile(r'[",\r\n]')
_TYPES: dict[str, Callable[[Column], DataType]] = {
    "integer": lambda _: DataType.int64(),
    "double": lambda _: DataType.float64(),
    "boolean": lambda _: DataType.bool(),
    "text": lambda _: DataType.utf8(),
    "date": lambda _: DataType.date32(),
    "timestamp": lambda _: DataType.timestamp("us"),
    "instant": lambda _: DataType.timestamp("us", tz="UTC"),
    "decimal": lambda column: DataType.decimal128(column.precision or 18, column.scale or 0),
}
_PLAIN = frozenset({"integer", "double", "boolean", "text"})


def chosen(asked: str | None, accept: str) -> str:
    """The format that `format=` names, else the best one `Accept` lists, else JSON. Raises Invalid.

    >>> chosen(None, "text/csv;q=0.5, application/vnd.apache.arrow.stream"), chosen("csv", "*/*")
    ('arrow', 'csv')
    """
    if asked is None:
        return _accepted(accept)
    if asked not in MEDIA:
        names = "、".join(MEDIA)
        raise invalid(
            "format", "format", f"format 为 {names} 之一。", f"format is one of {', '.join(MEDIA)}."
        )
    return asked


@lru_cache(maxsize=256)
def _accepted(accept: str) -> str:
    best, weight = "json", 0.0
    for part in accept.split(","):
        media, _, rest = part.partition(";")
        found = _ACCEPTED.get(media.strip().lower())
        match = re.search(r"\bq=([01](?:\.[0-9]{0,3})?)", rest)
        wanted = float(match[1]) if match else 1.0
        if found is not None and wanted > weight:
            best, weight = found, wanted
    return best


class Writing(Protocol):
    """A page being written. The same rows give the same bytes."""

    def add(self, rows: Sequence[Row]) -> int:
        """Write more rows; about how many bytes they are."""
        ...

    def finish(self, *, version: int, following: str | None, total: int | None) -> bytes:
        """The whole page."""
        ...


def writing(form: str, columns: Sequence[Column]) -> Writing:
    """A page of these columns in one of the forms of `MEDIA`."""
    return _FORMS[form](columns)


def json_page(rows: bytes, *, version: int, following: str | None, total: int | None) -> bytes:
    """The page whose rows are written already, as JSON objects with commas between them."""
    count = b"" if total is None else b',"count":%d' % total
    return b'{"version":%d,"rows":[%b],"next":%b%b}' % (version, rows, orjson.dumps(following), count)


class _Json:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._pieces: list[bytes] = []

    def _named(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        return list(map(dict, map(zip, repeat(self._names), rows)))

    def add(self, rows: Sequence[Row]) -> int:
        piece = orjson.dumps(self._named(rows))
        self._pieces.append(piece[1:-1])
        return len(piece)

    def finish(self, *, version: int, following: str | None, total: int | None) -> bytes:
        return json_page(b",".join(self._pieces), version=version, following=following, total=total)


class _Ndjson(_Json):
    def add(self, rows: Sequence[Row]) -> int:
        piece = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in self._named(rows))
        # Some readers split at these, too; in JSON they stand inside texts only.
        for char in ("\u2028", "\u2029", "\x85"):
            piece = piece.replace(char.encode(), f"\\u{ord(char):04x}".encode())
        self._pieces.append(piece)
        return len(piece)

    def finish(self, *, version: int, following: str | None, total: int | None) -> bytes:  # noqa: ARG002  # in headers
        return b"".join(self._pieces)


class _Csv:
    """Line feeds, empty for null and a quoted empty text, formulas guarded: as in the CSV files."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._kinds = [column.kind for column in columns]
        self._lines = [",".join(_quoted(guarded(column.name)) for column in columns)]

    def add(self, rows: Sequence[Row]) -> int:
        lines = [",".join(map(_cell, row, self._kinds)) for row in rows]
        self._lines += lines
        return sum(map(len, lines))

    def finish(self, *, version: int, following: str | None, total: int | None) -> bytes:  # noqa: ARG002  # in headers
        return ("\n".join(self._lines) + "\n").encode()


class _Arrow:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> int:
        self._rows += rows
        return len(orjson.dumps(rows))

    def finish(self, *, version: int, following: str | None, total: int | None) -> bytes:  # noqa: ARG002  # in headers
        columns = self._columns
        places = list(zip(*self._rows, strict=True)) if self._rows else [()] * len(columns)
        arrays = [_array(column, values) for column, values in zip(columns, places, strict=True)]
        schema = Schema([Field(column.name, _TYPES[column.kind](column)) for column in columns])
        body = io.BytesIO()
        write_ipc_stream(RecordBatch.from_arrays(arrays, schema=schema), body, compression=None)
        return body.getvalue()


_FORMS: dict[str, Callable[[Sequence[Column]], Writing]] = {
    "json": _Json,
    "ndjson": _Ndjson,
    "csv": _Csv,
    "arrow": _Arrow,
}


def _cell(value: object, kind: str) -> str:
    if value is None:
        return ""
    if kind == "text":
        return _quoted(guarded(str(value)))
    if kind == "boolean":
        return "true" if value else "false"
    return str(value)


def _quoted(text: str) -> str:
    if not text or _TO_QUOTE.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _array(column: Column, values: Sequence[Any]) -> Array:
    if column.kind in _PLAIN:
        return Array(list(values), _TYPES[column.kind](column))
    texts = Array(list(values), DataType.utf8())
    typed = texts.cast(_TYPES[column.kind](column))
    if typed.null_count != texts.null_count:
        raise ValueError(f"a value of {column.name} is no {column.kind}")
    return typed
