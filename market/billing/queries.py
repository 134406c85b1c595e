"""Reads about money, each within what the actor may know of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from market.billing import books
from market.billing.ledger import Account, AccountKind, payable, prepaid, receivable, treasury
from market.billing.rules import PaymentState, RefundState, SuspenseState, read_reference
from market.billing.tables import (
    BillingPeriod,
    Invoice,
    InvoiceLine,
    LedgerPosting,
    LedgerTransaction,
    PaymentRequest,
    Refund,
    SuspenseItem,
)
from market.identity.rules import Actor, Permission
from storage.kernel.problem import NotFound
from storage.unit import View

PAGE = 50
Row = TypeVar("Row", SuspenseItem, Refund, PaymentRequest, Invoice)


def payments_queue(
    view: View,
    actor: Actor,
    *,
    states: Iterable[PaymentState] = (PaymentState.AWAITING, PaymentState.RECEIVED),
    after: str | None = None,
    limit: int = PAGE,
) -> Sequence[PaymentRequest]:
    """付款待办. What finance has to look at, oldest first. after: the id of the last one seen."""
    actor.require(Permission.PAYMENT_READ)
    found = select(PaymentRequest).where(col(PaymentRequest.state).in_(list(states)))
    if after:
        found = found.where(col(PaymentRequest.id) > after)
    return view.session.exec(found.order_by(col(PaymentRequest.id)).limit(limit)).all()


def suspense_items(
    view: View, actor: Actor, *, state: SuspenseState, before: str | None = None, limit: int = PAGE
) -> Sequence[SuspenseItem]:
    """待查款项. Money in one state, newest first. before: the id of the last one seen."""
    actor.require(Permission.PAYMENT_READ)
    found = select(SuspenseItem).where(col(SuspenseItem.state) == state)
    return view.session.exec(_page(found, SuspenseItem.id, before, limit)).all()


def suspense_item(view: View, actor: Actor, item_id: str) -> SuspenseItem:
    """待查款项. One, for finance and auditors. Raises NotFound."""
    actor.require(Permission.PAYMENT_READ)
    row = view.session.get(SuspenseItem, item_id)
    if row is None:
        raise NotFound(suspense=item_id)
    return row


def refunds(
    view: View,
    actor: Actor,
    *,
    states: Iterable[RefundState] | None = None,
    license_id: str | None = None,
    before: str | None = None,
    limit: int = PAGE,
) -> Sequence[Refund]:
    """退款单. Those the actor may see (buyers their own; finance and auditors all), newest first."""
    found = select(Refund)
    if not actor.may(Permission.PAYMENT_READ):
        actor.require(Permission.INVOICE_READ)
        found = found.where(col(Refund.buyer_id) == actor.own_org)
    if states is not None:
        found = found.where(col(Refund.state).in_(list(states)))
    if license_id is not None:
        found = found.where(col(Refund.license_id) == license_id)
    return view.session.exec(_page(found, Refund.id, before, limit)).all()


def refund(view: View, actor: Actor, refund_id: str) -> Refund:
    """退款单. One, for its buyer, finance and auditors. Raises NotFound."""
    row = view.session.get(Refund, refund_id)
    if row is None or not _sees(actor, row.buyer_id):
        raise NotFound(refund=refund_id)
    return row


def _page(found: SelectOfScalar[Row], key: Any, before: str | None, limit: int) -> SelectOfScalar[Row]:
    """The rows after the last one seen; ids are in the order of time, so the newest come first."""
    if before:
        found = found.where(col(key) < before)
    return found.order_by(col(key).desc()).limit(limit)


def payment(view: View, actor: Actor, payment_id: str) -> PaymentRequest:
    """付款单. One request, for its payer, its payee, finance and auditors. Raises NotFound."""
    row = view.session.get(PaymentRequest, payment_id)
    if row is None or not _sees(actor, row.payer_id, row.payee_id):
        raise NotFound(payment=payment_id)
    return row


def payment_by_reference(view: View, actor: Actor, text: str) -> PaymentRequest:
    """按附言查找. The request whose reference stands on a bank statement. Raises Invalid, NotFound."""
    actor.require(Permission.PAYMENT_READ)
    code = read_reference(text)
    row = view.session.exec(select(PaymentRequest).where(col(PaymentRequest.reference) == code)).first()
    if row is None:
        raise NotFound(reference=code)
    return row


def is_paid(view: View, order_id: str) -> bool:
    """已付款. Whether what an order waited for has been confirmed."""
    found = select(PaymentRequest.id).where(
        col(PaymentRequest.order_id) == order_id,
        col(PaymentRequest.invoice_id).is_(None),
        col(PaymentRequest.state) == PaymentState.CONFIRMED,
    )
    return view.session.exec(found.limit(1)).first() is not None


def payments_of_order(view: View, actor: Actor, order_id: str) -> list[PaymentRequest]:
    """订单付款. An order's requests that the actor may see, oldest first."""
    rows = view.session.exec(
        select(PaymentRequest)
        .where(col(PaymentRequest.order_id) == order_id)
        .order_by(col(PaymentRequest.id))
    ).all()
    return [row for row in rows if _sees(actor, row.payer_id, row.payee_id)]


def own_payments(
    view: View, actor: Actor, *, before: str | None = None, limit: int = PAGE
) -> Sequence[PaymentRequest]:
    """我的付款. What the actor's organization was asked to pay, newest first. before: the last id seen."""
    actor.require(Permission.INVOICE_READ)
    found = select(PaymentRequest).where(col(PaymentRequest.payer_id) == actor.own_org)
    return view.session.exec(_page(found, PaymentRequest.id, before, limit)).all()


