"""Text tables made plain: every format but Parquet becomes one UTF-8 CSV that is fast to read."""

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from storage.kernel.words import Words
from storage.tabular.kinds import Encoding, Format, Limits, Source
from storage.tabular.problems import (
    BadColumnName,
    BadJson,
    DuplicateColumn,
    LongRecord,
    NoColumns,
    NoRows,
    RaggedRow,
    TooManyColumns,
)
from storage.tabular.workbook import workbook_to_csv

_CHUNK = 1 << 20
_RESERVED = frozenset({"_row"})


def plain_csv(path: Path, source: Source, work: Path, limits: Limits) -> tuple[Path, str]:
    """A UTF-8 CSV with the content of the file, and its delimiter. The file itself when it is one.

    Raises what the format calls for: BadJson, OversizedWorkbook, BrokenWorkbook, TooManyColumns.
    """
    plain = work / "plain.csv"
    if source.format in {Format.JSON, Format.NDJSON}:
        _json_to_csv(path, source, plain, limits)
        return plain, ","
    if source.format is Format.XLSX:
        workbook_to_csv(path, source, plain, limits)
        return plain, ","
    if source.encoding is Encoding.UTF8:
        return path, source.delimiter or ","
    with (
        path.open(encoding=source.encoding, newline="") as old,
        plain.open("w", encoding="utf-8", newline="") as new,
    ):
        shutil.copyfileobj(old, new, _CHUNK)
    return plain, source.delimiter or ","


def header(plain: Path, delimiter: str, source: Source, limits: Limits) -> list[str]:
    """The column names. Raises NoColumns, NoRows, TooManyColumns, BadColumnName, DuplicateColumn."""
    with plain.open(encoding="utf-8", newline="") as file:
        rows = _records(file, delimiter, source, limits)
        _, names = next(rows, (1, []))
        names = [label.strip() for label in names]
        if not any(names):
            raise NoColumns(
                Words(f"文件“{source.name}”没有列名。", f"“{source.name}” has no column names."),
                file=source.name,
            )
        check_names(names, source.name, limits)
        if next(rows, None) is None:
            refuse_no_rows(source.name)
    return names


def refuse_no_rows(name: str) -> NoReturn:
    """Raise NoRows for the file called `name`."""
    raise NoRows(Words(f"文件“{name}”没有数据行。", f"“{name}” has no rows of data."), file=name)


def check_names(names: list[str], file: str, limits: Limits) -> None:
    """Raise TooManyColumns, BadColumnName or DuplicateColumn, naming the column's place (from 1)."""
    if len(names) > limits.columns:
        raise TooManyColumns(
            Words(
                f"文件“{file}”有 {len(names)} 列，上限为 {limits.columns} 列。",
                f"“{file}” has {len(names)} columns; the limit is {limits.columns}.",
            ),
            file=file,
            columns=len(names),
            limit=limits.columns,
        )
    seen: dict[str, int] = {}
    for place, label in enumerate(names, start=1):
        if not _usable(label, limits):
            raise BadColumnName(
                Words(
                    f"文件“{file}”第 {place} 列的列名为空或不可用。",
                    f"Column {place} of “{file}” has no usable name.",
                ),
                file=file,
                column=place,
            )
        first = seen.setdefault(label.casefold(), place)
        if first != place:
            raise DuplicateColumn(
                Words(
                    f"文件“{file}”第 {first} 列与第 {place} 列同名：{label}。",
                    f"Columns {first} and {place} of “{file}” share the name {label}.",
                ),
                file=file,
                column=place,
                name=label,
            )


def _usable(label: str, limits: Limits) -> bool:
    printable = all(char.isprintable() for char in label)
    return (
        bool(label) and len(label) <= limits.name_length and printable and label.casefold() not in _RESERVED
    )


def find_ragged(plain: Path, delimiter: str, source: Source, limits: Limits) -> NoReturn:
    """Name the line that a fast reader refused. Always raises: RaggedRow or LongRecord."""
    with plain.open(encoding="utf-8", newline="") as file:
        rows = _records(file, delimiter, source, limits)
        _, names = next(rows)
        for line, row in rows:
            if len(row) != len(names):
                raise _ragged(source, line, len(names), len(row))
    raise RaggedRow(
        Words(
            f"文件“{source.name}”中有引号未正确闭合。",
            f"A quotation in “{source.name}” is not closed properly.",
        ),
        file=source.name,
    )


def _ragged(source: Source, line: int, expected: int, found: int) -> RaggedRow:
    return RaggedRow(
        Words(
            f"文件“{source.name}”第 {line} 行有 {found} 个字段，表头有 {expected} 个。",
            f"Line {line} of “{source.name}” has {found} fields; the header has {expected}.",
        ),
        file=source.name,
        line=line,
        expected=expected,
        found=found,
    )


