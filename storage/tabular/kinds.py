"""What a table file is made of: its format, its columns, its profile, and the limits it must keep."""

from dataclasses import asdict, dataclass
from typing import Any

from storage.kernel.words import Worded


class Format(Worded):
    """文件格式. What we can read a table from."""

    CSV = "csv", "CSV 逗号分隔文本", "CSV text"
    TSV = "tsv", "TSV 制表符分隔文本", "TSV text"
    NDJSON = "ndjson", "NDJSON 逐行对象", "NDJSON, an object a line"
    JSON = "json", "JSON 对象数组", "JSON array of objects"
    PARQUET = "parquet", "Parquet 列式文件", "Parquet"
    XLSX = "xlsx", "Excel 工作簿", "Excel workbook"


class Encoding(Worded):
    """字符编码. What text files may be written in; everything is kept as UTF-8."""

    UTF8 = "utf-8", "UTF-8", "UTF-8"
    UTF8_SIG = "utf-8-sig", "UTF-8（带 BOM）", "UTF-8 with a byte order mark"
    GB18030 = "gb18030", "GB18030（含 GBK、GB2312）", "GB18030, which includes GBK and GB2312"


class Kind(Worded):
    """字段类型. The few types a column can have, the same in Parquet, CSV and the serving copy."""

    INTEGER = "integer", "整数", "Integer"
    DECIMAL = "decimal", "定点小数", "Decimal"
    DOUBLE = "double", "浮点数", "Floating point"
    TEXT = "text", "文本", "Text"
    BOOLEAN = "boolean", "是否", "Yes or no"
    DATE = "date", "日期", "Date"
    TIMESTAMP = "timestamp", "日期时间（无时区）", "Date and time without zone"
    INSTANT = "instant", "时刻（UTC）", "Moment in UTC"


NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE})
MOMENTS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT})


@dataclass(frozen=True, slots=True)
class Column:
    """字段. One column: its name, its type, and for decimals digits in all and after the point."""

    name: str
    kind: Kind
    precision: int | None = None
    scale: int | None = None

    def document(self) -> dict[str, Any]:
        """The JSON form, without what does not apply."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> "Column":
        """The column `document()` wrote."""
        return cls(document["name"], Kind(document["kind"]), document.get("precision"), document.get("scale"))


@dataclass(frozen=True, slots=True)
class Source:
    """文件来源. How a file is to be read, as found by `sniff` or declared by its owner.

    `nulls` are the texts that mean "no value"; "NA" is not among them unless declared, because it
    is also a country. `name` is what people call the file and appears in refusals.
    """

    format: Format
    name: str
    encoding: Encoding | None = None
    delimiter: str | None = None
    nulls: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Limits:
    """限额. How much one file may ask of the machine. Sizes in bytes, times in seconds."""

    columns: int = 500
    name_length: int = 120  # characters in a column name
    line_bytes: int = 2 * 2**20  # one record
    xlsx_bytes: int = 512 * 2**20  # all sheets and strings, unpacked
    xlsx_ratio: int = 200  # unpacked to packed; honest workbooks stay below 60
    xlsx_rows: int = 1_048_576
    memory_bytes: int = 2**30
    spill_bytes: int = 20 * 2**30
    threads: int = 2
    seconds: int = 1800


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """字段概况. What one column holds; smallest and largest as text, so that nothing is rounded.

    Above a million rows `distinct` is an estimate (about 2 % off, the same at every run) and
    `exact` is false.
    """

    name: str
    kind: Kind
    nulls: int
    distinct: int
    exact: bool
    least: str | None
    greatest: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """数据概况. Rows, columns and a sample of at most 20 rows, all values as text."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    schema: tuple[Column, ...]
    sample: tuple[tuple[str | None, ...], ...]

    def document(self) -> dict[str, Any]:
        """The JSON form kept with a run."""
        return {
            "rows": self.rows,
            "columns": [asdict(column) for column in self.columns],
            "schema": [column.document() for column in self.schema],
            "sample": [list(row) for row in self.sample],
        }
