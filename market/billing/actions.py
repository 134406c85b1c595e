"""Verbs about money: ask for it, see it arrive, confirm it with a second person, hold what fits nothing.

`issue_invoice`, `credit_invoice`, `close_period` and their kin live in `invoicing` and are offered here too.
"""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.billing import books
from market.billing.invoicing import (
    attach_signature,
    close_period,
    credit_invoice,
    issue_invoice,
    mark_overdue,
    settle,
)
from market.billing.ledger import Posting, Transaction, clearing, payment_id, prepaid, receivable, received
from market.billing.ledger import returned as money_returned
from market.billing.ledger import suspense as suspense_account
from market.billing.problems import AmountDiffers, BankReferenceUsed, SecondPersonNeeded
from market.billing.rules import (
    INVOICE,
    OPEN_PAYMENT,
    PAYMENT,
    PaymentState,
    Purpose,
    RailKind,
    SuspenseReason,
    SuspenseState,
    new_reference,
    read_bank_reference,
)
from market.billing.tables import Invoice, PaymentRequest, Refund, SuspenseItem
from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.money import MAX_FEN
from storage.kernel.problem import Conflict, NotFound, WrongState, invalid
from storage.unit import Unit

__all__ = [
    "attach_signature",
    "book_suspense",
    "cancel_order_payments",
    "cancel_payment",
    "close_period",
    "confirm_payment",
    "credit_invoice",
    "expire_payments",
    "issue_invoice",
    "mark_overdue",
    "pay_invoice",
    "report_received",
    "request_payment",
    "return_suspense",
    "send_back_payment",
    "suspend",
    "take_payment",
]