def invoices(
    view: View,
    actor: Actor,
    *,
    period: str | None = None,
    before: str | None = None,
    limit: int = PAGE,
) -> Sequence[Invoice]:
    """账单列表. Invoices the actor may see (as buyer or payee; finance and auditors all), newest first.

    before: the id of the last one seen.
    """
    actor.require(Permission.INVOICE_READ)
    found = select(Invoice)
    if not actor.may(Permission.PAYMENT_READ):
        own = actor.own_org
        found = found.where(sa.or_(col(Invoice.buyer_id) == own, col(Invoice.payee_id) == own))
    if period is not None:
        found = found.where(col(Invoice.period) == period)
    return view.session.exec(_page(found, Invoice.id, before, limit)).all()


def invoice(view: View, actor: Actor, invoice_id: str) -> tuple[Invoice, Sequence[InvoiceLine]]:
    """账单. One invoice by id or number, with its lines. Raises NotFound."""
    row = view.session.exec(
        select(Invoice).where(sa.or_(col(Invoice.id) == invoice_id, col(Invoice.number) == invoice_id))
    ).first()
    if row is None or not _sees(actor, row.buyer_id, row.payee_id):
        raise NotFound(invoice=invoice_id)
    return row, invoice_lines(view, row.id)


def issued_invoice(view: View, invoice_id: str) -> Invoice:
    """账单. One invoice by id, for the house itself. Raises NotFound."""
    row = view.session.get(Invoice, invoice_id)
    if row is None:
        raise NotFound(invoice=invoice_id)
    return row


def invoices_to_sign(view: View, *, limit: int = 1000) -> Sequence[str]:
    """Ids of invoices and credit notes without signature, oldest first: what a failed errand left."""
    query = select(Invoice.id).where(col(Invoice.signature).is_(None))
    return view.session.exec(query.order_by(col(Invoice.id)).limit(limit)).all()


def invoice_lines(view: View, invoice_id: str) -> Sequence[InvoiceLine]:
    """账单行. The lines of an invoice the caller has been shown."""
    return view.session.exec(
        select(InvoiceLine).where(col(InvoiceLine.invoice_id) == invoice_id).order_by(col(InvoiceLine.number))
    ).all()


def periods(view: View, actor: Actor) -> Sequence[BillingPeriod]:
    """账期. All months that have been touched, newest first."""
    actor.require(Permission.PAYMENT_READ)
    return view.session.exec(select(BillingPeriod).order_by(col(BillingPeriod.period).desc())).all()


@dataclass(frozen=True, slots=True)
class Balance:
    """账户余额 (fen). What a party has paid ahead, still owes, and is owed."""

    prepaid_fen: int
    owed_by_party_fen: int
    owed_to_party_fen: int


def balance(view: View, actor: Actor, party_id: str) -> Balance:
    """余额. Of the actor's own organization, or of any for finance and auditors. Raises NotFound."""
    if not _sees(actor, party_id):
        raise NotFound(party=party_id)
    return Balance(
        books.balance_of(view, prepaid(party_id)),
        -books.balance_of(view, receivable(party_id)),
        books.balance_of(view, payable(party_id)) + books.balance_of(view, treasury(party_id)),
    )


@dataclass(frozen=True, slots=True)
class StatementLine:
    """对账单行. One movement on one account and where the account stood after it (fen)."""

    at: datetime
    transaction_id: str
    subject: str
    amount_fen: int
    balance_fen: int


@dataclass(frozen=True, slots=True)
class Statement:
    """对账单. An account between two moments (from included, to excluded)."""

    account: str
    opening_fen: int
    lines: tuple[StatementLine, ...]
    closing_fen: int


def statement(
    view: View, actor: Actor, party_id: str, kind: AccountKind, *, since: datetime, until: datetime
) -> Statement:
    """对账单. Every movement on one of a party's accounts in a half-open time. Raises NotFound."""
    if not _sees(actor, party_id):
        raise NotFound(party=party_id)
    account = str(Account(kind, party_id))
    signed = sa.case(
        (col(LedgerPosting.destination) == account, col(LedgerPosting.amount_fen)),
        else_=-col(LedgerPosting.amount_fen),
    )
    moved = sa.func.sum(signed)
    rows = view.session.execute(
        sa.select(LedgerTransaction.at, LedgerTransaction.id, LedgerTransaction.subject, moved)  # type: ignore[call-overload]
        .join(LedgerPosting, col(LedgerPosting.transaction_id) == col(LedgerTransaction.id))
        .where(sa.or_(col(LedgerPosting.source) == account, col(LedgerPosting.destination) == account))
        .where(col(LedgerTransaction.at) < until)
        .group_by(LedgerTransaction.at, LedgerTransaction.id, LedgerTransaction.subject)
        .order_by(LedgerTransaction.at, LedgerTransaction.id)
    ).all()
    opening = sum(int(amount) for at, _id, _subject, amount in rows if at < since)
    running, lines = opening, []
    for at, transaction_id, subject, amount in rows:
        if at >= since:
            running += int(amount)
            lines.append(StatementLine(at, transaction_id, subject, int(amount), running))
    return Statement(account, opening, tuple(lines), running)


def _sees(actor: Actor, *owners: str) -> bool:
    """Finance and auditors see all; others with a billing right see what their organization is part of."""
    if actor.may(Permission.PAYMENT_READ):
        return True
    return actor.may(Permission.INVOICE_READ) and actor.org is not None and actor.org in owners
