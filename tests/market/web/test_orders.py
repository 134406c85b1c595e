"""Orders on pages: what is asked, who sees it, and that sending twice orders once."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from market.house import House
from market.trading.rules import OrderState
from market.trading.tables import Order
from market.web.orders import steps
from tests.market.web.trade import Market


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def test_an_order_goes_from_form_to_license(market: Market) -> None:
    form = market["buyer"].get("/orders/new", product=market.product.id, plan=market.plan.id)
    assert "内部经营" in form
    assert "对外经营" not in form  # the offer does not cover it
    order = market.paid()
    assert order.state is OrderState.ACTIVE
    assert order.due_fen == 100_050
    page = market["buyer"].get(f"/orders/{order.id}")
    assert f"/licenses/{order.license_id}" in page
    for words in ("提交订单", "订单获批", "买方签约", "登记到账", "复核到账", "许可生效"):
        assert words in page


def test_every_fault_comes_back_with_what_was_written(market: Market) -> None:
    wrong = market.form(purpose="resale", months="99", prepay_fen="0.5", scenario="短", rules_version="")
    page = market["buyer"].post("/orders/new", 422, **wrong).text
    for field in ("purpose", "months", "prepay_fen", "scenario", "rules_version"):
        assert f'id="e-{field}"' in page, field
    assert 'value="0.5"' in page
    page = market["buyer"].post("/orders/new", 422, **market.form(prepay_fen="-1", months="1.5")).text
    assert 'id="e-prepay_fen"' in page
    assert 'id="e-months"' in page
    assert market.count(Order) == 0


def test_sending_the_form_twice_orders_once(market: Market) -> None:
    key = str(uuid4())
    with ThreadPoolExecutor(2) as pool:
        sent = [
            pool.submit(lambda: market["buyer"].post("/orders/new", key=key, **market.form()))
            for _ in range(2)
        ]
        places = {future.result().headers["location"] for future in sent}
    assert len(places) == 1
    assert market.count(Order) == 1
    changed = market["buyer"].post("/orders/new", 422, key=key, **market.form(months="4"))
    fresh = re.search(r'name="key" value="([^"]+)"', changed.text)
    assert fresh is not None
    assert fresh[1] != key
    market["buyer"].post("/orders/new", 303, key=fresh[1], **market.form(months="4"))
    assert market.count(Order) == 2


def test_a_form_without_its_key_orders_nothing(market: Market) -> None:
    data = {"csrf": market["buyer"].csrf} | market.form()
    assert market["buyer"].client.post("/orders/new", data=data).status_code == 400
    assert market.count(Order) == 0


def test_another_organization_finds_nothing(market: Market) -> None:
    order = market.approved()
    rival = market["rival"]
    rival.get(f"/orders/{order.id}", 404)
    rival.get(f"/orders/{order.id}/contract", 404)
    rival.post(f"/orders/{order.id}/acceptance", 404, agree="yes", content_hash="0" * 64)
    rival.post(f"/orders/{order.id}/cancellation", 404, reason="不是我们的订单")
    assert order.number not in rival.get("/orders")
    assert market.order(order.id).state is OrderState.APPROVED
    assert order.number in market["provider"].get("/orders")
    assert order.number in market["auditor"].get("/orders")


def test_only_buyers_order(market: Market) -> None:
    for name in ("provider", "approver", "finance"):
        market[name].get("/orders/new", 403, product=market.product.id, plan=market.plan.id)
        market[name].post("/orders/new", 403, **market.form())
    market["buyer"].get("/orders/new", 409, product=market.product.id, plan="pln_none")
    stranger = market["buyer"].client
    stranger.cookies.clear()
    assert stranger.get("/orders").headers["location"].startswith("/login")


def test_the_contract_is_accepted_only_as_it_was_read(market: Market) -> None:
    order = market.approved()
    path = f"/orders/{order.id}/acceptance"
    contract = market["buyer"].get(f"/orders/{order.id}/contract")
    assert order.scenario in contract
    found = re.search(r'name="content_hash" value="([0-9a-f]{64})"', contract)
    assert found is not None
    assert 'id="e-agree"' in market["buyer"].post(path, 422, content_hash=found[1]).text
    other = market["buyer"].post(path, 409, agree="yes", content_hash="0" * 64).text
    assert "不是当前合同文本" in other
    assert market.order(order.id).state is OrderState.APPROVED
    assert 'lang="en"' in market["buyer"].get(f"/orders/{order.id}/contract", text="en")
    market["buyer"].post(path, agree="yes", content_hash=found[1])
    assert "接受并签署" not in market["buyer"].get(f"/orders/{order.id}/contract")
    shown = market["buyer"].get(f"/orders/{order.id}")
    assert "壹仟元伍角整" in shown
    market["provider"].get(f"/orders/{order.id}")


def test_a_buyer_withdraws_with_a_reason(market: Market) -> None:
    order = market.placed()
    path = f"/orders/{order.id}/cancellation"
    assert 'id="e-reason"' in market["buyer"].post(path, 422, reason="不").text
    market["buyer"].post(path, reason="项目暂缓，不再需要")
    assert market.order(order.id).state is OrderState.CANCELLED
    page = market["buyer"].get(f"/orders/{order.id}")
    assert "项目暂缓" in page
    assert path not in page


def test_the_way_of_an_order_shows_where_it_broke_off(market: Market) -> None:
    order = market.placed()
    assert [place for _state, place in steps(order)] == ["now"] + ["ahead"] * 6
    order.state, order.contract_id = OrderState.EXPIRED, "con_x"
    assert steps(order) == [
        (OrderState.SUBMITTED, "done"),
        (OrderState.APPROVED, "done"),
        (OrderState.EXPIRED, "ended"),
    ]
    order.state, order.due_fen = OrderState.COMPLETED, 0
    assert {place for _state, place in steps(order)} == {"done"}
    assert OrderState.PAID not in dict(steps(order))
