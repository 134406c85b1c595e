"""Excel workbooks in and out: read as a stream after a look at what they unpack to."""

import csv
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from storage.kernel.words import Words
from storage.tabular.kinds import Limits, Source
from storage.tabular.problems import BrokenWorkbook, OversizedWorkbook, RaggedRow
from storage.unit import slow

_BOMB_FLOOR = 10 * 2**20  # below ten MiB unpacked no ratio is dangerous


def workbook_to_csv(path: Path, source: Source, plain: Path, limits: Limits) -> None:
    """Write the first sheet as UTF-8 CSV. Formulas give their stored values.

    Raises OversizedWorkbook before anything is unpacked, BrokenWorkbook, RaggedRow for values to
    the right of the header.
    """
    slow("XLSX")
    _refuse_bomb(path, source, limits)
    try:
        with path.open("rb") as packed, plain.open("w", encoding="utf-8", newline="") as file:
            book = load_workbook(packed, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # a workbook may lie about its size
            writer = csv.writer(file, lineterminator="\n")
            _write(sheet.iter_rows(values_only=True), writer, source, limits)
            book.close()
    except (
        BadZipFile,
        InvalidFileException,
        KeyError,
        IndexError,
        ValueError,
        OSError,
        SyntaxError,
    ) as error:
        raise BrokenWorkbook(
            Words(f"工作簿“{source.name}”无法打开。", f"The workbook “{source.name}” cannot be opened."),
            file=source.name,
        ) from error


def _refuse_bomb(path: Path, source: Source, limits: Limits) -> None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        packed = max(sum(entry.compress_size for entry in archive.infolist()), 1)
    if unpacked > limits.xlsx_bytes or (unpacked > _BOMB_FLOOR and unpacked > packed * limits.xlsx_ratio):
        raise OversizedWorkbook(
            Words(
                f"工作簿“{source.name}”解压后为 {unpacked} 字节（{unpacked // packed} 倍）。",
                f"“{source.name}” unpacks to {unpacked} bytes ({unpacked // packed} times its size).",
            ),
            file=source.name,
            unpacked=unpacked,
            limit=limits.xlsx_bytes,
        )


def _write(rows: Iterable[Sequence[Any]], writer: Any, source: Source, limits: Limits) -> None:
    width = 0
    for number, row in enumerate(rows, start=1):
        cells = [_cell(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if not width:
            width = len(cells)
            if width:
                writer.writerow(cells)
            continue
        if not cells:
            continue
        if len(cells) > width:
            raise RaggedRow(
                Words(
                    f"工作簿“{source.name}”第 {number} 行有 {len(cells)} 个字段，表头有 {width} 个。",
                    f"Row {number} of “{source.name}” has {len(cells)} fields; the header has {width}.",
                ),
                file=source.name,
                line=number,
            )
        if number > limits.xlsx_rows:
            raise OversizedWorkbook(
                Words(
                    f"工作簿“{source.name}”超过 {limits.xlsx_rows} 行。",
                    f"“{source.name}” has more than {limits.xlsx_rows} rows.",
                ),
                file=source.name,
            )
        writer.writerow(cells + [""] * (width - len(cells)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        midnight = value.time() == time.min
        return value.date().isoformat() if midnight else value.isoformat(timespec="seconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def write_workbook(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one sheet as a stream; values must already be safe for people to open."""
    slow("XLSX")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("data")
    sheet.append(list(names))
    for row in rows:
        sheet.append(list(row))
    book.save(path)
