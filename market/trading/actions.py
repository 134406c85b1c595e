"""The verbs of a deal: place, decide, accept, activate, and end it. What ends access goes down in the same Unit."""

from zoneinfo import ZoneInfo

from joserfc.jwk import OKPKey
from sqlmodel import select

from contracts import actions as contracts
from contracts import queries as contract_queries
from contracts import templates
from contracts.tables import License
from contracts.terms import Purpose as Use
from contracts.terms import Term, Terms, Tier
from market.approvals import actions as approvals
from market.approvals.queries import decided_by
from market.approvals.rules import CaseKind, CaseState
from market.approvals.tables import Case
from market.billing import actions as billing
from market.billing.queries import is_paid
from market.billing.rules import Purpose
from market.catalogue import queries as catalogue
from market.identity import actions as people
from market.identity import queries as identity
from market.identity.problems import OwnDecision, PartyUnverified
from market.identity.rules import Actor, Permission
from market.identity.tables import User
from market.lists.actions import steady
from market.mandates import actions as mandating
from market.policy import actions as policy
from market.trading import purposes
from market.trading.asking import ground_of
from market.trading.ground import is_held, refuse_unsold, serving_mandate
from market.trading.problems import (
    NotOnOffer,
    OfferChanged,
    OrderNotFound,
    OrderNotNeeded,
    OwnProduct,
    RegistrationEnded,
)
from market.trading.rules import (
    ORDER,
    OrderState,
    due_fen,
    order_faults,
    rights_for,
    unpaid_for,
    unsigned_for,
)
from market.trading.span import known_ends
from market.trading.tables import Order
from metering import actions as metering
from metering.words import Shut
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, WrongState, invalid
from storage.sequence import document_number
from storage.unit import Unit


def place_order(
    unit: Unit,
    actor: Actor,
    *,
    product_id: str,
    plan_id: str,
    purpose: Use,
    scenario: str,
    months: int,
    prepay_fen: int,
    rules_version: str,
    zone: str,
    evidence: str = "",
) -> Order:
    """下单. Ask to use a product under a plan for one purpose, which decides the price; opens the approval.

    evidence: what shows a purpose that makes the data free; then nothing is prepaid. Raises PartyUnverified,
    OrderNotNeeded (public-good), OwnProduct, NotOnOffer, Invalid with every fault and every rule that denies.
    OnNegativeList, NoMandate, AwaitCeiling and RevenueCapReached for what may not be sold now.
    """
    actor.require(Permission.ORDER_PLACE)
    buyer = identity.party(unit, actor.own_org)
    if not actor.party_verified:
        raise PartyUnverified
    refuse_unsold(unit, product_id, plan_id, purpose)
    offered = catalogue.on_offer(unit, product_id, plan_id)
    if offered is None:
        raise NotOnOffer(product=product_id, plan=plan_id)
    offer = offered.offer
    if offer.tier is Tier.PUBLIC_GOOD and offer.template_slug != purposes.FREE_TEMPLATE[0]:
        raise OrderNotNeeded(open_url=f"/open/v1/{offer.product.slug}")
    if offer.seller.id == buyer.id:
        raise OwnProduct
    maybe_free = offer.tier is Tier.PUBLIC_GOOD or purposes.may_be_free(offered.supply, purpose)
    buyer.signatory()  # what no contract could print is told before anybody decides on it
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
        evidence=evidence,
    )
    if faults:
        raise Invalid(*faults)
    now = clock.now()
    order = Order(
        id=new_id("ord"),
        number=document_number(unit, "DD", now.astimezone(ZoneInfo(zone)).year),
        buyer_id=buyer.id,
        seller_id=offer.seller.id,
        placed_by=actor.id,
        product_id=product_id,
        plan_id=plan_id,
        offer_hash=offer.hash,
        purpose=purpose,
        scenario=scenario.strip(),
        months=months,
        evidence=evidence.strip(),
        fee_fen=offer.price.fee_fen,
        prepay_fen=prepay_fen,
        due_fen=due_fen(fee_fen=offer.price.fee_fen, months=months, prepay_fen=prepay_fen),
        rules_version=rules_version,
        placed_at=now,
    )
    given, outcome = purposes.judged(unit, order, buyer.org_kind)
    if maybe_free:
        # Decided as free, or waiting for people to look: it never becomes paid by itself.
        order.tier, order.fee_fen, order.prepay_fen, order.due_fen = Tier.PUBLIC_GOOD, 0, 0, 0
    unit.session.add(order)
    unit.session.flush()
    policy.judge(unit, f"order:{order.id}", "placed", given, by=actor.id)
    case = approvals.open_case(
        unit,
        kind=CaseKind.ORDER,
        subject=f"order:{order.id}",
        submitted_by=actor.id,
        submitted_org=buyer.id,
        needs=max(outcome.approvals, 1),
        ground=ground_of(unit, order),
        zone=zone,
    )
    order.case_id = case.id
    unit.record(
        "order.placed", f"order:{order.id}", number=order.number, product=product_id, due_fen=order.due_fen
    )
    return order


