"""补正订单 A returned order is corrected and goes back to the same case; nothing decided so far is lost."""

from sqlmodel import select

from contracts.terms import Purpose as Use
from contracts.terms import Tier
from market.approvals import actions as approvals
from market.catalogue import queries as catalogue
from market.identity.queries import party
from market.identity.rules import Actor, Permission
from market.policy import actions as policy
from market.trading import purposes
from market.trading.asking import ground_of
from market.trading.ground import refuse_unsold
from market.trading.problems import NotOnOffer, OrderNotFound
from market.trading.rules import ORDER, due_fen, order_faults
from market.trading.tables import Order
from storage.kernel.problem import Invalid
from storage.unit import Unit


def amend_order(
    unit: Unit,
    actor: Actor,
    order_id: str,
    *,
    purpose: Use,
    scenario: str,
    months: int,
    prepay_fen: int,
    rules_version: str,
    note: str,
    zone: str,
) -> Order:
    """补正订单. Correct a returned order, on what the plan offers now, and submit the same case again.

    note: what was corrected, for the approver. Raises OrderNotFound, WrongState, NotOnOffer, Invalid with
    every fault and every rule that denies, and what `place_order` raises for what may not be sold now.
    """
    actor.require(Permission.ORDER_PLACE)
    seen = unit.session.get(Order, order_id)
    if seen is None or seen.buyer_id != actor.own_org or seen.case_id is None:
        raise OrderNotFound(order=order_id)
    refuse_unsold(unit, seen.product_id, seen.plan_id, purpose)
    approvals.locked(unit, seen.case_id)  # the case before its order, as a decision does it
    query = select(Order).where(Order.id == order_id).with_for_update()
    order = unit.session.exec(query.execution_options(populate_existing=True)).one()
    state = ORDER.after(order.state, "resubmit")
    offered = catalogue.on_offer(unit, order.product_id, order.plan_id)
    if offered is None:
        raise NotOnOffer(product=order.product_id, plan=order.plan_id)
    offer = offered.offer
    maybe_free = offer.tier is Tier.PUBLIC_GOOD or purposes.may_be_free(offered.supply, purpose)
    faults = order_faults(
        purpose=purpose,
        purposes=frozenset(offer.purposes),
        scenario=scenario,
        months=months,
        longest_months=offer.months,
        prepay_fen=prepay_fen,
        least_prepay_fen=offer.min_prepay_fen,
        metered=offer.price.metered and not maybe_free,
        rules_version=rules_version,
        evidence=order.evidence,
    )
    if faults:
        raise Invalid(*faults)
    order.purpose, order.scenario, order.months = purpose, scenario.strip(), months
    order.offer_hash, order.fee_fen, order.prepay_fen = offer.hash, offer.price.fee_fen, prepay_fen
    order.due_fen = due_fen(fee_fen=offer.price.fee_fen, months=months, prepay_fen=prepay_fen)
    order.rules_version, order.state, order.tier = rules_version, state, Tier.COMMERCIAL
    given, outcome = purposes.judged(unit, order, party(unit, order.buyer_id).org_kind)
    if maybe_free:
        order.tier, order.fee_fen, order.prepay_fen, order.due_fen = Tier.PUBLIC_GOOD, 0, 0, 0
    unit.session.add(order)
    unit.session.flush()
    policy.judge(unit, f"order:{order.id}", "resubmitted", given, by=actor.id)
    approvals.resubmit(
        unit,
        actor,
        seen.case_id,
        note=note,
        needs=max(outcome.approvals, 1),
        ground=ground_of(unit, order),
        zone=zone,
    )
    unit.record("order.resubmitted", f"order:{order.id}", due_fen=order.due_fen, reason=note.strip())
    return order
