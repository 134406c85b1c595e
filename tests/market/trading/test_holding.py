"""What loses its ground stops in the same Unit, for buyers who hold a token of a second before, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from contracts.rules import LicenseState, term_bounds
from contracts.tables import License
from contracts.terms import Purpose, Tier
from market import chores
from market.catalogue import actions as catalogue
from market.catalogue import listing, offers
from market.catalogue.rules import Hold, PlanKind, Price, ProductState
from market.catalogue.tables import Listing, Product
from market.house import House
from market.lists.problems import OnNegativeList
from market.lists.rules import Change, ChangeKind, Condition
from market.mandates import pricing, queries
from market.mandates.prices import CapForm, ChargeUnit
from market.mandates.problems import AwaitCeiling, NoMandate, RevenueCapReached
from market.mandates.rules import MandateState
from market.mandates.tables import Mandate, PriceCeiling
from market.trading import actions as trading
from market.trading import holding
from market.trading.rules import RULES_VERSION, OrderState
from market.trading.tables import Order
from metering.shelf import why_shut
from metering.tables import Gate
from storage.kernel import clock
from storage.kernel.problem import Invalid
from tests.market.mandates_made import ceiling, civil, negative, published, signed_mandate
from tests.market.people import APPROVER, BUYER, COMPLIANCE, MANDATOR, PROVIDER
from tests.market.products import approve, ready_product, seated, submit, terms_of
from tests.market.web.trade import Market, settled

REASON = "安全检查期间暂停"


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def mandate_of(market: Market) -> Mandate:
    with market.house.store.view() as view:
        return view.session.exec(select(Mandate).where(Mandate.state == MandateState.ACTIVE)).one()


def move(market: Market, verb: Any, **named: Any) -> Any:
    with market.house.store.unit(MANDATOR.id, MANDATOR.org) as unit:
        return verb(unit, MANDATOR, **named)


def reason(market: Market, order: Order) -> str | None:
    """What a call under the order's license is told now."""
    with market.house.store.view() as view:
        return why_shut(view.session.get_one(Gate, order.license_id), clock.now())


def agreed_end(market: Market, order: Order) -> datetime | None:
    """When the license would end if nothing cut its term short."""
    with market.house.store.view() as view:
        held = view.session.get_one(License, order.license_id)
    assert held.serve_from is not None
    return term_bounds(held.frozen_terms().term, starts_at=held.serve_from, zone="Asia/Shanghai")[1]


def standing(market: Market) -> tuple[ProductState, Hold | None]:
    with market.house.store.view() as view:
        product = view.session.get_one(Product, market.product.id)
        found = view.session.exec(select(Listing).where(Listing.product_id == product.id)).one()
    return product.state, found.hold


def order_again(market: Market) -> Order:
    with market.house.store.unit(BUYER.id, BUYER.org) as unit:
        return trading.place_order(
            unit, BUYER, product_id=market.product.id, plan_id=market.plan.id,
            purpose=Purpose.INTERNAL_BUSINESS, scenario="用于本单位停车场周转率分析", months=3, prepay_fen=100_050,
            rules_version=RULES_VERSION, zone=market.house.settings.timezone,
        )  # fmt: skip


@contextmanager
def token(market: Market, order: Order) -> Iterator[TestClient]:
    """A program of the buyer that holds a token of this license."""
    client = market["buyer"].client
    made = client.post(
        "/api/v1/credentials",
        json={"name": "holding"},
        headers={"X-CSRF-Token": market["buyer"].csrf, "Idempotency-Key": str(uuid4())},
    )
    assert made.status_code == 201, made.text
    secret = made.json()
    with TestClient(market.front, base_url="http://127.0.0.1:8000") as program:
        answer = program.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "license": str(order.license_id),
                "purpose": "internal_business",
            },
            auth=(secret["client_id"], secret["client_secret"]),
        )
        assert answer.status_code == 200, answer.text
        program.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield program


def refused_with(program: TestClient, market: Market) -> tuple[int, str]:
    answer = program.get(f"/data/v1/{market.product.slug}/rows")
    return answer.status_code, str(answer.json().get("reason"))


