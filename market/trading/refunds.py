"""退款 What is left of the money paid for an ended license, and asking for it back."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import col, select

from contracts.rules import LICENSE
from contracts.tables import License
from contracts.terms import Tier
from market.billing import books, refunding
from market.billing.ledger import hold, prepaid, receivable
from market.billing.problems import AccountMissing, NothingToRefund, UsageUnbilled
from market.billing.rules import HOLDING_REFUND, InvoiceKind, InvoiceState, PaymentState, RefundState
from market.billing.settings import BillingSettings
from market.billing.tables import Invoice, PaymentRequest, Refund
from market.identity.queries import party
from market.identity.rules import Actor, Permission
from market.trading.closing import gross_of, refuse_while_reported
from market.trading.queries import of_license
from metering.queries import periods_of
from storage.kernel.problem import NotFound, WrongState
from storage.unit import Unit, View


@dataclass(frozen=True, slots=True)
class Left:
    """结余 (fen). What was paid for a license, invoiced for it, and sent back or set aside before."""

    paid_fen: int
    invoiced_fen: int
    refunded_fen: int
    available_fen: int  # what the buyer's account could give: prepaid less what is owed on invoices

    @property
    def refundable_fen(self) -> int:
        """What can go back; never more than the account holds."""
        return max(0, min(self.paid_fen - self.invoiced_fen - self.refunded_fen, self.available_fen))


def ask_refund(unit: Unit, actor: Actor, license_id: str, settings: BillingSettings) -> Refund:
    """申请退款. Ask for what is left of the prepayment of the actor's ended license; twice is once.

    Raises NotFound for another's license, WrongState while it can still be used, UseStillReported, UsageUnbilled,
    NothingToRefund, AccountMissing when nobody knows where to send it.
    """
    actor.require(Permission.REFUND_ASK)
    row = unit.session.get(License, license_id, with_for_update={"key_share": True}, populate_existing=True)
    if row is None or row.buyer_id != actor.own_org or row.tier is not Tier.COMMERCIAL:
        raise NotFound(license=license_id)
    if not LICENSE.ended(row.state):
        raise WrongState(
            thing="license", state=str(row.state), verb="refund", allowed=LICENSE.verbs(row.state)
        )
    known = _open_refund(unit, license_id)
    if known is not None:
        return known
    refuse_while_reported(unit, license_id)
    if period := _unbilled(unit, row, settings):
        raise UsageUnbilled(license=license_id, period=period)
    order = of_license(unit, license_id)
    if order is None:
        raise NothingToRefund(license=license_id)
    account = party(unit, row.buyer_id).bank_account.strip()
    if not account:
        raise AccountMissing(party=row.buyer_id)
    # The account is locked first: what is read of it stands until the money is set aside.
    buyer = row.buyer_id
    books.lock_accounts(unit, [hold(buyer), prepaid(buyer), receivable(buyer)])
    left = left_of(unit, row, order.id)
    if not left.refundable_fen:
        raise NothingToRefund(license=license_id, paid_fen=left.paid_fen, invoiced_fen=left.invoiced_fen)
    return refunding.open_refund(
        unit,
        actor,
        license_id=license_id,
        order_id=order.id,
        amount_fen=left.refundable_fen,
        bank_account=account,
    )


def left_of(view: View, row: License, order_id: str) -> Left:
    """结余. What is left of the money paid for a license, from its payments, invoices and refunds."""
    paid = _sum(
        view,
        PaymentRequest.amount_fen,
        col(PaymentRequest.order_id) == order_id,
        col(PaymentRequest.state) == PaymentState.CONFIRMED,
    )
    invoiced = _sum(
        view,
        Invoice.gross_fen,
        col(Invoice.license_id) == row.id,
        col(Invoice.kind) != InvoiceKind.CREDIT_NOTE,
        col(Invoice.state) != InvoiceState.CREDITED,
    )
    refunded = _sum(
        view,
        Refund.amount_fen,
        col(Refund.license_id) == row.id,
        col(Refund.state).in_((*HOLDING_REFUND, RefundState.SETTLED)),
    )
    owed = -books.balance_of(view, receivable(row.buyer_id))
    return Left(paid, invoiced, refunded, books.balance_of(view, prepaid(row.buyer_id)) - owed)


def _sum(view: View, amount: int, *where: sa.ColumnElement[bool]) -> int:
    total = sa.select(sa.func.coalesce(sa.func.sum(col(amount)), 0)).where(*where)
    return int(view.session.execute(total).scalar_one())


def _open_refund(view: View, license_id: str) -> Refund | None:
    return view.session.exec(
        select(Refund).where(col(Refund.license_id) == license_id, col(Refund.state).in_(HOLDING_REFUND))
    ).first()


def _unbilled(view: View, row: License, settings: BillingSettings) -> str | None:
    """The first month whose use of the license has no invoice, or None."""
    late = periods_of(view, row.id)  # which may be after its end
    for period in sorted({*_months(row, settings.timezone), *late}):
        charge = select(Invoice.id).where(
            col(Invoice.charge) == f"usage:{row.id}:{period}",
        )
        if view.session.exec(charge).first():
            continue
        if gross_of(view, row, period, settings):
            return period
    return None


def _months(row: License, zone: str) -> list[str]:
    """The months (`YYYY-MM`) from the first to the last day of an ended license."""
    if row.serve_from is None or row.ended_at is None:
        return []
    first, last = row.serve_from.astimezone(ZoneInfo(zone)), row.ended_at.astimezone(ZoneInfo(zone))
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in months]
