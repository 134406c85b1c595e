"""Real files, good and bad: what is recognized, how it is typed, and how each refusal explains itself."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from storage.tabular import problems as p
from storage.tabular.exports import to_parquet
from storage.tabular.intake import take_in
from storage.tabular.kinds import Column, Encoding, Format, Kind, Limits, Profile
from storage.tabular.profile import inspect
from storage.tabular.sniffing import sniff

Read = Callable[..., Profile]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(
        content: bytes, name: str = "表.csv", *, limits: Limits | None = None, **declared: Encoding
    ) -> Profile:
        path = tmp_path / "input"
        path.write_bytes(content)
        return inspect(path, sniff(path, name, **declared), limits or Limits())

    return read


def kinds(profile: Profile) -> dict[str, Kind]:
    return {column.name: column.kind for column in profile.columns}


def test_types_are_given_only_where_nothing_is_lost(read: Read) -> None:
    found = read(
        b"code,n,price,sci,flag,day,at,moment,country,big,mixed\n"
        b"007,1,1.5,1e3,true,2026-01-31,2026-01-31 08:00,2026-01-31T08:00:00Z,NA,12345678901234567890,1\n"
        b"123,-20,2.25,2.5,False,2024-02-29,2026-01-31T08:00:01.5,2026-01-31T08:00:00+08:00,CN,1,x\n"
        b",,,,,,,,,,\n"
    )
    assert kinds(found) == {
        "code": Kind.TEXT,
        "n": Kind.INTEGER,
        "price": Kind.DECIMAL,
        "sci": Kind.DOUBLE,
        "flag": Kind.BOOLEAN,
        "day": Kind.DATE,
        "at": Kind.TIMESTAMP,
        "moment": Kind.INSTANT,
        "country": Kind.TEXT,
        "big": Kind.TEXT,
        "mixed": Kind.TEXT,
    }
    assert found.rows == 3
    assert {column.nulls for column in found.columns} == {1}
    moments = found.columns[7]
    assert (moments.least, moments.greatest) == ("2026-01-31T00:00:00Z", "2026-01-31T08:00:00Z")
    assert found.schema[2] == Column("price", Kind.DECIMAL, 18, 2)
    assert found.sample[0][:3] == ("007", "1", "1.50")


def test_a_late_surprise_widens_the_column(read: Read) -> None:
    early = "".join(f"{i},{i}.5\n" for i in range(25_000))
    found = read(f"a,b\n{early}007,1.125\n".encode())
    assert kinds(found) == {"a": Kind.TEXT, "b": Kind.DECIMAL}
    assert found.schema[1].scale == 3
    assert found.columns[1].greatest == "24999.500"


@given(
    st.lists(
        st.sampled_from(["0", "7", "-3", "007", "1.5", "1e3", "-0", " 1", "", "x", "+1", "1_0"]), min_size=1
    )
)
def test_what_becomes_an_integer_is_written_back_unchanged(tmp_path: Path, values: list[str]) -> None:
    path = tmp_path / "input"
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(values))
    path.write_text(f"id,v\n{rows}", encoding="utf-8")
    found = inspect(path, sniff(path, "x.csv"), Limits())
    if found.columns[1].kind is Kind.INTEGER:
        assert [row[1] for row in found.sample] == [value or None for value in values][:20]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_encoding_reads_the_same(read: Read, encoding: Encoding) -> None:
    found = read("城市,区号\n青岛,0532\n".encode(encoding))
    assert found.sample == (("青岛", "0532"),)


def test_the_same_table_from_every_format(tmp_path: Path) -> None:
    rows = [{"名称": "港口", "数量": 5, "说明": None}, {"名称": "仓库,一号", "数量": -2, "说明": "x\ny"}]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    book = Workbook()
    for row in [list(rows[0]), *(list(row.values()) for row in rows)]:
        book.active.append(row)
    workbook = io.BytesIO()
    book.save(workbook)
    plain = tmp_path / "plain"
    plain.write_text(text.getvalue(), encoding="utf-8", newline="")
    work = tmp_path / "work"
    work.mkdir()
    take_in(plain, sniff(plain, "a.csv"), work / "t.parquet", work, Limits())
    to_parquet(work / "t.parquet", work / "a.parquet", work, Limits())
    forms = {
        Format.CSV: text.getvalue().encode(),
        Format.TSV: text.getvalue().replace("仓库,一号", "仓库，一号").replace(",", "\t").encode(),
        Format.JSON: json.dumps(rows).encode(),
        Format.NDJSON: "\n".join(json.dumps(row) for row in rows).encode(),
        Format.XLSX: workbook.getvalue(),
        Format.PARQUET: (work / "a.parquet").read_bytes(),
    }
    for form, content in forms.items():
        path = tmp_path / "no-extension"
        path.write_bytes(content)
        source = sniff(path, "x")
        assert source.format is form
        found = inspect(path, source, Limits())
        assert kinds(found) == {"名称": Kind.TEXT, "数量": Kind.INTEGER, "说明": Kind.TEXT}, form
        assert [row[1] for row in found.sample] == ["5", "-2"], form


def workbook_bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 30_000_000)
    return content.getvalue()


BAD: dict[str, tuple[bytes, type[p.UnreadableFile], dict[str, object]]] = {
    "ragged": (b"a,b\n1,2\n3,4,5\n", p.RaggedRow, {"line": 3}),
    "short row": (b"a,b\n1,2\n3\n", p.RaggedRow, {"line": 3}),
    "ragged after a quoted line break": (b'a,b\n"x\ny",2\n3,4,5\n', p.RaggedRow, {"line": 4}),
    "open quote": (b'a,b\n1,"2\n3,4\n', p.RaggedRow, {"line": 2}),
    "duplicate": (b"a,b,A\n1,2,3\n", p.DuplicateColumn, {"column": 3}),
    "empty name": (b"a,,c\n1,2,3\n", p.BadColumnName, {"column": 2}),
    "reserved name": (b"a,_row\n1,2\n", p.BadColumnName, {"column": 2}),
    "no rows": (b"a,b\n", p.NoRows, {}),
    "no columns": (b"", p.NoColumns, {}),
    "blank": (b"\n \n", p.NoColumns, {}),
    "too many columns": (
        b",".join(b"c%d" % i for i in range(600)) + b"\n1\n",
        p.TooManyColumns,
        {"columns": 600},
    ),
    "not utf-8": ("a,b\n1,é\n".encode("latin-1"), p.WrongEncoding, {"line": 2}),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), p.WrongEncoding, {}),
    "nul": (b"a,b\n1,2\n3,\x00\n", p.NulBytes, {"line": 3}),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", p.NotTabular, {"found": "PDF"}),
    "png": (b"\x89PNG\r\n\x1a\n\0\0", p.NotTabular, {"found": "PNG"}),
    "page": (b"<!DOCTYPE html><p>x", p.NotTabular, {}),
    "bomb": (workbook_bomb(), p.OversizedWorkbook, {}),
    "zip": (b"PK\x03\x04rest", p.NotTabular, {}),
    "json scalars": (b"[1, 2]", p.BadJson, {"record": 1}),
    "json cut": (b'[{"a": 1}, {"a"', p.BadJson, {"record": 2}),
    "json tail": (b'[{"a": 1}] x', p.BadJson, {}),
    "ndjson": (b'{"a": 1}\n{"a": }\n', p.BadJson, {"line": 2}),
    "half character": (b'{"a": "\\ud800"}\n', p.BadJson, {}),
    "truncated parquet": (b"PAR1" + b"\0" * 100, p.BrokenParquet, {}),
    "damaged parquet": (b"PAR1" + b"\1" * 100 + b"PAR1", p.BrokenParquet, {}),
}


@pytest.mark.parametrize("case", BAD)
def test_every_bad_file_is_refused_with_its_name_place_and_way_out(read: Read, case: str) -> None:
    content, kind, members = BAD[case]
    with pytest.raises(kind) as caught:
        read(content, "进口.csv")
    problem = caught.value
    assert type(problem) is kind
    assert problem.members["file"] == "进口.csv"
    assert members.items() <= problem.members.items()
    assert problem.detail is not None
    assert "进口.csv" in problem.detail.zh
    assert "进口.csv" in problem.detail.en
    assert problem.status in {413, 422}


def test_a_wrong_declared_encoding_is_refused(read: Read) -> None:
    with pytest.raises(p.WrongEncoding) as caught:
        read("城市\n青岛\n".encode("gb18030"), encoding=Encoding.UTF8)
    assert caught.value.members["line"] == 1
    with pytest.raises(p.WrongEncoding):
        read(b"a\n\xff\xff\n", encoding=Encoding.GB18030)


def test_a_record_beyond_the_limit_is_refused(read: Read) -> None:
    with pytest.raises(p.LongRecord) as caught:
        read(b"a,b\n1,2\n1," + b"x" * 70_000 + b"\n", limits=Limits(line_bytes=65_536))
    assert caught.value.members["line"] == 3


def test_too_little_memory_is_a_refusal_and_not_a_crash(read: Read) -> None:
    content = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * 7) for i in range(400_000))
    with pytest.raises(p.OutOfRoom):
        read(content, limits=Limits(memory_bytes=3 * 2**20, spill_bytes=0))
