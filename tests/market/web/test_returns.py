"""Money that goes back, on pages and over the API: suspense and refunds, two people each, once."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from market.approvals.rules import CaseState
from market.approvals.tables import Case
from market.billing.reconcile import differences
from market.billing.rules import RefundState, SuspenseState
from market.billing.tables import Refund, SuspenseItem
from market.house import House
from market.identity.tables import Party
from market.trading.tables import Order
from storage.journal import Entry
from tests.market.web.trade import Market, Person, settled, used

ACCOUNT = "示例银行青岛分行 3700 0001"


@pytest.fixture
def market(house: House) -> Market:
    made = Market(house)
    with house.store.unit("system:test") as unit:
        unit.session.get_one(Party, "pty_buyer").bank_account = ACCOUNT
        unit.record("test.set", "party:pty_buyer")
    return made


def api(who: Person, path: str, body: Any = None, key: str = "") -> Any:
    headers = {"X-CSRF-Token": who.csrf, "Idempotency-Key": key or str(uuid4())}
    return who.client.post(f"/api/v1{path}", json=body if body is not None else {}, headers=headers)


def prepaid(market: Market) -> int:
    return int(market["buyer"].client.get("/api/v1/balance").json()["prepaid_fen"])


def kinds(market: Market, subject: str) -> list[str]:
    with market.house.store.view() as view:
        return list(view.session.exec(select(Entry.kind).where(Entry.subject == subject).order_by(Entry.id)))


def even(market: Market) -> None:
    with market.house.store.view() as view:
        assert differences(view) == []


def test_what_is_left_goes_back_by_two_people(market: Market) -> None:
    order: Order = market.paid()
    path = f"/licenses/{order.license_id}"
    refused = market["buyer"].post(f"{path}/refund", 409).text
    assert "当前状态不允许此操作" in refused  # it can still be used
    settled(market, order)
    left = prepaid(market)
    assert 0 < left < 100_050
    page = market["buyer"].get(path)
    assert "申请退款" in page
    assert "申请退款" not in market["finance"].get(path)
    market["rival"].post(f"{path}/refund", 404)
    market["finance"].post(f"{path}/refund", 403)
    with ThreadPoolExecutor(2) as pool:  # two windows, two keys: still one refund
        sent = [pool.submit(lambda: market["buyer"].post(f"{path}/refund")) for _ in range(2)]
        (where,) = {future.result().headers["location"].split("?")[0] for future in sent}
    assert prepaid(market) == 0
    assert ACCOUNT in market["finance"].get(where)
    assert where in market["finance"].get("/refunds")
    assert where in market["buyer"].get("/refunds")
    market["rival"].get(where, 404)
    market["buyer"].post(f"{where}/sending", 403, bank_reference="OUT20261122001")
    assert 'id="e-bank_reference"' in market["finance"].post(f"{where}/sending", 422, bank_reference="?").text
    market["finance"].post(f"{where}/sending", bank_reference="OUT20261122001")
    market["buyer"].post(f"{where}/withdrawal", 409)
    assert "须由另一名财务人员" in market["finance"].get(where)
    market["finance"].post(f"{where}/settlement", 403, agree="yes")
    assert 'id="e-agree"' in market["finance2"].post(f"{where}/settlement", 422).text
    market["finance2"].post(f"{where}/settlement", agree="yes")
    market["finance2"].post(f"{where}/settlement", 409, agree="yes")
    with market.house.store.view() as view:
        row = view.session.exec(select(Refund)).one()
    assert (row.state, row.amount_fen) == (RefundState.SETTLED, left)
    assert kinds(market, f"refund:{row.id}") == ["refund.asked", "refund.sent", "refund.settled"]
    assert "没有可退余额" in market["buyer"].get(path)
    assert api(market["buyer"], f"{path}/refund").json()["type"] == "/problems/nothing-to-refund"
    assert prepaid(market) == 0
    even(market)


def test_over_the_api_a_refund_can_end_otherwise(market: Market) -> None:
    order = market.paid()
    settled(market, order)
    left = prepaid(market)
    path = f"/licenses/{order.license_id}/refund"
    first = api(market["buyer"], path, key="k1").json()
    assert api(market["buyer"], path, key="k1").json() == first
    assert (first["amount_fen"], first["bank_account"], first["state"]) == (left, ACCOUNT, "asked")
    home = f"/refunds/{first['id']}"
    assert api(market["rival"], f"{home}/withdrawal").status_code == 404
    assert api(market["buyer"], f"{home}/refusal", {"reason": "自己拒绝"}).status_code == 403
    assert api(market["buyer"], f"{home}/withdrawal").json()["state"] == "withdrawn"
    assert prepaid(market) == left
    home = f"/refunds/{api(market['buyer'], path).json()['id']}"
    assert api(market["finance"], f"{home}/sending", {"bank_reference": "OUT1"}).json()["state"] == "sent"
    back = api(market["finance2"], f"{home}/return", {"reason": "对账单上查无此款"}).json()
    assert (back["state"], back["bank_reference"], back["sent_by"]) == ("asked", None, None)
    assert api(market["finance"], f"{home}/refusal", {"reason": "账户名称不符"}).json()["state"] == "refused"
    assert prepaid(market) == left
    seen = market["buyer"].client.get("/api/v1/refunds", params={"limit": 1}).json()
    older = market["buyer"].client.get("/api/v1/refunds", params={"before": seen[0]["id"]}).json()
    assert [row["state"] for row in seen + older] == ["refused", "withdrawn"]
    assert market["rival"].client.get("/api/v1/refunds").json() == []
    even(market)


def test_unbilled_use_and_a_missing_account_are_told(market: Market) -> None:
    order = market.paid()
    with market.house.store.unit("system:test") as unit:
        unit.session.get_one(Party, "pty_buyer").bank_account = ""
        unit.record("test.set", "party:pty_buyer")
    used(market, order)
    refused = market["buyer"].post(f"/licenses/{order.license_id}/refund", 409).text
    assert "尚有未开账单的用量" in refused
    market["finance"].post(f"/licenses/{order.license_id}/settlement")
    refused = market["buyer"].post(f"/licenses/{order.license_id}/refund", 409).text
    assert 'href="/organization/details"' in refused


def test_suspense_is_booked_by_one_and_returned_by_another(market: Market) -> None:
    order = market.signed()
    reference = re.search(r"SG[0-9A-Z]{8}-[0-9A-Z]", market["buyer"].get(f"/payments/{order.payment_id}"))
    assert reference is not None
    market["buyer"].get("/suspense", 403)
    page = market["finance"].post("/suspense", 422, amount_fen="x", bank_reference="IN1").text
    assert 'id="e-amount_fen"' in page
    form = {"amount_fen": "12.34", "bank_reference": "IN20261122", "reference": reference[0]}
    key = str(uuid4())
    places = {market["finance"].post("/suspense", key=key, **form).headers["location"] for _ in range(2)}
    (where,) = {place.split("?")[0] for place in places}
    assert "金额不符" in market["finance"].get(where)
    market["finance"].post("/suspense", 409, **form)  # one transfer is booked once
    market["finance"].post(f"{where}/return", 403, reason="付款人不明", agree="yes")
    assert 'id="e-agree"' in market["finance2"].post(f"{where}/return", 422, reason="付款人不明").text
    market["finance2"].post(f"{where}/return", reason="付款人不明，原路退回", agree="yes")
    assert where in market["auditor"].get("/suspense", state="returned")
    made = api(market["finance"], "/suspense", {"amount_fen": 5, "bank_reference": "IN20261123"})
    assert made.status_code == 201, made.text
    home = f"/suspense/{made.json()['id']}/return"
    assert api(market["finance"], home, {"reason": "本人退回"}).status_code == 403
    assert api(market["finance2"], home, {"reason": "原路退回"}).json()["state"] == "returned"
    with market.house.store.view() as view:
        states = view.session.exec(select(SuspenseItem.state)).all()
    assert set(states) == {SuspenseState.RETURNED}
    even(market)


def test_a_refund_is_a_case_on_the_desk(market: Market) -> None:
    """Refused or withdrawn there, the money is prepaid again; agreed to, it can be sent; each ends the case."""
    order = market.paid()
    settled(market, order)
    path = f"/licenses/{order.license_id}/refund"
    before = prepaid(market)

    def asked() -> tuple[str, str]:
        refund = api(market["buyer"], path).json()["id"]
        with market.house.store.view() as view:
            case = view.session.exec(select(Case).where(Case.subject == f"refund:{refund}")).one()
        return refund, case.id

    def state(refund: str, case: str) -> tuple[RefundState, CaseState]:
        with market.house.store.view() as view:
            return view.session.get_one(Refund, refund).state, view.session.get_one(Case, case).state

    refund, case = asked()
    assert prepaid(market) < before
    assert case in market["finance"].get("/approvals")
    assert ACCOUNT in market["finance"].get(f"/approvals/{case}")
    # Money is not an approver's.
    market["approver"].post(f"/approvals/{case}", 404, verdict="approve", reason="同意退款", version="1")
    market["finance"].post(f"/approvals/{case}", verdict="reject", reason="仍有争议款项未结", version="1")
    assert state(refund, case) == (RefundState.REFUSED, CaseState.REJECTED)
    assert prepaid(market) == before

    refund, case = asked()
    assert "仍有争议" not in market["buyer"].get(f"/requests/{case}")
    market["buyer"].post(f"/requests/{case}/withdrawal", reason="改为抵扣下一订单")
    assert state(refund, case) == (RefundState.WITHDRAWN, CaseState.CANCELLED)
    assert prepaid(market) == before

    refund, case = asked()
    market["finance"].post(f"/approvals/{case}", verdict="approve", reason="余额核对一致", version="1")
    assert state(refund, case) == (RefundState.ASKED, CaseState.APPROVED)
    sent = {"bank_reference": "OUT-20261122-7"}
    assert api(market["finance"], f"/refunds/{refund}/sending", sent).status_code == 200
    assert api(market["finance2"], f"/refunds/{refund}/settlement", {"agree": True}).status_code == 200
    assert state(refund, case) == (RefundState.SETTLED, CaseState.APPROVED)
