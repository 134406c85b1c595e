"""成交依据 What an order and its license stand on beside the offer: negative list, mandate, ceilings, permitted revenue."""

from dataclasses import replace

from contracts.terms import Purpose as Use
from market.catalogue import queries as catalogue
from market.catalogue.grounds import SALE, Grounds, grounds_of_order
from market.catalogue.rules import PlanKind
from market.lists.actions import steady
from market.lists.problems import OnNegativeList
from market.mandates import queries as mandates
from market.mandates.prices import CapStep
from market.mandates.problems import NoMandate, RevenueCapReached
from market.mandates.tables import Mandate
from market.trading.tables import Order
from storage.unit import Unit


def refuse_unsold(unit: Unit, product_id: str, plan_id: str, purpose: Use) -> Grounds | None:
    """可否成交. What an order of a plan stands on now; None for no such plan.

    Raises OnNegativeList, NoMandate, AwaitCeiling, and RevenueCapReached for a plan with a price.
    """
    found = catalogue.plan_once_listed(unit, product_id, plan_id)
    if found is None:
        return None
    plan, product = found
    steady(unit)
    ground = grounds_of_order(unit, product, plan, purpose)
    ground.refuse()
    if ground.cover is not None and plan.kind is not PlanKind.FREE and purpose in SALE:
        cap = mandates.cap_on(unit, product.provider_id, mandates.today())
        if cap is not None and cap.step is CapStep.STOPPED:
            raise RevenueCapReached(until=cap.last_day.isoformat())
    return ground


def is_held(unit: Unit, order: Order) -> bool:
    """待放行. Whether a paid order has to wait, because the negative list or a lost mandate forbids to serve it."""
    try:
        serving_mandate(unit, order)
    except (OnNegativeList, NoMandate) as lost:
        if order.reason != lost.slug():
            order.reason = lost.slug()
            unit.session.add(order)
            unit.record("order.held", f"order:{order.id}", problem=lost.slug())
        return True
    return False


def serving_mandate(unit: Unit, order: Order) -> Mandate | None:
    """What lets a license of this order be served: its mandate where it is public data.

    Raises OnNegativeList, NoMandate.
    """
    found = catalogue.plan_once_listed(unit, order.product_id, order.plan_id)
    if found is None:
        return None
    plan, product = found
    steady(unit)
    ground = grounds_of_order(unit, product, plan, order.purpose)
    replace(ground, prices=()).refuse()  # the price was agreed under a ceiling that was in force then
    return ground.cover.mandate if ground.cover is not None else None
