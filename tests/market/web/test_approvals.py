"""The approval desk: everything to decide on, one say per person, never on one's own matter."""

from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from market.approvals.tables import Case, Decision
from market.house import House
from market.trading.rules import OrderState
from tests.market.products import ready_product, submit
from tests.market.web.trade import Market


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def test_the_queue_leads_to_everything_needed(market: Market) -> None:
    order = market.placed()
    page = market["approver"].get("/approvals")
    assert f"/approvals/{order.case_id}" in page
    assert f"/approvals/{order.case_id}" not in market["approver"].get("/approvals", kind="listing")
    page = market["approver"].get(f"/approvals/{order.case_id}")
    for words in (order.scenario, "¥1,000.50", "机构 pty_buyer", "已核验", "机构 pty_company"):
        assert words in page, words


def test_a_listing_shows_asset_prices_and_rules(market: Market) -> None:
    product = ready_product(market.house.store, "sea-tides")
    case = submit(market.house.store, product)
    page = market["approver"].get(f"/approvals/{case}")
    for words in ("登记编号", "分级依据", "要约哈希", "未发现不符"):
        assert words in page, words
    market["approver"].post(
        f"/approvals/{case}", verdict="reject", reason="简介过于简略，请补充", version="1"
    )
    with market.house.store.view() as view:
        assert view.session.get_one(Case, case).state.value == "rejected"


def test_a_decision_needs_a_verdict_and_a_reason(market: Market) -> None:
    order = market.placed()
    page = market.rule("approver", order, 422, verdict="", reason="好").text
    assert 'id="e-verdict"' in page
    assert 'id="e-reason"' in page
    assert market.order(order.id).state is OrderState.SUBMITTED


def test_others_do_not_decide(market: Market) -> None:
    order = market.placed()
    for name in ("buyer", "provider", "finance", "auditor"):
        market[name].get("/approvals", 403)
        market[name].get(f"/approvals/{order.case_id}", 403)
        market[name].post(f"/approvals/{order.case_id}", 403, verdict="approve", reason="我来同意")
    market["approver"].get("/approvals/cas_none", 404)


def test_nobody_decides_on_their_own_organizations_matter(market: Market) -> None:
    order = market.placed()
    with market.house.store.unit("system:test") as unit:
        case = unit.session.exec(select(Case).where(Case.id == order.case_id)).one()
        case.submitted_org = "pty_operator"
        unit.session.add(case)
        unit.record("case.moved", f"case:{case.id}")
    page = market["approver"].get(f"/approvals/{order.case_id}")
    assert "职责分离" in page
    assert 'name="verdict"' not in page
    refused = market["approver"].post(
        f"/approvals/{order.case_id}", 403, verdict="approve", reason="自己同意自己", version="1"
    )
    assert "不得审批" in refused.text
    assert str(order.case_id) not in market["approver"].get("/approvals")


def test_of_two_at_once_the_later_reads_what_the_first_said(market: Market) -> None:
    order = market.placed()
    form: dict[str, Any] = {"verdict": "reject", "reason": "用途与产品不符", "version": "1"}
    market["approver"].post(f"/approvals/{order.case_id}", **form)
    late = market["approver2"].post(
        f"/approvals/{order.case_id}", 409, verdict="approve", reason="同意该用途", version="1"
    )
    assert "已有审批结论" in late.text
    assert "用途与产品不符" in late.text
    assert market.order(order.id).state is OrderState.REJECTED


def test_two_people_are_needed_and_one_speaks_once(market: Market) -> None:
    order = market.placed()
    with market.house.store.unit("system:test") as unit:
        case = unit.session.exec(select(Case).where(Case.id == order.case_id)).one()
        case.needs = 2
        unit.session.add(case)
        unit.record("case.moved", f"case:{case.id}")
    market.rule("approver", order)
    assert market.order(order.id).state is OrderState.SUBMITTED
    assert "另一位审批人员" in market["approver"].get(f"/approvals/{order.case_id}")
    again = {"verdict": "approve", "reason": "再同意一次", "version": "2"}
    assert "另一位" in market["approver"].post(f"/approvals/{order.case_id}", 409, **again).text
    stale = market.rule("approver2", order, 409, version="1")
    assert "他人刚刚处理" in stale.text
    assert 'name="version" value="2"' in stale.text
    market.rule("approver2", order)
    assert market.order(order.id).state is OrderState.APPROVED


def test_a_double_click_decides_once(market: Market) -> None:
    order = market.placed()
    key = str(uuid4())
    form: dict[str, Any] = {"verdict": "approve", "reason": "用途明确，同意", "version": "1"}
    before = market.count(Decision)
    for _ in range(2):
        market["approver"].post(f"/approvals/{order.case_id}", key=key, **form)
    assert market.count(Decision) == before + 1
