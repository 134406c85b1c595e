"""Figures for this machine only."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from market.app import Front
from market.house import House

Caller = Callable[[str], TestClient]


@pytest.fixture
def caller(house: House) -> Caller:
    front = Front(house, background=False)
    return lambda address: TestClient(front, base_url="http://127.0.0.1:8000", client=(address, 5000))


def test_figures_count_answers_by_plane_and_status(caller: Caller) -> None:
    client = caller("127.0.0.1")
    for path in ("/healthz", "/healthz", "/api/v1/session/nothing", "/data/v1/x/rows"):
        client.get(path)
    shown = client.get("/metrics")
    assert shown.status_code == 200
    lines = shown.text.splitlines()
    assert 'shugang_answers_total{plane="market",status="200"} 2.0' in lines
    assert any(line.startswith('shugang_answers_total{plane="data"') for line in lines)
    assert 'shugang_journal_lag{reader="unsealed"} 0.0' in lines
    assert "shugang_till_waiting 0.0" in lines
    assert "shugang_schema_current 1.0" in lines


def test_nobody_else_sees_them(caller: Caller) -> None:
    assert caller("203.0.113.7").get("/metrics").status_code == 404
    assert caller("::1").get("/metrics").status_code == 200
    for header in ("X-Forwarded-For", "Forwarded"):
        proxied = caller("127.0.0.1").get("/metrics", headers={header: "203.0.113.7"})
        assert proxied.status_code == 404
