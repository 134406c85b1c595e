"""目的决定价格 What an order costs follows from what the data is for: the tier engine is asked, and its answer kept."""

from contracts import templates
from contracts.offers import Offer, waived
from contracts.terms import Purpose
from market.catalogue import facts as catalogue_facts
from market.catalogue import queries as catalogue
from market.catalogue import tiering
from market.catalogue.rules import Standing
from market.identity.queries import verified
from market.identity.rules import Actor, OrgKind, Permission
from market.policy import actions as policy
from market.policy.engine import Outcome
from market.policy.inputs import BuyerKind, Evidence, Inputs, SupplyKind
from market.policy.packs import Decision
from market.policy.problems import TierUndecided
from market.policy.queries import found, in_force
from market.policy.tables import Finding
from market.registry.queries import source_of_product
from market.trading.problems import NotOnOffer, OrderNotFound
from market.trading.rules import OrderState
from market.trading.tables import Order
from storage.kernel.problem import Fault, Invalid, WrongState
from storage.unit import Unit, View

FREE_TEMPLATE = ("conditional-open", "2026.1")
_KINDS = {
    OrgKind.DEPARTMENT: BuyerKind.GOVERNMENT,
    OrgKind.DATA_BUREAU: BuyerKind.GOVERNMENT,
    OrgKind.REGISTRAR: BuyerKind.INSTITUTION,
}


# Purposes that public data serves without a price; all others are the market's.
FREE_PURPOSES = frozenset(Purpose) - catalogue_facts.SALE


def may_be_free(supply: SupplyKind, purpose: Purpose) -> bool:
    """是否无偿目的. Whether an order of public data for this purpose is free, or waits, but is never paid."""
    return supply is SupplyKind.PUBLIC and purpose in FREE_PURPOSES


def facts_of_order(view: View, order: Order, buyer_kind: OrgKind | None) -> Inputs:
    """判定事实. What is known of an order: the product, this plan, this purpose, and what people found.

    Raises NotOnOffer when the product or the plan is gone.
    """
    listed = catalogue.listed_plan(view, order.product_id, order.plan_id)
    if listed is None:
        raise NotOnOffer(product=order.product_id, plan=order.plan_id)
    product, plan, listing = listed
    asset = source_of_product(view, product.asset_id, product.provider_id)
    given = catalogue_facts.facts_of(
        view,
        product,
        asset,
        [plan],
        order.purpose,
        provider_kind=listing.provider_kind,
        territory=Standing(**listing.standing).territory,
        buying=catalogue_facts.Buying(
            kind=_KINDS.get(buyer_kind, BuyerKind.ENTERPRISE) if buyer_kind else BuyerKind.PERSON,
            verified=verified(view, order.buyer_id),
            evidence=Evidence.DOUBTFUL if order.evidence.strip() else Evidence.MISSING,
        ),
    )
    return catalogue_facts.evidenced(given, found(view, f"order:{order.id}"))


def judged(view: View, order: Order, buyer_kind: OrgKind | None) -> tuple[Inputs, Outcome]:
    """判定. What the rules in force say of an order. Raises Invalid when they deny or hold it."""
    given = facts_of_order(view, order, buyer_kind)
    outcome = in_force(view).decide(given)
    if outcome.decision in {Decision.DENY, Decision.HOLD}:
        raise Invalid(*(Fault("purpose", fault.rule, fault.words) for fault in tiering.hit_faults(outcome)))
    return given, outcome


def judge_for_contract(unit: Unit, order: Order, buyer_kind: OrgKind | None, *, by: str) -> Outcome:
    """成约判定. Decide again before the contract is drawn up, and keep the decision.

    Raises Invalid when it is denied now, TierUndecided while it is in manual review.
    """
    given, outcome = judged(unit, order, buyer_kind)
    if outcome.decision is not Decision.ALLOW:
        raise TierUndecided(
            order=order.id,
            unknown=list(outcome.unknown),
            hits=[hit.document() for hit in outcome.hits],
        )
    return policy.judge(unit, f"order:{order.id}", "approved", given, by=by)


def free_offer(offer: Offer) -> Offer:
    """无偿要约. What the same offer is for a purpose the rules make free: no price, the conditional agreement."""
    template = templates.load(*FREE_TEMPLATE)
    return waived(
        offer,
        slug=template.slug,
        version=template.version,
        sha256=template.sha256,
        slots={slot.name for slot in template.to_fill() if slot.source != "order"},
    )


def establish(unit: Unit, actor: Actor, order_id: str, *, term: str, value: str, reason: str) -> Finding:
    """复核认定. A compliance officer establishes what an order's manual review turns on.

    Raises Forbidden, OrderNotFound, OwnDecision, WrongState (decided already), Invalid.
    """
    actor.require(Permission.TIER_REVIEW)
    order = unit.session.get(Order, order_id, with_for_update=True)
    if order is None:
        raise OrderNotFound(order=order_id)
    if order.state is not OrderState.SUBMITTED:
        raise WrongState(thing="order", state=str(order.state), verb="establish", allowed=[])
    return policy.establish(
        unit, actor, f"order:{order.id}", term=term, value=value, reason=reason, submitted_org=order.buyer_id
    )
