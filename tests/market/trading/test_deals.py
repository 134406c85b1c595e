"""Deals that could go wrong between payment and license, and bills that must follow the till."""

from datetime import timedelta

import pytest
from sqlmodel import select

from contracts.tables import License
from market import chores
from market.house import House
from market.identity.rules import Actor, Role
from market.trading import actions
from market.trading.closing import usage_of
from market.trading.problems import OfferChanged
from market.trading.rules import OrderState
from market.trading.tables import Order
from metering.tables import UsageHour
from metering.words import Kind
from storage.journal import Cursor
from storage.kernel import clock
from storage.kernel.problem import WrongState
from tests.market.web.trade import CAST, Market


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def paid_but_not_activated(market: Market) -> Order:
    """An order whose money was confirmed while nobody took the entry that follows."""
    order = market.signed()
    path = f"/payments/{order.payment_id}"
    market["finance"].post(f"{path}/receipt", amount_fen="1000.50", bank_reference="BANK20261122001")
    market["finance2"].post(f"{path}/confirmation", agree="yes")
    with market.house.store.view() as view:
        assert view.session.get(Cursor, "activate-paid-orders") is None
    return market.order(order.id)


def test_a_paid_order_cannot_be_taken_away(market: Market) -> None:
    order = paid_but_not_activated(market)
    buyer = CAST["buyer"]
    with pytest.raises(WrongState), market.house.store.unit(buyer.id, buyer.org) as unit:
        actions.cancel_order(unit, buyer, order.id, reason="想取消")
    later = clock.held(clock.now() + timedelta(days=60))
    with later, pytest.raises(WrongState), market.house.store.unit("system:clock") as unit:
        actions.expire_order(unit, order.id)
    assert market.order(order.id).state is OrderState.AWAITING_PAYMENT


def test_a_lost_activation_is_found_by_the_clock(market: Market) -> None:
    order = paid_but_not_activated(market)
    chores.each_minute(market.house)
    assert market.order(order.id).state is OrderState.ACTIVE
    market.house.pulse.beat()  # the reaction comes after all: twice is once
    with market.house.store.view() as view:
        assert len(view.session.exec(select(License)).all()) == 1


def test_nobody_signs_for_what_was_delisted(market: Market) -> None:
    from market.catalogue import listing

    order = market.approved()
    provider = CAST["provider"]
    with market.house.store.unit(provider.id, provider.org) as unit:
        listing.delist(unit, provider, market.product.id, reason="产品停止供应")
    buyer, key = CAST["buyer"], market.house.document_key()
    with pytest.raises(OfferChanged), market.house.store.unit(buyer.id, buyer.org) as unit:
        actions.accept_contract(
            unit,
            buyer,
            order.id,
            content_hash="0" * 64,
            key=key,
            zone="Asia/Shanghai",
        )


def test_a_member_of_the_buyer_decides_nothing_from_another_chair(market: Market) -> None:
    order = market.placed()
    approver, buyer = CAST["approver"], CAST["buyer"]
    both = Actor(
        approver.id, approver.org, frozenset({Role.APPROVER}), approver.org_kind, second_factor=True,
        orgs=frozenset({approver.own_org, buyer.own_org}),
    )  # fmt: skip
    from market.identity.problems import OwnDecision

    assert order.case_id is not None
    with pytest.raises(OwnDecision), market.house.store.unit(both.id, both.org) as unit:
        actions.decide_order(
            unit,
            both,
            order.case_id,
            approve=True,
            reason="自己人同意",
            expected_version=None,
            zone="Asia/Shanghai",
        )


def test_a_download_without_a_price_of_its_own_is_billed_as_the_till_counted_it(market: Market) -> None:
    order = market.paid()
    now = clock.now()
    settings = market.house.settings.billing
    period = clock.period_of(now, settings.timezone)
    with market.house.store.unit("system:test") as unit:
        for kind, calls in ((Kind.ROWS, 3), (Kind.DOWNLOAD, 1)):
            unit.session.add(
                UsageHour(
                    license_id=str(order.license_id), hour=clock.hour_of(now), credential_id="cli_1",
                    purpose="internal_business", kind=kind, period=period, product_id=order.product_id,
                    events=calls, calls=calls, rows=10, amount_fen=200 * calls,
                )
            )  # fmt: skip
        unit.record("usage.planted", f"license:{order.license_id}")
    with market.house.store.view() as view:
        license = view.session.get_one(License, order.license_id)  # noqa: A001
        lines = usage_of(view, license, period, settings).lines
    assert sum(line.gross_fen for line in lines) == 4 * 200
