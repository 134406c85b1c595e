import re

import pytest

from contracts.pages import render_html
from contracts.templates import LANGS, content_hash
from storage.kernel.words import Lang
from tests.contracts.samples import conditional_content, content, everything_printed, open_content


def words_of(html: str) -> str:
    plain = re.sub(r"<[^>]+>", " ", html).replace("&#34;", '"').replace("&#39;", "'")
    return re.sub(r"\s+", " ", plain)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("made", [content(), open_content(), conditional_content()])
def test_the_page_prints_every_word_of_the_contract(
    lang: Lang, made: dict[str, dict[str, dict[str, str]]]
) -> None:
    page = words_of(render_html(made, lang))
    for line in everything_printed(made["text"][lang]).splitlines():
        assert re.sub(r"\s+", " ", line) in page
    assert content_hash(made) in page


def test_what_parties_write_is_escaped() -> None:
    page = render_html(content(data_content="<script>alert(1)</script>"), "zh")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
