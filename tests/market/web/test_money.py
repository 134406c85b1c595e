"""Money on pages: two finance people, exact amounts, invoices as issued, months closed once."""

import re
from typing import Any
from uuid import uuid4

import pytest

from contracts.detached import public_keys
from contracts.keyring import trusted_keys
from market.billing.rules import PaymentState
from market.billing.signatures import verify
from market.billing.tables import PaymentRequest
from market.house import House
from market.trading.tables import Order
from tests.market.web.trade import Market, settled


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


@pytest.fixture
def order(market: Market) -> Order:
    return market.signed()


def payment(market: Market, order: Order) -> PaymentRequest:
    with market.house.store.view() as view:
        return view.session.get_one(PaymentRequest, order.payment_id)


RECEIPT: dict[str, Any] = {"amount_fen": "1,000.50", "bank_reference": "BANK20261122001"}


def test_the_payer_sees_how_to_pay(market: Market, order: Order) -> None:
    page = market["buyer"].get(f"/payments/{order.payment_id}")
    for words in ("壹仟元伍角整", "示例银行", payment(market, order).reference):
        assert words in page
    assert "Stripe" not in page
    assert "登记到账" not in page
    assert f"/payments/{order.payment_id}" in market["buyer"].get("/payments")
    assert f"/payments/{order.payment_id}" in market["finance"].get("/payments")
    market["rival"].get(f"/payments/{order.payment_id}", 404)
    market["approver"].get("/payments", 403)
    market["buyer"].post(f"/payments/{order.payment_id}/checkout", 503)


def test_one_person_does_not_report_and_confirm(market: Market, order: Order) -> None:
    path = f"/payments/{order.payment_id}"
    market["buyer"].post(f"{path}/receipt", 403, **RECEIPT)
    market["finance"].post(f"{path}/receipt", **RECEIPT)
    assert "须由另一名财务人员" in market["finance"].get(path)
    refused = market["finance"].post(f"{path}/confirmation", 403, agree="yes").text
    assert "须由另一名财务人员办理" in refused
    assert payment(market, order).state is PaymentState.RECEIVED
    assert 'id="e-agree"' in market["finance2"].post(f"{path}/confirmation", 422).text
    key = str(uuid4())
    for _ in range(2):
        market["finance2"].post(f"{path}/confirmation", key=key, agree="yes")
    assert payment(market, order).state is PaymentState.CONFIRMED
    market["finance2"].post(f"{path}/confirmation", 409, agree="yes")
    assert "¥1,000.50" in market["buyer"].get("/payments")


def test_another_amount_is_not_booked(market: Market, order: Order) -> None:
    path = f"/payments/{order.payment_id}/receipt"
    page = market["finance"].post(path, 409, **(RECEIPT | {"amount_fen": "1000.49"})).text
    assert "不一致" in page
    assert 'value="1000.49"' in page
    for amount in ("", "0", "abc", "1.001", "-5"):
        assert (
            'id="e-amount_fen"'
            in market["finance"].post(path, 422, **(RECEIPT | {"amount_fen": amount})).text
        )
    assert payment(market, order).state is PaymentState.AWAITING


def test_a_wrong_report_is_sent_back(market: Market, order: Order) -> None:
    path = f"/payments/{order.payment_id}"
    market["finance"].post(f"{path}/receipt", **RECEIPT)
    assert 'id="e-reason"' in market["finance2"].post(f"{path}/return", 422, reason="无").text
    market["finance2"].post(f"{path}/return", reason="银行流水中查无此款")
    assert payment(market, order).state is PaymentState.AWAITING
    assert "查无此款" in market["buyer"].get(path)


def test_an_invoice_is_shown_as_issued(market: Market) -> None:
    order = market.paid()
    invoice = settled(market, order)
    page = market["buyer"].get(f"/invoices/{invoice}")
    for words in ("陆元整", "¥6.00", "调用次数", "sha256:", "先写入数据库本机磁盘，再作答"):
        assert words in page, words
    assert "生成付款单" not in page  # drawn from the prepaid money
    found = re.search(r"sha256:([0-9a-f]{64})", page)
    assert found
    file = f"/api/v1/invoices/{invoice}/file"
    assert file not in page
    assert market["buyer"].client.get(file).status_code == 404
    market.house.pulse.beat()
    assert file in market["buyer"].get(f"/invoices/{invoice}")
    signed = market["buyer"].client.get(file)
    assert "attachment" in signed.headers["content-disposition"]
    with market.house.store.view() as view:
        verdict = verify(signed.content, public_keys(trusted_keys(view)))
    assert (verdict.genuine, verdict.content_hash, verdict.gross_fen) == (True, found[1], 600)
    assert market["rival"].client.get(file).status_code == 404
    assert f"/invoices/{invoice}" in market["provider"].get("/invoices")
    assert f"/invoices/{invoice}" not in market["rival"].get("/invoices")
    market["rival"].get(f"/invoices/{invoice}", 404)
    market["rival"].post(f"/invoices/{invoice}/payment", 404)
    market["buyer"].post(f"/invoices/{invoice}/payment", 409)
    assert "¥994.50" in market["buyer"].get("/invoices")


def test_a_month_is_closed_by_finance_when_it_is_over(market: Market) -> None:
    market["buyer"].get("/periods", 403)
    page = market["finance"].get("/periods")
    found = re.search(r'name="period" type="text" value="(\d{4}-\d{2})"', page)
    assert found
    assert 'id="e-period"' in market["finance"].post("/periods", 422, period="soon").text
    market["finance"].post("/periods", 409, period="2999-01")
    market["finance"].post("/periods", period=found[1])
    assert "已结账" in market["finance"].get("/periods")
    assert "结账" in market["auditor"].get("/periods")
    market["auditor"].post("/periods", 403, period=found[1])