def test_a_suspended_mandate_stops_the_token_minted_before(market: Market) -> None:
    order = market.paid()
    assert reason(market, order) is None
    mandate = mandate_of(market)
    with token(market, order) as program:
        move(market, holding.suspend_mandate, mandate_id=mandate.id, reason=REASON)
        assert refused_with(program, market) == (403, "mandate_suspended")
    assert standing(market) == (ProductState.SUSPENDED, Hold.MANDATE)
    assert reason(market, order) == "mandate_suspended"
    with pytest.raises(NoMandate) as refused:
        order_again(market)
    assert refused.value.members["gaps"]
    with pytest.raises(Invalid), market.house.store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        listing.resume_listing(unit, COMPLIANCE, market.product.id, reason="合规恢复挂牌")
    move(market, holding.resume_mandate, mandate_id=mandate.id, reason="整改完成，恢复")
    assert standing(market) == (ProductState.LISTED, None)
    assert reason(market, order) is None
    order_again(market)


def test_a_terminated_mandate_ends_its_licenses_and_another_carries_on_what_it_covers(market: Market) -> None:
    order = market.paid()
    first = mandate_of(market)
    second = signed_mandate(market.house.store, title="另一份授权", last_day=civil(1200))
    move(market, holding.terminate_mandate, mandate_id=first.id, reason="更换授权，终止原授权")
    assert standing(market) == (ProductState.LISTED, None)
    assert reason(market, order) is None
    with market.house.store.view() as view:
        held = queries.mandated(view, str(order.license_id))
    assert held is not None
    assert held.mandate_id == second.id
    move(market, holding.terminate_mandate, mandate_id=second.id, reason="严重违约，终止授权")
    assert standing(market) == (ProductState.SUSPENDED, Hold.MANDATE)
    assert reason(market, order) == "mandate_terminated"
    assert market.order(order.id).state is OrderState.COMPLETED
    with market.house.store.view() as view:
        assert view.session.get_one(License, order.license_id).state is LicenseState.TERMINATED


def test_a_mandate_that_ends_first_ends_the_service_to_the_second(house: House) -> None:
    signed_mandate(house.store, last_day=civil(20))
    market = Market(house)
    order = market.paid()
    mandate = mandate_of(market)
    with house.store.view() as view:
        gate = view.session.get_one(Gate, order.license_id)
    assert (gate.serve_until, gate.until_reason) == (mandate.valid_until, "mandate_expired")
    with clock.held(mandate.valid_until - timedelta(seconds=1)):
        assert reason(market, order) is None
    with clock.held(mandate.valid_until):
        assert reason(market, order) == "mandate_expired"  # before anything else has happened
        with pytest.raises(NoMandate):
            order_again(market)
        chores.keep_grounds(house)
        assert standing(market) == (ProductState.SUSPENDED, Hold.MANDATE)
        assert reason(market, order) == "mandate_expired"
        with house.store.view() as view:
            assert view.session.get_one(License, order.license_id).state is LicenseState.EXPIRED
            found = view.session.exec(select(Listing).where(Listing.product_id == market.product.id)).one()
        assert found.reason == f"授权运营 {mandate.number} 已到期 mandate {mandate.number}: expired"
        signed_mandate(house.store, first_day=civil(-1), last_day=civil(300))
        assert standing(market) == (ProductState.LISTED, None)


def served(market: Market, order: Order) -> tuple[datetime | None, str | None, str | None]:
    """Until when the order's gate serves, why it ends then, and the mandate it names."""
    with market.house.store.view() as view:
        gate = view.session.get_one(Gate, order.license_id)
        held = view.session.get_one(License, order.license_id)
    assert gate.serve_until == held.serve_until
    return gate.serve_until, gate.until_reason, gate.stands_on


def test_the_next_mandate_carries_on_the_licenses_that_the_end_of_the_first_had_cut(house: House) -> None:
    first = signed_mandate(house.store, last_day=civil(20))
    market = Market(house)
    order = market.paid()
    agreed = agreed_end(market, order)
    assert served(market, order) == (first.valid_until, "mandate_expired", first.number)
    late = signed_mandate(house.store, title="有间隔的授权", first_day=civil(22), last_day=civil(300))
    assert served(market, order) == (first.valid_until, "mandate_expired", first.number)  # a day is missing
    next_one = signed_mandate(house.store, title="续期授权", first_day=civil(21), last_day=civil(40))
    assert next_one.state is MandateState.SIGNED
    assert served(market, order)[0] == agreed  # the one with the gap follows the next without one
    assert served(market, order)[1:] == (None, first.number)
    with clock.held(first.valid_until + timedelta(seconds=1)):
        assert reason(market, order) is None  # no minute without service, before the clock has noted anything
        order_again(market)
        chores.each_minute(house)
        assert standing(market) == (ProductState.LISTED, None)
        assert reason(market, order) is None
        assert served(market, order) == (agreed, None, next_one.number)
    with clock.held(first.valid_until + timedelta(days=5)):
        chores.each_minute(house)
        move(market, holding.terminate_mandate, mandate_id=late.id, reason="另行安排，终止授权")
        assert served(market, order) == (next_one.valid_until, "mandate_expired", next_one.number)
        assert reason(market, order) is None