def decide_order(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None,
    zone: str,
) -> Order:
    """审批订单. Approve or reject; on approval the contract is drawn up and the provider's offer accepts it.

    Raises what `approvals.decide` raises, OfferChanged when the listing is no longer what was ordered,
    Invalid when the tier rules deny it now, TierUndecided while it is in manual review.
    """
    steady(unit)
    case = approvals.decide(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )
    return settle_order(unit, case, reason, zone)


def settle_order(unit: Unit, case: Case, reason: str, zone: str) -> Order:
    """办结订单审批. What a case's outcome does to its order; nothing while a second decision is missing.

    Raises OfferChanged when an approval finds the listing no longer what was ordered.
    """
    query = select(Order).where(Order.case_id == case.id).with_for_update()
    order = unit.session.exec(query.execution_options(populate_existing=True)).one()
    order.reason = reason.strip()
    if case.state is CaseState.APPROVED:
        outcome = purposes.judge_for_contract(
            unit, order, identity.party(unit, order.buyer_id).org_kind, by=decided_by(unit, case)
        )
        if outcome.tier is not order.tier:
            raise OfferChanged(order=order.id, tier=outcome.tier and str(outcome.tier))
        _move(unit, order, "approve")
        _draw_up(unit, order, zone)
        order.expires_at = clock.now() + unsigned_for()
        unit.record("order.approved", f"order:{order.id}", contract=order.contract_id, reason=order.reason)
        _tell(unit, order, "order_approved")
    elif case.state is CaseState.REJECTED:
        _move(unit, order, "reject")
        unit.record("order.rejected", f"order:{order.id}", reason=order.reason)
        _tell(unit, order, "order_rejected")
    elif verb := _WITHOUT_CONSENT.get(case.state):
        _move(unit, order, verb)
        unit.record(f"order.{order.state}", f"order:{order.id}", reason=order.reason)
    return order


_WITHOUT_CONSENT = {
    CaseState.RETURNED: "return",
    CaseState.CANCELLED: "cancel",
    CaseState.EXPIRED: "expire",
}


def _still_offered(unit: Unit, order: Order) -> catalogue.OnOffer:
    """What was ordered, while it is still on offer unchanged. Raises OfferChanged."""
    refuse_unsold(unit, order.product_id, order.plan_id, order.purpose)
    offered = catalogue.on_offer(unit, order.product_id, order.plan_id)
    if offered is None or offered.offer.hash != order.offer_hash:
        raise OfferChanged(order=order.id)
    return offered


def _draw_up(unit: Unit, order: Order, zone: str) -> None:
    """Write the contract the order asked for; the standing offer is the provider's acceptance."""
    offered = _still_offered(unit, order)
    offer = offered.offer
    if order.tier is Tier.PUBLIC_GOOD and offer.tier is Tier.COMMERCIAL:
        offer = purposes.free_offer(offer)
    terms = Terms(
        tier=offer.tier,
        product=offer.product,
        version=str(offered.version),
        version_rule=offer.version_rule,
        purposes=(order.purpose,),
        scenario=order.scenario,
        territory=offer.territory,
        delivery=offer.delivery,
        rights=rights_for(order.purpose, offer.rights),
        quota=offer.quota,
        price=offer.price,
        prepay_fen=order.prepay_fen,
        term=Term(months=order.months),
        seller=offer.seller,
        buyer=identity.party(unit, order.buyer_id).signatory(),
    )
    template = templates.load(offer.template_slug, offer.template_version)
    contract = contracts.draft_contract(unit, template, terms, offer.slots, zone=zone)
    contracts.accept_offer(unit, contract.id, contract.content_hash, by=offered.accepted_by, offer=offer)
    order.contract_id = contract.id


