"""对账 Compare every book of money with the one it should agree with; a difference is shown, never repaired."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from contracts.detached import public_keys
from contracts.keyring import trusted_keys
from market.billing.ledger import AccountKind, payment_id
from market.billing.rules import (
    HOLDING_REFUND,
    Difference,
    InvoiceKind,
    InvoiceState,
    PaymentState,
    RefundState,
    SuspenseState,
    WebhookEffect,
)
from market.billing.signatures import is_signed
from market.billing.tables import (
    AccountBalance,
    Invoice,
    InvoiceLine,
    LedgerPosting,
    LedgerTransaction,
    PaymentRequest,
    Refund,
    SuspenseItem,
    WebhookInbox,
)
from storage.kernel.canonical import sha256_hex
from storage.kernel.numbers import has_valid_check
from storage.unit import View


def differences(view: View) -> list[Difference]:
    """对账. Everything that does not agree, in a stable order; an empty list means the books are right."""
    return [
        *_balances(view),
        *_invoices(view),
        *_numbers(view),
        *_payments(view),
        *_suspense(view),
        *_refunds(view),
        *_inbox(view),
    ]


def broken_signatures(view: View) -> Iterator[Difference]:
    """签名核对. Issued documents ↔ their signatures; one not signed yet is no difference.

    Apart from `differences`, which a closing month waits for under its lock: each signature costs a part of
    a millisecond.
    """
    keys = public_keys(trusted_keys(view))
    signed = select(Invoice).where(col(Invoice.signature).is_not(None)).order_by(col(Invoice.number))
    for invoice in view.session.exec(signed.execution_options(yield_per=500)):
        if not is_signed(invoice, keys):
            yield Difference("invoice.signature", f"invoice:{invoice.number}", "ours", str(invoice.key_id))


def _balances(view: View) -> Iterator[Difference]:
    """Σ = 0, and each balance is the fold of its postings."""
    folded: Counter[str] = Counter()
    for side, sign in ((LedgerPosting.source, -1), (LedgerPosting.destination, 1)):
        sums = sa.select(col(side), sa.func.sum(col(LedgerPosting.amount_fen))).group_by(col(side))
        for account, amount in view.session.execute(sums):
            folded[account] += sign * int(amount)
    kept = {row.account: row.balance_fen for row in view.session.exec(select(AccountBalance))}
    if total := sum(kept.values()):
        yield Difference("ledger.zero", "ledger", 0, total)
    for account in sorted(folded.keys() | kept.keys()):
        if folded[account] != kept.get(account, 0):
            yield Difference("balance.fold", f"account:{account}", folded[account], kept.get(account, 0))


def _invoices(view: View) -> Iterator[Difference]:
    """Document ↔ lines ↔ totals ↔ ledger ↔ receivables."""
    lines = _line_sums(view)
    booked = _postings_by_transaction(view, "invoice:")
    owed: Counter[str] = Counter()
    for invoice in view.session.exec(select(Invoice).order_by(col(Invoice.number))):
        subject = f"invoice:{invoice.number}"
        yield from _document(invoice, subject)
        if invoice.kind is InvoiceKind.CREDIT_NOTE:
            continue
        for name, found in zip(("gross", "net", "tax"), lines.get(invoice.id, (0, 0, 0)), strict=True):
            expected = getattr(invoice, f"{name}_fen")
            if found != expected:
                yield Difference(f"invoice.lines_{name}", subject, expected, found)
        if booked.get(f"invoice:{invoice.number}", 0) != invoice.gross_fen:
            found = booked.get(f"invoice:{invoice.number}", 0)
            yield Difference("invoice.ledger", subject, invoice.gross_fen, found)
        if invoice.state is not InvoiceState.CREDITED:
            owed[invoice.buyer_id] += invoice.gross_fen - invoice.paid_fen
    yield from _compare(view, AccountKind.RECEIVABLE, {k: -v for k, v in owed.items()}, "invoice.receivable")


def _document(invoice: Invoice, subject: str) -> Iterator[Difference]:
    """What was issued ↔ hash ↔ the row."""
    if (found := sha256_hex(invoice.document.encode())) != invoice.sha256:
        yield Difference("invoice.hash", subject, invoice.sha256, found)
        return  # it may not even be JSON any more
    document = json.loads(invoice.document)
    if document["number"] != invoice.number:
        yield Difference("invoice.document", subject, invoice.number, str(document["number"]))
    if document["total"]["gross_fen"] != invoice.gross_fen:
        yield Difference("invoice.document", subject, document["total"]["gross_fen"], invoice.gross_fen)


def _numbers(view: View) -> Iterator[Difference]:
    """Invoice numbers have no gap and carry their check character."""
    last: dict[str, int] = {}
    for number in sorted(view.session.exec(select(Invoice.number)).all()):
        prefix, year, running, _check = number.split("-")
        expected = last.get(f"{prefix}-{year}", 0) + 1
        if int(running) != expected or not has_valid_check(number):
            yield Difference("invoice.gap", f"invoice:{number}", f"{prefix}-{year}-{expected:06d}", number)
        last[f"{prefix}-{year}"] = int(running)


def _payments(view: View) -> Iterator[Difference]:
    """Confirmed payments ↔ money that came in over their rail."""
    booked = _postings_by_transaction(view, "payment:")
    for row in view.session.exec(
        select(PaymentRequest)
        .where(col(PaymentRequest.state) == PaymentState.CONFIRMED)
        .order_by(col(PaymentRequest.id))
    ):
        found = booked.pop(payment_id(row.rail, row.bank_reference or ""), 0)
        if found != row.amount_fen:
            yield Difference("payment.clearing", f"payment:{row.id}", row.amount_fen, found)
    for item in view.session.exec(select(SuspenseItem).order_by(col(SuspenseItem.id))):
        found = booked.pop(payment_id(item.rail, item.rail_reference), 0)
        if found != item.amount_fen:
            yield Difference("suspense.clearing", f"suspense:{item.id}", item.amount_fen, found)
    for transaction, amount in sorted(booked.items()):
        yield Difference("clearing.unexplained", f"transaction:{transaction}", 0, amount)


def _suspense(view: View) -> Iterator[Difference]:
    """What is held in suspense ↔ the suspense accounts."""
    held: Counter[str] = Counter()
    for item in view.session.exec(select(SuspenseItem).where(col(SuspenseItem.state) == SuspenseState.HELD)):
        held[str(item.rail)] += item.amount_fen
    yield from _compare(view, AccountKind.SUSPENSE, dict(held), "suspense.held")


def _refunds(view: View) -> Iterator[Difference]:
    """What refunds hold ↔ the hold accounts; settled refunds ↔ money that left."""
    holding: Counter[str] = Counter()
    booked = _postings_by_transaction(view, "refund:")
    for row in view.session.exec(select(Refund).order_by(col(Refund.id))):
        if row.state in HOLDING_REFUND:
            holding[row.buyer_id] += row.amount_fen
        expected = row.amount_fen if row.state is RefundState.SETTLED else 0
        found = booked.pop(f"refund:{row.id}", 0)
        if found != expected:
            yield Difference("refund.clearing", f"refund:{row.id}", expected, found)
    for transaction, amount in sorted(booked.items()):
        yield Difference("refund.unexplained", f"transaction:{transaction}", 0, amount)
    yield from _compare(view, AccountKind.HOLD, dict(holding), "refund.held")


def _inbox(view: View) -> Iterator[Difference]:
    """Money a rail told of that could not be booked."""
    for row in view.session.exec(
        select(WebhookInbox)
        .where(col(WebhookInbox.effect) == WebhookEffect.UNBOOKED)
        .order_by(col(WebhookInbox.event_id))
    ):
        yield Difference("webhook.unbooked", f"webhook:{row.event_id}", "booked", str(row.effect))


def _compare(view: View, kind: AccountKind, expected: dict[str, int], check: str) -> Iterator[Difference]:
    rows = view.session.exec(select(AccountBalance).where(col(AccountBalance.kind) == kind))
    kept = {row.owner: row.balance_fen for row in rows}
    for owner in sorted(kept.keys() | expected.keys()):
        if kept.get(owner, 0) != expected.get(owner, 0):
            yield Difference(check, f"account:{kind}:{owner}", expected.get(owner, 0), kept.get(owner, 0))


def _line_sums(view: View) -> dict[str, tuple[int, int, int]]:
    sums = sa.select(
        col(InvoiceLine.invoice_id),
        sa.func.sum(col(InvoiceLine.gross_fen)),
        sa.func.sum(col(InvoiceLine.net_fen)),
        sa.func.sum(col(InvoiceLine.tax_fen)),
    ).group_by(col(InvoiceLine.invoice_id))
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in view.session.execute(sums)}


def _postings_by_transaction(view: View, prefix: str) -> dict[str, int]:
    """What each transaction whose id starts with `prefix` moved (fen)."""
    key: Any = col(LedgerTransaction.id)
    sums = (
        sa.select(key, sa.func.coalesce(sa.func.sum(col(LedgerPosting.amount_fen)), 0))
        .outerjoin(LedgerPosting, col(LedgerPosting.transaction_id) == key)
        .where(key.startswith(prefix))
        .group_by(key)
    )
    return {transaction: int(amount) for transaction, amount in view.session.execute(sums)}