def test_a_suspended_follower_does_not_lengthen_and_one_resumed_does(house: House) -> None:
    first = signed_mandate(house.store, last_day=civil(20))
    market = Market(house)
    order = market.paid()
    second = signed_mandate(house.store, title="续期授权", last_day=civil(200))
    assert served(market, order)[1] is None
    move(market, holding.suspend_mandate, mandate_id=second.id, reason=REASON)
    assert served(market, order) == (first.valid_until, "mandate_expired", first.number)
    move(market, holding.resume_mandate, mandate_id=second.id, reason="整改完成，恢复")
    assert served(market, order)[1] is None


def test_a_follower_that_does_not_cover_the_product_lengthens_nothing(house: House) -> None:
    first = signed_mandate(house.store, last_day=civil(20))
    market = Market(house)
    order = market.paid()
    signed_mandate(house.store, last_day=civil(200), purposes=(Purpose.RESALE,))
    assert served(market, order) == (first.valid_until, "mandate_expired", first.number)


def test_a_refusal_names_the_mandate_in_both_languages(market: Market) -> None:
    order = market.paid()
    mandate = mandate_of(market)
    with token(market, order) as program:
        move(market, holding.suspend_mandate, mandate_id=mandate.id, reason=REASON)
        said = program.get(f"/data/v1/{market.product.slug}/rows").json()
    assert (said["reason"], said["stands_on"]) == ("mandate_suspended", mandate.number)
    assert said["details"] == {
        "zh": f"所依据的授权运营已暂停（{mandate.number}）",
        "en": f"the mandate it stands on is suspended ({mandate.number})",
    }


def test_an_edit_that_catches_a_listed_product_stops_it_at_once(market: Market) -> None:
    order = market.paid()
    with token(market, order) as program:
        published(market.house.store, negative(Condition(words=("停车场客流",)), title_zh="停车场客流"))
        assert refused_with(program, market) == (403, "negative_list")
    assert standing(market) == (ProductState.SUSPENDED, Hold.NEGATIVE_LIST)
    with pytest.raises(OnNegativeList) as refused:
        order_again(market)
    assert refused.value.members["rules"] == ["FM-0001"]
    with pytest.raises(Invalid) as lacking, market.house.store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        listing.resume_listing(unit, COMPLIANCE, market.product.id, reason="合规恢复挂牌")
    assert "T01.FM-0001" in [fault.rule for fault in lacking.value.faults]
    published(market.house.store, Change(kind=ChangeKind.END, code="FM-0001", revision=1))
    assert standing(market)[0] is ProductState.SUSPENDED  # people let it go on
    with market.house.store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        listing.resume_listing(unit, COMPLIANCE, market.product.id, reason="清单已移出，恢复")
    assert reason(market, order) is None


def test_a_rule_that_begins_later_stops_on_its_day(market: Market) -> None:
    published(
        market.house.store,
        negative(Condition(words=("停车场客流",)), effective_from=civil(3), review_on=civil(90)),
    )
    chores.keep_grounds(market.house)
    assert standing(market) == (ProductState.LISTED, None)
    with clock.held(clock.now() + timedelta(days=4)):
        chores.keep_grounds(market.house)
        assert standing(market) == (ProductState.SUSPENDED, Hold.NEGATIVE_LIST)


def test_what_the_list_catches_is_not_listed(house: House) -> None:
    store = house.store
    waiting = ready_product(store, "waiting-parks")
    case_id = submit(store, waiting)
    published(store, negative(Condition(words=("停车场客流",))))
    with pytest.raises(Invalid) as refused:
        approve(store, case_id)
    [fault] = [each for each in refused.value.faults if each.rule.startswith("T01.")]
    assert "FM-0001" in fault.words.zh
    with pytest.raises(Invalid):
        submit(store, ready_product(store, "later-parks"))