def accept_contract(
    unit: Unit, actor: Actor, order_id: str, *, content_hash: str, key: OKPKey, zone: str
) -> Order:
    """签约. The buyer accepts exactly the text with this hash; the platform witnesses it and asks for payment.

    key: the platform's document key. Raises OrderNotFound, WrongState, ContractTextDiffers.
    """
    actor.require(Permission.CONTRACT_ACCEPT)
    order = _own(unit, actor, order_id)
    _move(unit, order, "accept")
    _still_offered(unit, order)
    assert order.contract_id is not None
    contracts.accept_contract(unit, order.contract_id, content_hash, by=actor.id)
    contracts.witness_contract(unit, order.contract_id, key)
    unit.record(
        "order.contracted", f"order:{order.id}", contract=order.contract_id, content_hash=content_hash
    )
    if order.due_fen:
        payment = billing.request_payment(
            unit,
            order_id=order.id,
            payer_id=order.buyer_id,
            payee_id=order.seller_id,
            amount_fen=order.due_fen,
            purpose=Purpose.PREPAY,  # fees and usage are invoiced by the month and drawn from it
            expires_at=clock.now() + unpaid_for(),
        )
        order.payment_id = payment.id
        _move(unit, order, "bill")
        order.expires_at = clock.now() + unpaid_for()
        unit.record("order.billed", f"order:{order.id}", payment=payment.id, amount_fen=order.due_fen)
    else:
        _activate(unit, order, zone)
    return order


def activate_paid(unit: Unit, entry: Entry, zone: str) -> None:
    """付款后生效. Follows `payment.confirmed`: the license is issued, active and its gate open. Twice is once."""
    if order_id := entry.data.get("order"):
        activate_order(unit, str(order_id), zone)


def activate_order(unit: Unit, order_id: str, zone: str) -> None:
    """付款后生效. Make a paid order's license active, unless that was done; the clock asks again for a lost one."""
    order = unit.session.get(Order, order_id, with_for_update=True)
    if order is None or order.state is not OrderState.AWAITING_PAYMENT or not is_paid(unit, order_id):
        return
    if is_held(unit, order):
        return  # the money is safe in the buyer's account; the clock comes back until the ground is there
    _move(unit, order, "pay")
    unit.record("order.paid", f"order:{order.id}", payment=order.payment_id)
    _activate(unit, order, zone)


def _activate(unit: Unit, order: Order, zone: str) -> None:
    assert order.contract_id is not None
    mandate = serving_mandate(unit, order)
    terms = contract_queries.one_contract(unit, order.contract_id).frozen_terms()
    license = contracts.issue_license(unit, terms, contract_id=order.contract_id, zone=zone)  # noqa: A001
    # Every end known in advance is frozen into the gate, with what a caller is told from then on.
    known = known_ends(unit, order.product_id, terms.purposes, mandate)
    if mandate is not None:
        mandating.bind_license(unit, license_id=license.id, product_id=order.product_id, mandate=mandate)
    policy = contracts.activate_license(unit, license.id, zone=zone, ends=sorted(known))
    metering.open_gate(
        unit,
        license_id=license.id,
        product_id=order.product_id,
        buyer_id=order.buyer_id,
        policy=policy,
        until_reason=known.get(policy.serve_until) if policy.serve_until else None,
        stands_on=mandate.number if mandate is not None else None,
    )
    if not catalogue.is_grounded(unit, order.product_id):  # ended between signing and payment
        metering.shut_gate(unit, license.id, reason="suspended")
        contracts.suspend_license(
            unit, license.id, reason="数据登记已终止 the registration behind it has ended"
        )
    order.license_id = license.id
    order.expires_at = None
    _move(unit, order, "activate")
    unit.record("order.activated", f"order:{order.id}", license=license.id)
    _tell(unit, order, "order_active")


def cancel_order(unit: Unit, actor: Actor, order_id: str, *, reason: str) -> Order:
    """取消订单. The buyer withdraws before paying. Raises OrderNotFound, WrongState."""
    actor.require(Permission.ORDER_PLACE)
    seen = unit.session.get(Order, order_id)
    if seen is None or seen.buyer_id != actor.own_org:
        raise OrderNotFound(order=order_id)
    if seen.state in {OrderState.SUBMITTED, OrderState.RETURNED} and seen.case_id:
        # The case is locked before the order, as a decision does it: two at once never deadlock.
        approvals.cancel_case(unit, seen.case_id, reason=reason)
    order = _own(unit, actor, order_id)
    _end(unit, order, "cancel", reason)
    unit.record("order.cancelled", f"order:{order.id}", reason=reason)
    return order


def expire_order(unit: Unit, order_id: str) -> Order:
    """逾期失效. Nobody signed or paid in time. Raises OrderNotFound, WrongState, Invalid before the time."""
    order = unit.session.get(Order, order_id, with_for_update=True)
    if order is None:
        raise OrderNotFound(order=order_id)
    if order.expires_at is None or order.expires_at > clock.now():
        raise invalid("order", "order.running", "订单尚未到期。", "The order is not overdue.")
    _end(unit, order, "expire", "逾期未签约或未付款 not signed or paid in time")
    unit.record("order.expired", f"order:{order.id}")
    return order


