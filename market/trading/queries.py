"""Reads: orders one may see, and what is overdue."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from contracts.queries import one_contract, one_license
from contracts.tables import Contract, License
from market.billing.queries import is_paid
from market.identity.rules import Actor, Permission, Role
from market.trading.problems import OrderNotFound
from market.trading.rules import OrderState
from market.trading.tables import Order
from metering.anomalies import anomalies
from metering.tables import UsageAnomaly
from storage.unit import View

OVERSEERS = frozenset({Role.APPROVER, Role.AUDITOR, Role.COMPLIANCE, Role.FINANCE, Role.MANDATOR})


def visible_to(actor: Actor) -> SelectOfScalar[Order]:
    """可见订单. The select both list and fetch start from: one's own sales and purchases, or all for overseers."""
    query = select(Order)
    if actor.roles & OVERSEERS:
        return query
    if not actor.may(Permission.ORDER_READ):
        return query.where(sa.false())
    return query.where(or_(Order.buyer_id == actor.own_org, Order.seller_id == actor.own_org))


def order(view: View, actor: Actor, order_id: str) -> Order:
    """One order the actor may see. Raises OrderNotFound."""
    found = view.session.exec(visible_to(actor).where(Order.id == order_id)).first()
    if found is None:
        raise OrderNotFound(order=order_id)
    return found


def orders(
    view: View, actor: Actor, *, state: OrderState | None = None, before: str | None = None, limit: int = 50
) -> Sequence[Order]:
    """Orders the actor may see, newest first. `before`: the last id of the previous page."""
    query = visible_to(actor)
    if state:
        query = query.where(Order.state == state)
    if before:
        query = query.where(col(Order.id) < before)
    return view.session.exec(query.order_by(col(Order.id).desc()).limit(limit)).all()


def of_case(view: View, case_id: str) -> Order | None:
    """The order a case decides on."""
    return view.session.exec(select(Order).where(Order.case_id == case_id)).first()


def order_of_case(view: View, case_id: str) -> Order:
    """The order an order case decides on. Raises OrderNotFound."""
    found = of_case(view, case_id)
    if found is None:
        raise OrderNotFound(case=case_id)
    return found


def placed_by(view: View, person: str) -> int:
    """How many orders a person placed."""
    query = sa.select(sa.func.count()).select_from(Order).where(col(Order.placed_by) == person)
    return int(view.session.execute(query).scalar_one())


def last_deal_of(view: View, party_id: str) -> datetime | None:
    """When a party last placed or received an order, or held a license; None for one that never dealt."""
    mine = or_(Order.buyer_id == party_id, Order.seller_id == party_id)
    placed = view.session.exec(select(sa.func.max(Order.placed_at)).where(mine)).first()
    ended = select(sa.func.max(sa.func.coalesce(License.ended_at, License.serve_until, License.issued_at)))
    held = view.session.exec(
        ended.where(or_(License.buyer_id == party_id, License.seller_id == party_id))
    ).first()
    return max((moment for moment in (placed, held) if moment is not None), default=None)


def of_license(view: View, license_id: str) -> Order | None:
    """The order a license came of."""
    return view.session.exec(select(Order).where(Order.license_id == license_id)).first()


def paid_but_waiting(view: View, limit: int = 200) -> list[str]:
    """Ids of orders whose money is confirmed and whose license is not active yet: a reaction was lost."""
    query = select(Order.id).where(Order.state == OrderState.AWAITING_PAYMENT).order_by(col(Order.id))
    return [order_id for order_id in view.session.exec(query.limit(limit)) if is_paid(view, order_id)]


def overdue(view: View, at: datetime, limit: int = 200) -> list[str]:
    """Ids of orders nobody signed or paid in time."""
    query = select(Order.id).where(col(Order.expires_at) <= at).order_by(col(Order.expires_at)).limit(limit)
    return list(view.session.exec(query))


def readable_contract(view: View, actor: Actor, contract_id: str) -> Contract:
    """A contract one signs or oversees. Raises ContractNotFound."""
    if actor.roles & OVERSEERS:
        return one_contract(view, contract_id)
    return one_contract(view, contract_id, party_id=actor.own_org)


def readable_license(view: View, actor: Actor, license_id: str) -> License:
    """A license one holds, granted or oversees. Raises LicenseNotFound."""
    if actor.roles & OVERSEERS:
        return one_license(view, license_id)
    return one_license(view, license_id, party_id=actor.own_org)


def watched_anomalies(
    view: View, actor: Actor, *, before: str | None = None, limit: int = 50
) -> Sequence[UsageAnomaly]:
    """用量异常. Everything for those who may suspend licenses, a provider's own products for a provider; newest first."""
    everything = actor.may(Permission.LICENSE_SUSPEND)
    return anomalies(view, provider_id=None if everything else actor.own_org, before=before, limit=limit)
