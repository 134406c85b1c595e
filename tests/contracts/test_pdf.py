import io
import re

import pytest
from pypdf import PdfReader

from contracts.pdf import render_pdf, render_png
from contracts.templates import content_hash
from storage.unit import SlowInsideUnit, Store
from tests.contracts.samples import content, open_content

ACCEPTED = [{"role": "seller", "by": "usr_1", "at": "2026-03-02T04:00:00+00:00"}]


def words_of(pdf: bytes) -> str:
    return re.sub(r"\s+", "", "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages))


def test_the_printed_contract_holds_both_languages_and_the_hash() -> None:
    made = content()
    words = words_of(render_pdf(made, ACCEPTED))
    for text in (made["text"]["zh"], made["text"]["en"]):
        for section in text["articles"] + text["annexes"]:
            assert re.sub(r"\s+", "", section["number"] + section["heading"]) in words
    assert f"sha256:{content_hash(made)}" in words
    assert "大写：壹万贰仟捌佰元整" in words
    assert "2026-03-0212:00:00UTC+8" in words
    assert words.index("数据提供合同") < words.index("DataProvisionContract")


def test_the_same_contract_gives_the_same_bytes_and_another_one_others() -> None:
    assert render_pdf(content()) == render_pdf(content())
    assert render_pdf(content()) != render_pdf(content(delivery_days=4))


def test_it_is_an_archivable_pdf_with_its_fonts_inside() -> None:
    pdf = render_pdf(open_content())
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in pdf
    assert "公共数据无条件开放许可" in words_of(pdf)


def test_a_preview_shows_one_image_a_page() -> None:
    pages = render_png(open_content(), ppi=30)
    assert len(pages) == len(PdfReader(io.BytesIO(render_pdf(open_content()))).pages)
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_printing_inside_a_unit_is_refused(store: Store) -> None:
    with pytest.raises(SlowInsideUnit), store.unit("system:test"):
        render_pdf(content())
