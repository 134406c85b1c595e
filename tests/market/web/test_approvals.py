"""The approval desk: everything to decide on, one say per person, never on one's own matter."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from contracts.tables import License
from market.approvals.tables import Case, Decision
from market.house import House
from market.identity.rules import Actor, OrgKind, Role, Verification
from market.identity.tables import Party
from market.trading.rules import OrderState
from storage.kernel import clock
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
    for name in ("buyer", "provider", "auditor"):
        market[name].get("/approvals", 403)
        market[name].get(f"/approvals/{order.case_id}", 200 if name == "auditor" else 403)
        market[name].post(f"/approvals/{order.case_id}", 403, verdict="approve", reason="我来同意")
    # Finance people have refunds on the desk, and know of nothing else there.
    assert str(order.case_id) not in market["finance"].get("/approvals")
    market["finance"].get(f"/approvals/{order.case_id}", 404)
    market["finance"].post(f"/approvals/{order.case_id}", 404, verdict="approve", reason="我来同意")
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
    assert "不同角色" in market.rule("approver2", order, 409).text
    market.rule("compliance", order)
    assert market.order(order.id).state is OrderState.APPROVED


def test_a_double_click_decides_once(market: Market) -> None:
    order = market.placed()
    key = str(uuid4())
    form: dict[str, Any] = {"verdict": "approve", "reason": "用途明确，同意", "version": "1"}
    before = market.count(Decision)
    for _ in range(2):
        market["approver"].post(f"/approvals/{order.case_id}", key=key, **form)
    assert market.count(Decision) == before + 1


def case_of(market: Market, order_id: str) -> Case:
    with market.house.store.view() as view:
        return view.session.get_one(Case, market.order(order_id).case_id)


def test_a_returned_order_is_corrected_and_comes_back_as_the_same_case(market: Market) -> None:
    order = market.placed()
    market.rule("approver", order, verdict="return", reason="请写明使用部门")
    assert market.order(order.id).state is OrderState.RETURNED
    page = market["buyer"].get(f"/orders/{order.id}")
    assert "请写明使用部门" in page
    assert f"/orders/{order.id}/correction" in page
    page = market["buyer"].get(f"/requests/{order.case_id}")
    assert "请写明使用部门" in page
    assert "退回补正" in page
    form = market["buyer"].get(f"/orders/{order.id}/correction")
    assert order.scenario in form
    path = f"/orders/{order.id}/correction"
    changed = market.form(scenario="运营部用于本单位停车场周转率分析", months="2")
    bad = market["buyer"].post(path, 422, **(changed | {"scenario": "短", "note": ""}))
    assert 'id="e-scenario"' in bad.text
    market["rival"].get(path, 404)
    market["buyer"].post(path, **(changed | {"note": "已写明使用部门"}))
    again = market.order(order.id)
    assert (again.case_id, again.state, again.months) == (order.case_id, OrderState.SUBMITTED, 2)
    page = market["approver"].get(f"/approvals/{order.case_id}")
    for words in ("请写明使用部门", "已写明使用部门", "第 1 次送审", "运营部用于"):
        assert words in page, words
    market.rule("approver", order)
    market.rule("compliance", order)
    assert market.order(order.id).state is OrderState.APPROVED


def test_what_changed_since_it_was_sent_is_shown_and_stops_a_stale_decision(market: Market) -> None:
    order = market.placed()
    page = market["approver"].get(f"/approvals/{order.case_id}")
    assert "送审后发生的变化" not in page
    facts = re.search(r'name="facts" value="([0-9a-f]{64})"', page)
    assert facts
    with market.house.store.unit("system:test") as unit:
        buyer = unit.session.get_one(Party, order.buyer_id)
        buyer.verification = Verification.REJECTED
        unit.session.add(buyer)
        unit.record("party.rejected", f"party:{buyer.id}")
    page = market["approver"].get(f"/approvals/{order.case_id}")
    assert "送审后发生的变化" in page
    assert re.search(r"买方已核验</td><td[^>]*>是</td><td[^>]*><strong>否", page)
    stale = market.rule("approver", order, 409, facts=facts[1])
    assert "发生了变化" in stale.text
    assert "买方已核验" in stale.text
    market.rule("approver", order, verdict="reject", reason="买方身份核验未通过")


def test_low_risk_is_decided_in_bulk_and_the_rest_is_left(market: Market) -> None:
    cases = [submit(market.house.store, ready_product(market.house.store, slug)) for slug in ("one", "two")]
    order = market.placed()
    page = market["approver"].get("/approvals", sort="risk")
    assert page.index(f"/approvals/{order.case_id}") < page.index(f"/approvals/{cases[0]}"), "riskier first"
    assert f'value="{cases[0]}:1"' in page
    assert f'value="{order.case_id}:1"' not in page
    form = {"csrf": market["approver"].csrf, "verdict": "approve", "reason": "低风险，批量同意"}
    picked = [f"{case}:1" for case in (*cases, order.case_id)]
    client = market["approver"].client
    answer = client.post("/approvals", data=form | {"key": str(uuid4()), "case": picked})
    assert answer.headers["location"] == "/approvals?done=ruled_some"
    with market.house.store.view() as view:
        states = [view.session.get_one(Case, case).state.value for case in (*cases, order.case_id)]
    assert states == ["approved", "approved", "waiting"]
    again = client.post("/approvals", data=form | {"key": str(uuid4()), "case": picked[2:]})
    assert again.status_code == 422
    for bad in ({"reason": "好"}, {"verdict": "maybe"}, {"case": ["cas_x"]}):
        sent = form | {"key": str(uuid4()), "case": picked[2:]} | bad
        assert client.post("/approvals", data=sent).status_code == 422, bad


def test_a_case_is_taken_handed_over_and_spoken_about(market: Market) -> None:
    order = market.placed()
    path = f"/approvals/{order.case_id}"
    market["approver"].post(f"{path}/taking")
    assert "须先领办" in market["approver2"].get(path)
    assert "他人承办" in market["approver2"].post(path, 409, verdict="approve", reason="我来同意").text
    market["approver"].post(f"{path}/handover", 422, to="usr_nobody", why="请代为办理")
    market["approver"].post(f"{path}/handover", to="usr_approver2", why="请代为办理")
    assert case_of(market, order.id).assigned_to == "usr_approver2"
    assert str(order.case_id) in market["approver2"].get("/approvals", mine="yes")
    market["approver2"].post(f"{path}/comments", text="请说明数据更新频率")
    assert "请说明数据更新频率" in market["buyer"].get(f"/requests/{order.case_id}")
    market["buyer"].post(f"/requests/{order.case_id}/comments", text="每日更新一次即可")
    assert "每日更新一次即可" in market["approver2"].get(path)
    market["buyer"].post(f"/requests/{order.case_id}/withdrawal", reason="项目取消不再需要")
    assert market.order(order.id).state is OrderState.CANCELLED


def test_a_deputy_is_named_on_the_page_and_shown_on_the_decision(market: Market) -> None:
    order = market.placed()
    market["approver"].post(f"/approvals/{order.case_id}/taking")
    day = clock.now().date()
    form = {"deputy": "usr_approver2", "from": str(day), "until": str(day + timedelta(days=3))}
    for wrong in ({"from": "soon"}, {"until": str(day - timedelta(days=9))}, {"deputy": "usr_finance"}):
        market["approver"].post("/desk/away", 422, reason="出差开会", **(form | wrong))
    market["approver"].post("/desk/away", reason="出差开会", **form)
    assert "您正在代办" in market["approver2"].get("/approvals")
    market.rule("approver2", order)
    assert "代 usr_approver" in market["approver"].get(f"/approvals/{order.case_id}")


def test_a_rule_switched_on_approves_what_is_open_free_and_unchanged(market: Market) -> None:
    admin = Actor(
        "usr_admin",
        "pty_operator",
        frozenset({Role.PLATFORM_ADMIN}),
        OrgKind.MARKET_OPERATOR,
        party_verified=True,
    )
    person = market.arrived(admin)
    assert "listing.open-data" in market["auditor"].get("/desk/rules")
    market["approver"].post("/desk/rules/listing.open-data", 403, on="yes", reason="加快开放数据上架")
    person.post("/desk/rules/listing.open-data", 422, on="yes", reason="好")
    person.post("/desk/rules/listing.open-data", on="yes", reason="加快开放数据上架")
    free = ready_product(market.house.store, "open-one")
    case = submit(market.house.store, free)
    order = market.placed()
    market.house.pulse.beat()
    with market.house.store.view() as view:
        found = view.session.get_one(Case, case)
        said = view.session.exec(select(Decision).where(Decision.case_id == case)).all()
    assert (found.facts["open_attr"], found.state.value) == ("U", "approved")
    assert [each.by for each in said] == ["system:rule:listing.open-data"]
    assert case_of(market, order.id).state.value == "waiting", "an order is not its matter"


def test_a_provider_asks_to_revoke_and_compliance_decides(market: Market) -> None:
    order = market.paid()
    path = f"/api/v1/licenses/{order.license_id}/revocation-request"
    provider = market["provider"]
    headers = {"X-CSRF-Token": provider.csrf, "Idempotency-Key": "k1", "Accept": "application/json"}
    assert market["buyer"].client.post(path, json={"reason": "对方违约使用"}).status_code == 403
    answer = provider.client.post(path, json={"reason": "买方超出约定用途"}, headers=headers)
    assert answer.status_code == 201, answer.text
    case = answer.json()["id"]
    market["approver"].get(f"/approvals/{case}", 404)
    page = market["compliance"].get(f"/approvals/{case}")
    assert "买方超出约定用途" in page
    market["compliance"].post(f"/approvals/{case}", verdict="return", reason="请附证据说明", version="1")
    provider.post(f"/requests/{case}/correction", note="附调用记录说明")
    market["compliance"].post(f"/approvals/{case}", verdict="approve", reason="证据充分同意撤销", version="3")
    with market.house.store.view() as view:
        assert view.session.get_one(License, order.license_id).state.value == "revoked"
    story = market["auditor"].get(f"/journal/order:{order.id}")
    for words in ("提交订单", "审批同意", "付款确认", "许可生效", "撤销许可", "证据充分同意撤销", "approver"):
        assert words in story or words == "付款确认", words