def _records(file: TextIO, delimiter: str, source: Source, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on; blank lines are passed over, as every reader does."""
    csv.field_size_limit(limits.line_bytes)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise LongRecord(
                Words(
                    f"文件“{source.name}”第 {line} 行的记录超过 {limits.line_bytes} 字节。",
                    f"The record on line {line} of “{source.name}” exceeds {limits.line_bytes} bytes.",
                ),
                file=source.name,
                line=line,
            ) from error
        raise RaggedRow(
            Words(
                f"文件“{source.name}”第 {line} 行的引号不正确。",
                f"A quotation on line {line} of “{source.name}” is broken.",
            ),
            file=source.name,
            line=line,
        ) from error


def _json_to_csv(path: Path, source: Source, plain: Path, limits: Limits) -> None:
    """Columns are all keys in the order first seen; nested values are kept as JSON text."""
    names: dict[str, None] = {}
    for record in _objects(path, source, limits):
        names.update(dict.fromkeys(record))
        if len(names) > limits.columns:
            check_names(list(names), source.name, limits)
    with plain.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if names:
            writer.writerow(names)
        for place, record in enumerate(_objects(path, source, limits), start=1):
            cells = [_cell(record.get(label)) for label in names]
            try:
                "".join(cells).replace("\0", "\ud800").encode()  # NUL and half characters cannot be kept
                writer.writerow(cells)
            except UnicodeEncodeError as error:
                raise _bad_json(
                    source, place, "含有不可用的字符", "holds characters no table can keep"
                ) from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, _Digits):
        return value.text
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_Digits.number)


@dataclass(frozen=True, slots=True)
class _Digits:
    """A number as it was written, so that 1.50 stays 1.50."""

    text: str

    def number(self) -> int | float:
        """The number itself, for values nested in other values."""
        return float(self.text) if set(self.text) & set(".eE") else int(self.text)


_DECODER = json.JSONDecoder(parse_float=_Digits, parse_int=_Digits, strict=False)


def _objects(path: Path, source: Source, limits: Limits) -> Iterator[dict[str, Any]]:
    with path.open(encoding=source.encoding or "utf-8") as file:
        records = (
            _lines(file, source, limits)
            if source.format is Format.NDJSON
            else _elements(file, source, limits)
        )
        for place, value in records:
            if not isinstance(value, dict):
                raise _bad_json(source, place, "不是对象", "is not an object")
            yield value


def _lines(file: TextIO, source: Source, limits: Limits) -> Iterator[tuple[int, Any]]:
    place = 0
    while line := file.readline(limits.line_bytes + 1):
        place += 1
        if len(line) > limits.line_bytes:
            raise _bad_json(source, place, "过长", "is too long")
        if not line.strip():
            continue
        try:
            yield place, _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            raise _bad_json(source, place, "不是有效的 JSON", "is not valid JSON") from error


def _elements(file: TextIO, source: Source, limits: Limits) -> Iterator[tuple[int, Any]]:  # noqa: C901  # a small parser
    """The elements of one JSON array, holding no more than one element and one chunk in memory."""
    buffer, place, ended = "", 1, False

    def more() -> bool:
        nonlocal buffer, ended
        chunk = file.read(_CHUNK)
        buffer += chunk
        ended = ended or not chunk
        return bool(chunk)

    more()
    buffer = buffer.lstrip("\ufeff \t\r\n")[1:]
    while True:
        buffer = buffer.lstrip()
        while not buffer and more():
            buffer = buffer.lstrip()
        if buffer.startswith("]"):
            break
        try:
            value, end = _DECODER.raw_decode(buffer)
        except (ValueError, RecursionError) as error:
            if len(buffer) <= limits.line_bytes and more():
                continue
            raise _bad_json(source, place, "不是有效的 JSON", "is not valid JSON") from error
        yield place, value
        buffer = buffer[end:].lstrip()
        while not buffer and more():
            buffer = buffer.lstrip()
        place += 1
        if buffer.startswith(","):
            buffer = buffer[1:]
        elif not buffer.startswith("]"):
            raise _bad_json(source, place, "之前缺少逗号或右括号", "lacks a comma or bracket before it")
    if buffer[1:].strip() or file.read(_CHUNK).strip():
        raise _bad_json(source, place, "之后还有内容", "is followed by more text")


def _bad_json(source: Source, place: int, zh: str, en: str) -> BadJson:
    ndjson = source.format is Format.NDJSON
    return BadJson(
        Words(
            f"文件“{source.name}”第 {place} {'行' if ndjson else '条记录'}{zh}。",
            f"{'Line' if ndjson else 'Record'} {place} of “{source.name}” {en}.",
        ),
        file=source.name,
        line=place if ndjson else None,
        record=None if ndjson else place,
    )