def request_payment(
    unit: Unit,
    *,
    payer_id: str,
    payee_id: str,
    amount_fen: int,
    purpose: Purpose,
    order_id: str | None = None,
    invoice_id: str | None = None,
    rail: RailKind = RailKind.BANK_TRANSFER,
    expires_at: datetime | None = None,
) -> PaymentRequest:
    """开付款单. Ask a buyer for `amount_fen` (more than zero); asked again while open, it is the same one.

    Call it with the order's (or invoice's) row locked. Raises Invalid for an impossible amount, Conflict
    when another amount is already being asked for the same thing.
    """
    whole_fen("amount_fen", amount_fen)
    if (purpose is Purpose.INVOICE) != (invoice_id is not None) or (order_id is None and invoice_id is None):
        raise ValueError("a payment is for an order, or for an invoice with purpose `invoice`")
    known = unit.session.exec(
        select(PaymentRequest).where(
            col(PaymentRequest.order_id) == order_id,
            col(PaymentRequest.invoice_id) == invoice_id,
            col(PaymentRequest.purpose) == purpose,
            col(PaymentRequest.state).in_(OPEN_PAYMENT),
        )
    ).first()
    if known is not None:
        if known.amount_fen != amount_fen:
            raise Conflict(payment=known.id, amount_fen=known.amount_fen)
        return known
    payment = PaymentRequest(
        id=new_id("pay"),
        order_id=order_id,
        invoice_id=invoice_id,
        payer_id=payer_id,
        payee_id=payee_id,
        purpose=purpose,
        amount_fen=amount_fen,
        rail=rail,
        reference=new_reference(),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    unit.session.add(payment)
    unit.session.flush()
    _record(unit, "payment.requested", payment)
    return payment


def pay_invoice(unit: Unit, actor: Actor, invoice_id: str) -> PaymentRequest:
    """付账单. The payment request for what is still open on an invoice of the actor's organization.

    Raises NotFound for another organization's invoice, WrongState when nothing is owed.
    """
    actor.require(Permission.INVOICE_READ)
    invoice = unit.session.get(Invoice, invoice_id, with_for_update=True, populate_existing=True)
    if invoice is None or invoice.buyer_id != actor.own_org:
        raise NotFound(invoice=invoice_id)
    INVOICE.after(invoice.state, "pay")
    return request_payment(
        unit,
        order_id=invoice.order_id,
        invoice_id=invoice.id,
        payer_id=invoice.buyer_id,
        payee_id=invoice.payee_id,
        amount_fen=invoice.gross_fen - invoice.paid_fen,
        purpose=Purpose.INVOICE,
    )


def report_received(
    unit: Unit, actor: Actor, payment: str, *, amount_fen: int, bank_reference: str
) -> PaymentRequest:
    """登记到账. The first finance person saw exactly this amount on the bank statement.

    bank_reference: the bank's own number of the transfer; one transfer is booked once.
    Raises AmountDiffers, BankReferenceUsed, WrongState, OwnDecision (the payer's own people).
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    row = _locked(unit, payment)
    _not_the_payer(actor, row)
    state = PAYMENT.after(row.state, "report")
    if whole_fen("amount_fen", amount_fen) != row.amount_fen:
        raise AmountDiffers(amount_fen=row.amount_fen, received_fen=amount_fen)
    reference = read_bank_reference(bank_reference)
    refuse_used(unit, RailKind.BANK_TRANSFER, reference)
    row.state, row.rail, row.bank_reference = state, RailKind.BANK_TRANSFER, reference
    row.received_at, row.received_by = clock.now(), actor.id
    unit.session.add(row)
    try:
        unit.session.flush()
    except IntegrityError as error:  # somebody reported the same transfer in the same instant
        raise BankReferenceUsed(bank_reference=reference) from error
    _record(unit, "payment.received", row, bank_reference=reference)
    return row


def send_back_payment(unit: Unit, actor: Actor, payment: str, *, reason: str) -> PaymentRequest:
    """退回登记. The report was wrong (or the second person does not find the money): it waits again."""
    actor.require(Permission.PAYMENT_CONFIRM)
    row = _locked(unit, payment)
    row.state = PAYMENT.after(row.state, "send_back")
    row.bank_reference = row.received_at = row.received_by = None
    unit.session.add(row)
    _record(unit, "payment.sent_back", row, reason=reason)
    return row


def confirm_payment(unit: Unit, actor: Actor, payment: str) -> PaymentRequest:
    """复核到账. A second finance person confirms; the money is booked and what it pays for goes on.

    Of two at once one wins and the other is told (WrongState). Raises SecondPersonNeeded when the
    actor reported it, OwnDecision for the payer's own people.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    row = _locked(unit, payment)
    _not_the_payer(actor, row)
    state = PAYMENT.after(row.state, "confirm")
    if row.received_by == actor.id:
        raise SecondPersonNeeded(payment=row.id)
    row.confirmed_at, row.confirmed_by = clock.now(), actor.id
    return _confirmed(unit, row, state)


def take_payment(unit: Unit, row: PaymentRequest, *, rail: RailKind, rail_reference: str) -> PaymentRequest:
    """自动到账. A rail that proves its messages took exactly the amount due; no people are needed.

    row: locked by the caller. Raises WrongState unless it is awaiting payment.
    """
    row.state, row.rail, row.bank_reference = PAYMENT.after(row.state, "report"), rail, rail_reference
    row.received_at = row.confirmed_at = clock.now()
    row.received_by = row.confirmed_by = unit.actor
    return _confirmed(unit, row, PAYMENT.after(row.state, "confirm"))


def _confirmed(unit: Unit, row: PaymentRequest, state: PaymentState) -> PaymentRequest:
    row.state = state
    unit.session.add(row)
    unit.session.flush()
    settled = settle(unit, row.invoice_id, row.amount_fen) if row.invoice_id else 0
    # What no invoice takes (any more) is the buyer's money: it stays on the prepaid account.
    parts = {receivable(row.payer_id): settled, prepaid(row.payer_id): row.amount_fen - settled}
    assert row.bank_reference is not None
    transaction = Transaction(
        payment_id(row.rail, row.bank_reference),
        tuple(Posting(clearing(row.rail), account, fen) for account, fen in parts.items() if fen),
    )
    if not books.post(unit, transaction, subject=f"payment:{row.id}"):
        raise BankReferenceUsed(bank_reference=row.bank_reference)
    _record(unit, "payment.confirmed", row)
    return row


def cancel_payment(unit: Unit, payment: str, *, reason: str) -> PaymentRequest:
    """取消付款单. Nobody has paid and nobody shall. Raises WrongState once money has arrived."""
    row = _locked(unit, payment)
    row.state = PAYMENT.after(row.state, "cancel")
    unit.session.add(row)
    _record(unit, "payment.cancelled", row, reason=reason)
    return row


def cancel_order_payments(unit: Unit, order_id: str, *, reason: str) -> list[PaymentRequest]:
    """取消订单付款. Cancel what an order still waits for; what is owed on its invoices stays owed.

    Raises WrongState when money has been reported for it: that is confirmed or sent back first.
    """
    ids = unit.session.exec(
        select(PaymentRequest.id)
        .where(
            col(PaymentRequest.order_id) == order_id,
            col(PaymentRequest.invoice_id).is_(None),
            col(PaymentRequest.state).in_(OPEN_PAYMENT),
        )
        .order_by(col(PaymentRequest.id))
    ).all()
    return [cancel_payment(unit, payment, reason=reason) for payment in ids]


def expire_payments(unit: Unit, *, at: datetime | None = None) -> list[PaymentRequest]:
    """付款过期. End every request whose time is up; money that arrives later goes to suspense."""
    due = select(PaymentRequest.id).where(
        col(PaymentRequest.state) == PaymentState.AWAITING,
        col(PaymentRequest.expires_at) <= (at or clock.now()),
    )
    expired = []
    for payment in sorted(unit.session.exec(due).all()):
        row = _locked(unit, payment)
        if row.state is PaymentState.AWAITING:
            row.state = PAYMENT.after(row.state, "expire")
            unit.session.add(row)
            _record(unit, "payment.expired", row)
            expired.append(row)
    return expired


def book_suspense(
    unit: Unit, actor: Actor, *, amount_fen: int, bank_reference: str, payment: str | None = None
) -> SuspenseItem:
    """转入待查. Money on the bank statement that fits no payment: unknown, another amount, or too late.

    payment: the request it was probably meant for. Raises BankReferenceUsed, NotFound.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    whole_fen("amount_fen", amount_fen)
    reason = SuspenseReason.UNKNOWN
    if payment is not None:
        row = _locked(unit, payment)
        open_ = row.state is PaymentState.AWAITING
        if open_ and row.amount_fen == amount_fen:
            raise WrongState(thing="payment", state=str(row.state), verb="suspend", allowed=["report"])
        reason = SuspenseReason.AMOUNT if open_ else SuspenseReason.CLOSED
    reference = read_bank_reference(bank_reference)
    refuse_used(unit, RailKind.BANK_TRANSFER, reference)
    return suspend(
        unit,
        rail=RailKind.BANK_TRANSFER,
        reference=reference,
        amount_fen=amount_fen,
        reason=reason,
        payment=payment,
    )


def suspend(
    unit: Unit,
    *,
    rail: RailKind,
    reference: str,
    amount_fen: int,
    reason: SuspenseReason,
    payment: str | None,
) -> SuspenseItem:
    """Book money to suspense for whoever has checked that it belongs there (finance, or a rail's webhook)."""
    item = SuspenseItem(
        id=new_id("sus"),
        rail=rail,
        rail_reference=reference,
        amount_fen=amount_fen,
        reason=reason,
        payment_id=payment,
        booked_at=clock.now(),
        booked_by=unit.actor,
    )
    booking = received(rail, reference, suspense_account(rail), amount_fen)
    if not books.post(unit, booking, subject=f"suspense:{item.id}"):
        raise BankReferenceUsed(bank_reference=reference)
    unit.session.add(item)
    unit.record(
        "payment.suspended",
        f"suspense:{item.id}",
        payment=payment,
        rail=str(rail),
        amount_fen=amount_fen,
        why=str(reason),
    )
    return item


def return_suspense(unit: Unit, actor: Actor, item_id: str, *, reason: str) -> SuspenseItem:
    """退回待查款项. A second finance person has sent the money back the way it came."""
    actor.require(Permission.PAYMENT_CONFIRM)
    item = unit.session.get(SuspenseItem, item_id, with_for_update=True, populate_existing=True)
    if item is None:
        raise NotFound(suspense=item_id)
    if item.state is not SuspenseState.HELD:
        raise WrongState(thing="suspense", state=str(item.state), verb="return", allowed=[])
    if item.booked_by == actor.id:
        raise SecondPersonNeeded(suspense=item.id)
    item.state, item.returned_at, item.returned_by = SuspenseState.RETURNED, clock.now(), actor.id
    unit.session.add(item)
    books.post(unit, money_returned(item.id, item.rail, item.amount_fen), subject=f"suspense:{item.id}")
    unit.record("suspense.returned", f"suspense:{item.id}", amount_fen=item.amount_fen, reason=reason)
    return item


def whole_fen(field: str, amount: int) -> int:
    """`amount` when it is a positive whole number of fen. Raises Invalid, also for a float or a bool."""
    if type(amount) is not int or not 0 < amount <= MAX_FEN:
        raise invalid(
            field, "money.positive", "金额须为大于零的整数（分）。", "A positive whole number of fen."
        )
    return amount


def _locked(unit: Unit, payment: str) -> PaymentRequest:
    row = unit.session.get(PaymentRequest, payment, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(payment=payment)
    return row


def _not_the_payer(actor: Actor, row: PaymentRequest) -> None:
    if actor.belongs_to(row.payer_id):
        raise OwnDecision(payment=row.id)


def refuse_used(unit: Unit, rail: RailKind, reference: str) -> None:
    """Tell early that a transfer was reported or booked; the unique indexes and the ledger's id are the judges.

    Raises BankReferenceUsed.
    """
    reported = select(PaymentRequest.id).where(
        col(PaymentRequest.rail) == rail, col(PaymentRequest.bank_reference) == reference
    )
    sent = select(Refund.id).where(col(Refund.bank_reference) == reference)
    if (
        unit.session.exec(sent).first()
        or unit.session.exec(reported).first()
        or books.booked(unit, payment_id(rail, reference))
    ):
        raise BankReferenceUsed(bank_reference=reference)


def _record(unit: Unit, kind: str, row: PaymentRequest, **more: str) -> None:
    unit.record(
        kind,
        f"payment:{row.id}",
        order=row.order_id,
        invoice=row.invoice_id,
        purpose=str(row.purpose),
        rail=str(row.rail),
        amount_fen=row.amount_fen,
        **more,
    )