def _end(unit: Unit, order: Order, verb: str, reason: str) -> None:
    if is_paid(unit, order.id):
        # The money is in: the license follows, and nothing may take the order away before it.
        raise WrongState(thing="order", state="paid", verb=verb, allowed=[])
    _move(unit, order, verb)
    order.reason, order.expires_at = reason, None
    billing.cancel_order_payments(unit, order.id, reason=reason)
    if order.contract_id:
        contracts.void_contract(unit, order.contract_id, reason=reason)


def suspend_license(unit: Unit, actor: Actor, license_id: str, *, reason: str) -> License:
    """中止许可. A compliance officer stops a license; the next request is refused. Raises NotFound, WrongState."""
    license = _decidable(unit, actor, license_id, reason)  # noqa: A001
    metering.shut_gate(unit, license.id, reason="suspended")
    return contracts.suspend_license(unit, license.id, reason=reason)


def resume_license(unit: Unit, actor: Actor, license_id: str, *, reason: str) -> License:
    """恢复许可. Raises NotFound, WrongState, RegistrationEnded."""
    license = _decidable(unit, actor, license_id, reason)  # noqa: A001
    if not catalogue.is_grounded(unit, license.product_id):
        raise RegistrationEnded(license=license.id)
    metering.reopen_gate(unit, license.id)
    return contracts.resume_license(unit, license.id, reason=reason)


def revoke_license(unit: Unit, actor: Actor, license_id: str, *, reason: str) -> License:
    """撤销许可. End a license for good; tokens minted a second ago are refused. Raises NotFound, WrongState."""
    license = _decidable(unit, actor, license_id, reason)  # noqa: A001
    metering.shut_gate(unit, license.id, reason="revoked")
    ended = contracts.revoke_license(unit, license.id, reason=reason)
    complete_order(unit, license.id)
    return ended


def terminate_license(unit: Unit, actor: Actor, license_id: str, *, reason: str) -> License:
    """终止许可. The buyer gives a license back before its term is over. Raises NotFound, WrongState."""
    actor.require(Permission.CONTRACT_ACCEPT)
    row = unit.session.get(License, license_id)
    if row is None or row.buyer_id != actor.own_org:
        raise NotFound(license=license_id)
    metering.shut_gate(unit, license_id, reason="terminated")
    ended = contracts.terminate_license(unit, license_id, reason=reason)
    complete_order(unit, license_id)
    return ended


def expire_license(unit: Unit, license_id: str) -> License:
    """许可到期. Note the end of a term; the gate has refused since `serve_until` by itself."""
    metering.end_gate(unit, license_id)
    ended = contracts.expire_license(unit, license_id)
    complete_order(unit, license_id)
    return ended


def end_with_mandate(unit: Unit, license_id: str, *, reason: str) -> License:
    """随授权终止. End a license whose mandate was terminated; what is left of its prepayment can be asked back."""
    metering.shut_gate(unit, license_id, reason=Shut.MANDATE_TERMINATED)
    ended = contracts.terminate_license(unit, license_id, reason=reason)
    complete_order(unit, license_id)
    return ended


def complete_order(unit: Unit, license_id: str) -> None:
    """订单完成. The order of a license that has ended is complete."""
    order = unit.session.exec(select(Order).where(Order.license_id == license_id).with_for_update()).first()
    if order is not None:
        _move(unit, order, "complete")
        unit.record("order.completed", f"order:{order.id}", license=license_id)


def _decidable(unit: Unit, actor: Actor, license_id: str, reason: str) -> License:
    actor.require(Permission.LICENSE_SUSPEND)
    if not 4 <= len(reason.strip()) <= 500:
        raise invalid(
            "reason", "reason.length", "请写明理由（4 至 500 字）。", "Give a reason (4 to 500 characters)."
        )
    license = unit.session.get(License, license_id)  # noqa: A001
    if license is None:
        raise NotFound(license=license_id)
    if actor.belongs_to(license.buyer_id):
        raise OwnDecision(license=license_id)
    return license


def _own(unit: Unit, actor: Actor, order_id: str) -> Order:
    order = unit.session.get(Order, order_id, with_for_update=True, populate_existing=True)
    if order is None or order.buyer_id != actor.own_org:
        raise OrderNotFound(order=order_id)
    return order


def _move(unit: Unit, order: Order, verb: str) -> None:
    order.state = ORDER.after(order.state, verb)
    unit.session.add(order)
    unit.session.flush()


def _tell(unit: Unit, order: Order, template: str) -> None:
    user = unit.session.get(User, order.placed_by)
    if user is not None:
        data = {"path": f"/orders/{order.id}", "number": order.number, "reason": order.reason}
        people.send_mail(unit, user, template, data)
