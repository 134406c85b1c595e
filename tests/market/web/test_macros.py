"""The parts of a page, by themselves."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fastapi import Request

from market.app import build_api
from market.http.render import Reader, environment
from market.identity.rules import Verification

Draw = Callable[..., str]


@pytest.fixture
def draw() -> Draw:
    build_api()
    reader = Reader("zh", "Asia/Shanghai")
    scope = {
        "type": "http", "method": "GET", "path": "/orders", "query_string": b"q=%E6%B5%B7&page=2", "headers": [],
        "server": ("a.example", 80), "scheme": "http",
    }  # fmt: skip

    def drawn(source: str, **context: object) -> str:
        head = '{% import "web/_macros.html" as ui with context %}'
        names = {
            "t": reader.t,
            "word": reader.word,
            "when": reader.when,
            "csrf": "x",
            "request": Request(scope),
        }
        return environment().from_string(head + source).render(**(names | context))

    return drawn


def test_a_chart_draws_whole_numbers_and_shows_them(draw: Draw) -> None:
    shown = draw('{{ ui.chart("用量", bars, " 次") }}', bars=[("11-01", 0), ("11-02", 1200), ("11-03", 300)])
    assert shown.count("<rect") == 3
    assert "11-02：1,200 次" in shown
    assert 'height="160"' in shown
    assert 'height="40"' in shown
    assert "style" not in shown
    assert "暂无数据" in draw('{{ ui.chart("用量", []) }}')


def test_page_links_keep_the_question(draw: Draw) -> None:
    shown = draw("{{ ui.pages(2, 3) }}")
    assert 'href="/orders?q=%E6%B5%B7&amp;page=1"' in shown
    assert 'href="/orders?q=%E6%B5%B7&amp;page=3"' in shown
    assert draw("{{ ui.pages(1, 1) }}").strip() == ""


def test_a_state_says_its_word(draw: Draw) -> None:
    assert (
        draw("{{ ui.state(value) }}", value=Verification.PENDING).strip()
        == '<span class="state wait">待核验</span>'
    )


def test_a_timeline_tells_past_from_future(draw: Draw) -> None:
    steps = [(datetime(2026, 1, 1, tzinfo=UTC), "提交", "<b>"), (None, "付款", "")]
    shown = draw("{{ ui.timeline(steps) }}", steps=steps)
    assert (
        shown.index("past")
        < shown.index("2026-01-01 08:00")
        < shown.index("&lt;b&gt;")
        < shown.index("ahead")
    )
