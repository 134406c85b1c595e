"""The purpose decides the price: the same product is free for public welfare that is proven, and priced for industry."""

from typing import Any

import pytest
from joserfc.jwk import OKPKey

from contracts import queries as contracts
from contracts.terms import DeliveryMode, Purpose, Tier
from market.catalogue import queries as catalogue
from market.catalogue.rules import PlanKind, Price
from market.catalogue.tables import Product
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor
from market.policy import queries as policy
from market.policy.inputs import SupplyKind
from market.policy.problems import TierUndecided
from market.trading import actions, purposes
from market.trading.rules import RULES_VERSION, OrderState
from market.trading.tables import Order
from metering.tables import Gate
from storage.kernel.problem import Invalid
from storage.unit import Store
from tests.market.assets import registered
from tests.market.people import APPROVER, BUYER, COMPLIANCE, PROVIDER
from tests.market.products import listed_product, seated

KEY = OKPKey.generate_key("Ed25519", {"kid": "doc-1"})
ZONE = "Asia/Shanghai"
SOLD: dict[str, Any] = {
    "tier": Tier.COMMERCIAL,
    "kind": PlanKind.PER_CALL,
    "price": Price(call_fen=50),
    "delivery": (DeliveryMode.API,),
    "purposes": (Purpose.INDUSTRY, Purpose.PUBLIC_WELFARE),
}


def ordered(
    store: Store, product: Product, purpose: Purpose, *, prepay_fen: int = 0, evidence: str = ""
) -> Order:
    seated(store, BUYER)
    with store.view() as view:
        plan = catalogue.plans(view, product.id)[0]
    with store.unit(BUYER.id, BUYER.org) as unit:
        return actions.place_order(
            unit, BUYER, product_id=product.id, plan_id=plan.id, purpose=purpose, months=6,
            scenario="为社区停车难问题做公开分析", prepay_fen=prepay_fen, rules_version=RULES_VERSION,
            zone=ZONE, evidence=evidence,
        )  # fmt: skip


def decided(store: Store, order: Order, by: Actor) -> Order:
    assert order.case_id is not None
    with store.unit(by.id, by.org) as unit:
        return actions.decide_order(
            unit, by, order.case_id, approve=True, reason="用途明确", expected_version=None, zone=ZONE
        )


def proven(store: Store, order: Order) -> None:
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        purposes.establish(
            unit, COMPLIANCE, order.id, term="purpose_evidence", value="proven", reason="已核对主管部门文件"
        )


def test_welfare_is_free_once_people_have_checked_its_evidence(store: Store) -> None:
    product = listed_product(store, **SOLD)
    order = ordered(store, product, Purpose.PUBLIC_WELFARE, evidence="民政局来函〔2026〕8 号")
    assert (order.tier, order.due_fen, order.prepay_fen, order.fee_fen) == (Tier.PUBLIC_GOOD, 0, 0, 0)
    decided(store, order, APPROVER)
    with pytest.raises(TierUndecided) as waiting:
        decided(store, order, COMPLIANCE)
    assert [hit["rule"] for hit in waiting.value.members["hits"]] == ["T13"]
    proven(store, order)
    approved = decided(store, order, COMPLIANCE)
    assert approved.state is OrderState.APPROVED
    with store.view() as view:
        kept = policy.decisions(view, f"order:{order.id}")
        assert [(row.moment, row.outcome["rule_ids"][0]) for row in kept] == [
            ("placed", "T13"),
            ("approved", "T12"),
        ]
        assert all(policy.replayed(view, row)[1] for row in kept)


def test_a_free_order_is_contracted_and_active_without_a_payment(store: Store) -> None:
    product = listed_product(store, **SOLD)
    order = ordered(store, product, Purpose.PUBLIC_WELFARE, evidence="民政局来函〔2026〕8 号")
    proven(store, order)
    for by in (APPROVER, COMPLIANCE):
        order = decided(store, order, by)
    with store.view() as view:
        content = contracts.one_contract(view, order.contract_id or "")
    assert content.content["terms"]["tier"] == "public_good"
    assert content.content["template"]["slug"] == "conditional-open"
    with store.unit(BUYER.id, BUYER.org) as unit:
        done = actions.accept_contract(
            unit, BUYER, order.id, content_hash=content.content_hash, key=KEY, zone=ZONE
        )
    assert (done.state, done.payment_id) == (OrderState.ACTIVE, None)
    with store.view() as view:
        gate = view.session.get(Gate, done.license_id)
    assert gate is not None
    assert (gate.tier, gate.spent_fen) == (Tier.PUBLIC_GOOD, 0)


def test_industry_pays_for_the_same_product(store: Store) -> None:
    product = listed_product(store, **SOLD)
    order = ordered(store, product, Purpose.INDUSTRY, prepay_fen=10_000)
    assert (order.tier, order.due_fen) == (Tier.COMMERCIAL, 10_000)
    with pytest.raises(Invalid) as refusal:
        ordered(store, product, Purpose.PUBLIC_WELFARE, prepay_fen=10_000, evidence="民政局来函")
    assert [fault.field for fault in refusal.value.faults] == ["prepay_fen"]


def test_only_compliance_establishes_and_never_in_its_own_matter(store: Store) -> None:
    product = listed_product(store, **SOLD)
    order = ordered(store, product, Purpose.PUBLIC_WELFARE, evidence="民政局来函")
    for actor, problem in ((BUYER, Forbidden), (APPROVER, Forbidden), (PROVIDER, Forbidden)):
        with pytest.raises(problem), store.unit(actor.id, actor.org) as unit:
            purposes.establish(
                unit, actor, order.id, term="purpose_evidence", value="proven", reason="我来认定"
            )
    own = Actor(COMPLIANCE.id, BUYER.org, COMPLIANCE.roles, COMPLIANCE.org_kind, party_verified=True)
    with pytest.raises(OwnDecision), store.unit(own.id, own.org) as unit:
        purposes.establish(unit, own, order.id, term="purpose_evidence", value="proven", reason="本单位事项")
    for term, value in (("grade", "G1"), ("purpose_evidence", "perhaps"), ("nonsense", "true")):
        with pytest.raises(Invalid), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
            purposes.establish(unit, COMPLIANCE, order.id, term=term, value=value, reason="取值不对")


def test_an_enterprise_sells_to_everybody_alike(store: Store) -> None:
    asset = registered(store, supply=SupplyKind.ENTERPRISE)
    product = listed_product(
        store, asset_id=asset.id, tier=Tier.COMMERCIAL, kind=PlanKind.PER_CALL, price=Price(call_fen=50)
    )
    order = ordered(store, product, Purpose.INDUSTRY, prepay_fen=10_000)
    with store.view() as view:
        [kept] = policy.decisions(view, f"order:{order.id}")
    assert kept.outcome["tier"] == "commercial"