def test_without_a_mandate_or_a_ceiling_public_data_is_not_listed_for_money(house: House) -> None:
    store = house.store
    product = ready_product(
        store, tier=Tier.COMMERCIAL, kind=PlanKind.PER_CALL, price=Price(call_fen=200), slug="sold-parks"
    )
    seated(store, PROVIDER)
    with store.view() as view:
        seen = offers.standing_hash(view, PROVIDER, product.id, terms_of(product))

    def rules() -> set[str]:
        with pytest.raises(Invalid) as refused, store.unit(PROVIDER.id, PROVIDER.org) as unit:
            listing.submit_listing(unit, PROVIDER, product.id, standing=terms_of(product), offer_sha256=seen)
        return {fault.rule for fault in refused.value.faults}

    assert {"T15.mandate", "T16.await_ceiling"} <= rules()
    signed_mandate(store)
    assert "T16.await_ceiling" in rules()
    assert "T15.mandate" not in rules()
    low = ceiling(store, product.slug, ChargeUnit.CALL, "1.99")
    assert "T15.ceiling" in rules()
    with store.unit(MANDATOR.id, MANDATOR.org) as unit:
        pricing.end_ceiling(unit, MANDATOR, low.id, reason="重新定价，提高上限")
    ceiling(store, product.slug, ChargeUnit.CALL, "2", first_day=civil(1))
    with clock.held(clock.now() + timedelta(days=2)), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.submit_listing(unit, PROVIDER, product.id, standing=terms_of(product), offer_sha256=seen)


def test_orders_wait_for_a_ceiling_and_running_licenses_go_on(market: Market) -> None:
    order, waiting = market.paid(), order_again(market)
    with market.house.store.view() as view:
        known = view.session.exec(
            select(PriceCeiling).where(
                PriceCeiling.product == market.product.slug, PriceCeiling.unit == ChargeUnit.CALL
            )
        ).one()
    move(market, pricing.end_ceiling, ceiling_id=known.id, reason="成本监审后重新定价")
    assert reason(market, order) is None
    with pytest.raises(AwaitCeiling):
        order_again(market)
    with pytest.raises((AwaitCeiling, Invalid)):
        for by in (APPROVER, COMPLIANCE):
            with market.house.store.unit(by.id, by.org) as unit:
                trading.decide_order(
                    unit, by, str(waiting.case_id), approve=True, reason="用途明确，同意", expected_version=None,
                    zone=market.house.settings.timezone,
                )  # fmt: skip
    assert market.order(waiting.id).state is OrderState.SUBMITTED
    with pytest.raises(Invalid) as refused, market.house.store.unit(PROVIDER.id, PROVIDER.org) as unit:
        catalogue.add_plan(
            unit, PROVIDER, market.product.id, code="more", title_zh="另一方案", title_en="Another",
            kind=PlanKind.PER_CALL, price=Price(call_fen=300),
        )  # fmt: skip
    assert {fault.rule for fault in refused.value.faults} == {"T16.await_ceiling"}


def test_a_reached_cap_stops_new_paid_orders_only(market: Market) -> None:
    order = market.paid()
    form = CapForm(
        operator_id=PROVIDER.own_org, first_day=civil().replace(month=1, day=1), cap_fen=100,
        last_day=civil().replace(month=12, day=31), decided_by="青岛市发展和改革委员会", document_no="2 号",
    )  # fmt: skip
    move(market, pricing.set_cap, form=form)
    order_again(market)
    with market.house.store.unit("system:test") as unit:
        pricing.book_revenue(
            unit,
            license_id=order.license_id,
            invoice_id="inv_x",
            period=civil().strftime("%Y-%m"),
            amount_fen=100,
        )
    with pytest.raises(RevenueCapReached):
        order_again(market)
    assert reason(market, order) is None


def test_a_paid_order_waits_while_its_mandate_is_suspended(market: Market) -> None:
    order = market.signed()
    mandate = mandate_of(market)
    move(market, holding.suspend_mandate, mandate_id=mandate.id, reason=REASON)
    path = f"/payments/{order.payment_id}"
    market["finance"].post(f"{path}/receipt", amount_fen="1000.50", bank_reference="BANKHELD0001")
    market["finance2"].post(f"{path}/confirmation", agree="yes")
    market.house.pulse.beat()
    held = market.order(order.id)
    assert (held.state, held.reason) == (OrderState.AWAITING_PAYMENT, "no-mandate")
    move(market, holding.resume_mandate, mandate_id=mandate.id, reason="整改完成，恢复")
    chores.each_minute(market.house)
    assert market.order(order.id).state is OrderState.ACTIVE


def test_an_invoice_of_public_data_counts_toward_the_cap(market: Market) -> None:
    order = market.paid()
    form = CapForm(
        operator_id=PROVIDER.own_org, first_day=civil().replace(month=1, day=1), cap_fen=1000,
        last_day=civil().replace(month=12, day=31), decided_by="青岛市发展和改革委员会", document_no="2 号",
    )  # fmt: skip
    move(market, pricing.set_cap, form=form)
    settled(market, order)
    with market.house.store.view() as view:
        cap = queries.cap_on(view, PROVIDER.own_org, civil())
    assert cap is not None
    assert cap.collected_fen == 600
