"""Find out what a file is by its content: format, encoding, delimiter."""

import codecs
import zipfile
from pathlib import Path

from storage.kernel.words import Words
from storage.tabular.kinds import Encoding, Format, Source
from storage.tabular.problems import BrokenParquet, NoColumns, NotTabular, NulBytes, WrongEncoding

_CHUNK = 1 << 20
_DELIMITERS = (",", "\t", ";", "|")
_OTHERS = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"\xd0\xcf\x11\xe0", "XLS / DOC (OLE)"),
    (b"SQLite format 3", "SQLite"),
    (b"\x7fELF", "ELF"),
    (b"BM", "BMP"),
)


def sniff(path: Path, name: str, *, encoding: Encoding | None = None) -> Source:
    """识别格式. What the file at `path` is; `name` (as uploaded) is used in words only.

    encoding: what the owner declares; the whole file must then be written in it.
    Raises NotTabular, NoColumns, NulBytes, WrongEncoding, BrokenParquet.
    """
    with path.open("rb") as file:
        head = file.read(_CHUNK)
    if not head:
        raise NoColumns(Words(f"文件“{name}”是空的。", f"The file “{name}” is empty."), file=name)
    binary = _binary_format(path, name, head)
    if binary:
        return Source(binary, name)
    found = _encoding_of(path, name, encoding)
    start = head.decode(found, errors="ignore").lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return Source(Format.JSON, name, found)
    if start.startswith("{"):
        return Source(Format.NDJSON, name, found)
    if not start:
        raise NoColumns(
            Words(f"文件“{name}”只有空白。", f"The file “{name}” holds only white space."), file=name
        )
    if start[:200].lstrip().lower().startswith(("<!doctype", "<html", "<?xml", "<svg")):
        raise _not_tabular(name, "HTML / XML")
    delimiter = _delimiter_of(start.splitlines()[0])
    return Source(Format.TSV if delimiter == "\t" else Format.CSV, name, found, delimiter)


def _binary_format(path: Path, name: str, head: bytes) -> Format | None:
    if head.startswith(b"PAR1"):
        with path.open("rb") as file:
            file.seek(-4, 2)
            if file.read() != b"PAR1" or path.stat().st_size < 12:
                raise BrokenParquet(
                    Words(f"文件“{name}”缺少 Parquet 结尾。", f"“{name}” lacks its Parquet footer."),
                    file=name,
                )
        return Format.PARQUET
    if head.startswith(b"PK\x03\x04"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "xl/workbook.xml" in archive.namelist():
                    return Format.XLSX
        raise _not_tabular(name, "ZIP")
    for magic, what in _OTHERS:
        if head.startswith(magic) and (what != "BMP" or b"\0" in head[:64]):
            raise _not_tabular(name, what)
    return None


def _not_tabular(name: str, what: str) -> NotTabular:
    return NotTabular(
        Words(f"文件“{name}”是 {what}，不是表格。", f"The file “{name}” is {what}, not a table."),
        file=name,
        found=what,
    )


def _encoding_of(path: Path, name: str, declared: Encoding | None) -> Encoding:
    """Read the whole file once: which encoding fits every byte of it."""
    with path.open("rb") as file:
        mark = file.read(4)
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _wrong(name, Words(f"文件“{name}”是 UTF-16。", f"The file “{name}” is UTF-16."), line=1)
    bom = mark.startswith(codecs.BOM_UTF8)
    if declared is Encoding.GB18030 and not bom:
        fault = _first_fault(path, name, Encoding.GB18030)
        if fault is None:
            return Encoding.GB18030
        raise _not_in(name, Encoding.GB18030, *fault)
    fault = _first_fault(path, name, Encoding.UTF8)
    if fault is None and declared is not Encoding.GB18030:
        return Encoding.UTF8_SIG if bom else Encoding.UTF8
    if declared is not None or bom:
        raise _not_in(name, declared or Encoding.UTF8_SIG, *(fault or (1, 0)))
    if _first_fault(path, name, Encoding.GB18030) is None:
        return Encoding.GB18030
    raise _not_in(name, Encoding.UTF8, *(fault or (1, 0)))


def _first_fault(path: Path, name: str, encoding: Encoding) -> tuple[int, int] | None:
    """Line (from 1) and byte offset of the first byte that is not in `encoding`; None if all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, offset = 1, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            if (at := chunk.find(b"\0")) >= 0:
                line = lines + chunk.count(b"\n", 0, at)
                raise NulBytes(
                    Words(f"文件“{name}”第 {line} 行有空字节。", f"“{name}” has a NUL byte in line {line}."),
                    file=name,
                    line=line,
                )
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = max(error.start - pending, 0)
                return lines + chunk.count(b"\n", 0, at), offset + error.start - pending
            if not chunk:
                return None
            lines += chunk.count(b"\n")
            offset += len(chunk)


def _not_in(name: str, encoding: Encoding, line: int, offset: int) -> WrongEncoding:
    words = Words(
        f"文件“{name}”第 {line} 行（第 {offset + 1} 字节）不是 {encoding} 编码。",
        f"Line {line} of “{name}” (byte {offset + 1}) is not {encoding}.",
    )
    return _wrong(name, words, line=line)


def _wrong(name: str, words: Words, *, line: int) -> WrongEncoding:
    return WrongEncoding(words, file=name, line=line)


def _delimiter_of(header: str) -> str:
    """The separator seen most often in the header, outside quotes; a comma when there is none."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=lambda mark: (outside.count(mark), mark == ","))
