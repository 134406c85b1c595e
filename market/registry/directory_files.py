"""目录文件 A directory as a file: CSV or JSON, UTF-8 with or without BOM, or GB18030; row by row."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from market.registry.directory_rows import COLUMNS, field_names
from storage.kernel.problem import invalid
from storage.unit import slow

MAX_BYTES = 64 << 20
NEEDED = ("provider_code", "provider_name", "code", "title_zh", "share_type", "open_attr")


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """目录行. Each row's number (a line of a CSV, a place in a JSON list; from 1) and its fields by our names.

    Reads the whole file (64 MiB at most). Raises Invalid for what is no directory at all.
    """
    slow("directory file")
    raw = path.read_bytes()
    if not raw.strip():
        raise invalid("file", "file.empty", "文件为空。", "The file is empty.")
    if len(raw) > MAX_BYTES:
        raise invalid("file", "file.size", "目录文件最大 64 MiB。", "A directory file is 64 MiB at most.")
    text = _decoded(raw)
    if text.lstrip()[:1] in {"[", "{"}:
        return _from_json(text)
    return _from_csv(text)


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise invalid(
        "file",
        "file.encoding",
        "文件须为 UTF-8 或 GB18030 编码的 CSV 或 JSON。",
        "The file has to be CSV or JSON in UTF-8 or GB18030.",
    )


def _from_csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(reader, [])
    names = field_names(header)
    _refuse_strange(list(names.values()))
    places = {place: names[label] for place, label in enumerate(header) if label in names}

    def lines() -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield (
                        reader.line_num,
                        {name: cells[place] for place, name in places.items() if place < len(cells)},
                    )
        except csv.Error as error:
            # Nothing after it can be told apart: the row is refused and the file ends here.
            yield reader.line_num, {"unreadable": str(error)}

    return lines()


def _from_json(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        held = _json_lines(text)
    if isinstance(held, dict):
        listed = next(
            (held[key] for key in ("entries", "resources", "data") if isinstance(held.get(key), list)), None
        )
        held = listed if listed is not None else [held]
    if not isinstance(held, list) or not held:
        raise invalid("file", "file.json", "JSON 须为对象数组。", "The JSON has to be an array of objects.")
    objects: list[Any] = held

    def elements() -> Iterator[tuple[int, dict[str, Any]]]:
        known: dict[str, str] = {}
        for place, element in enumerate(objects, 1):
            if not isinstance(element, dict):
                yield place, {"unreadable": "not an object"}
                continue
            if not element.keys() <= known.keys():
                known |= field_names(list(element)) | {key: "" for key in element if not field_names([key])}
            yield place, {known[key]: value for key, value in element.items() if known[key]}

    return elements()


def _json_lines(text: str) -> list[Any]:
    """NDJSON; a line that is none is kept as it is, so that its row can be refused alone."""
    held: list[Any] = []
    for line in text.splitlines():
        if line.strip():
            try:
                held.append(json.loads(line))
            except (ValueError, RecursionError):
                held.append(None)
    if all(element is None for element in held):
        raise invalid("file", "file.json", "不是有效的 JSON。", "Not valid JSON.")
    return held


def _refuse_strange(found: list[str]) -> None:
    if lacking := [name for name in NEEDED if name not in found]:
        zh = "、".join(COLUMNS[name][0] for name in lacking)
        raise invalid(
            "file", "file.columns", f"缺少必需的列：{zh}。", f"Columns are missing: {', '.join(lacking)}."
        )
