"""开票 Issue invoices from priced lines, book them, take them back, and close a period for good."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from market.billing import books
from market.billing.document import content, freeze, note_content
from market.billing.ledger import Account, credited, invoiced, payable, prepaid, treasury
from market.billing.problems import (
    BooksDiffer,
    InvoiceDiffers,
    NothingToInvoice,
    PeriodClosed,
    SecondPersonNeeded,
)
from market.billing.rules import (
    INVOICE,
    Difference,
    InvoiceKind,
    InvoiceState,
    LicenseUsage,
    Parties,
    PeriodState,
    PricedLine,
    TaxedLine,
    TaxInvoice,
    shares,
    tax_lines,
    total,
)
from market.billing.settings import BillingSettings
from market.billing.tables import BillingPeriod, Invoice, InvoiceLine
from market.identity.rules import Actor, Permission
from market.mandates.pricing import book_revenue
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.ids import new_id
from storage.kernel.problem import Conflict, Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.sequence import document_number
from storage.unit import Unit


def issue_invoice(
    unit: Unit,
    *,
    kind: InvoiceKind,
    charge: str,
    period: str,
    parties: Parties,
    lines: Sequence[PricedLine],
    settings: BillingSettings,
    license_id: str | None = None,
    order_id: str | None = None,
    tax_invoice: TaxInvoice = TaxInvoice.GENERAL,
    draw_prepaid: bool = True,
) -> Invoice:
    """开具账单. Number, freeze and book an invoice in this Unit; prepaid money is drawn first.

    charge: what is invoiced, e.g. `usage:lic_…:2026-11` or `fee:ord_…`; issued again with the same
    content it is the same invoice, with other content InvoiceDiffers is raised.
    draw_prepaid: false for a fee that the buyer is about to pay by its own payment request.
    Raises NothingToInvoice for a zero amount, PeriodClosed for usage of a closed period, Invalid.
    """
    _check_parties(parties)
    if kind is InvoiceKind.USAGE:
        _lock_open_period(unit, period)
    taxed = tax_lines(lines, settings.tax_rate_bp)
    totals = total(taxed)
    if totals.gross_fen <= 0:
        raise NothingToInvoice(charge=charge)
    if known := _issued_before(unit, charge, taxed, parties):
        return known
    now = clock.now()
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    number = document_number(unit, "FP", today.year)
    if _by_charge(unit, charge):  # a twin was issued while this one waited for the number
        raise Conflict(charge=charge)
    buyer = str(parties.buyer["id"])
    drawn = 0
    if draw_prepaid:
        account = prepaid(buyer)
        drawn = min(books.lock_accounts(unit, [account])[account].balance_fen, totals.gross_fen)
    invoice = Invoice(
        id=new_id("inv"),
        number=number,
        kind=kind,
        charge=charge,
        license_id=license_id,
        order_id=order_id,
        buyer_id=buyer,
        payee_id=str(parties.payee["id"]),
        period=period,
        tax_invoice=tax_invoice,
        net_fen=totals.net_fen,
        tax_fen=totals.tax_fen,
        gross_fen=totals.gross_fen,
        issued_at=now,
        issued_by=unit.actor,
        due_on=today + timedelta(days=settings.due_days),
        document="",
        sha256="",
        paid_fen=drawn,
    )
    freeze(invoice, content(invoice, parties, taxed, totals, settings))
    if drawn == totals.gross_fen:
        invoice.state, invoice.paid_at = INVOICE.after(invoice.state, "pay"), now
    _keep(unit, invoice, taxed)
    booking = invoiced(number, buyer, _provider(parties), drawn, shares(totals, settings.platform_fee_bp))
    books.post(unit, booking, subject=f"invoice:{invoice.id}")
    unit.record("invoice.issued", f"invoice:{invoice.id}", **_facts(invoice))
    book_revenue(
        unit, license_id=license_id, invoice_id=invoice.id, period=period, amount_fen=invoice.gross_fen
    )
    if invoice.state is InvoiceState.PAID:
        unit.record("invoice.paid", f"invoice:{invoice.id}", **_facts(invoice))
    return invoice


def settle(unit: Unit, invoice_id: str, amount_fen: int) -> int:
    """销账. Use up to `amount_fen` of arrived money on an invoice; returns how much it took.

    A credited or already paid invoice takes nothing. The caller books the money in the same Unit.
    """
    invoice = _locked(unit, invoice_id)
    if "pay" not in INVOICE.verbs(invoice.state):
        return 0
    taken = min(amount_fen, invoice.gross_fen - invoice.paid_fen)
    invoice.paid_fen += taken
    if invoice.paid_fen == invoice.gross_fen:
        invoice.state, invoice.paid_at = INVOICE.after(invoice.state, "pay"), clock.now()
        unit.record("invoice.paid", f"invoice:{invoice.id}", **_facts(invoice))
    unit.session.add(invoice)
    unit.session.flush()
    return taken


def credit_invoice(
    unit: Unit, actor: Actor, invoice_id: str, *, reason: str, settings: BillingSettings
) -> Invoice:
    """红冲. Take an issued invoice back whole by a credit note; paid money returns to the buyer's prepaid.

    Raises SecondPersonNeeded when the actor issued the invoice, WrongState when it is credited already.
    """
    actor.require(Permission.INVOICE_ISSUE)
    invoice = _locked(unit, invoice_id)
    if invoice.kind is InvoiceKind.CREDIT_NOTE:
        raise NotFound(invoice=invoice_id)
    state = INVOICE.after(invoice.state, "credit")
    if invoice.issued_by == actor.id:
        raise SecondPersonNeeded(invoice=invoice.id)
    now = clock.now()
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    note = Invoice(
        **invoice.model_dump(exclude={"id", "number", "document", "sha256", "signature", "key_id"})
        | {
            "id": new_id("inv"),
            "number": document_number(unit, "HZ", today.year),
            "kind": InvoiceKind.CREDIT_NOTE,
            "charge": f"credit:{invoice.id}",
            "credits": invoice.id,
            "issued_at": now,
            "issued_by": actor.id,
            "due_on": today,
            "document": "",
            "sha256": "",
            "state": InvoiceState.PAID,
            "paid_fen": invoice.gross_fen,
            "paid_at": now,
        }
    )
    freeze(note, note_content(note, invoice))
    unit.session.add(note)
    open_fen = invoice.gross_fen - invoice.paid_fen
    booked = books.load(unit, f"invoice:{invoice.number}")
    invoice.state = state
    unit.session.add(invoice)
    unit.session.flush()
    books.post(unit, credited(note.number, booked, invoice.buyer_id, open_fen), subject=f"invoice:{note.id}")
    unit.record("invoice.credited", f"invoice:{invoice.id}", note=note.id, reason=reason, **_facts(invoice))
    book_revenue(
        unit, license_id=note.license_id, invoice_id=note.id, period=note.period, amount_fen=-note.gross_fen
    )
    return note


def mark_overdue(unit: Unit, *, today: date) -> list[Invoice]:
    """逾期. Every issued invoice whose day has passed (`today` in the market's zone)."""
    late = select(Invoice.id).where(col(Invoice.state) == InvoiceState.ISSUED, col(Invoice.due_on) < today)
    marked = []
    for invoice_id in sorted(unit.session.exec(late).all()):
        invoice = _locked(unit, invoice_id)
        if invoice.state is InvoiceState.ISSUED:
            invoice.state = INVOICE.after(invoice.state, "fall_due")
            unit.session.add(invoice)
            unit.record("invoice.overdue", f"invoice:{invoice.id}", **_facts(invoice))
            marked.append(invoice)
    return marked


def attach_signature(unit: Unit, invoice_id: str, *, signature: str, key_id: str) -> Invoice:
    """签章. Keep the document key's signature over the document's bytes; it is set once.

    Raises NotFound, Conflict when another signature is there.
    """
    invoice = _locked(unit, invoice_id)
    if invoice.signature is not None:
        if (invoice.signature, invoice.key_id) != (signature, key_id):
            raise Conflict(invoice=invoice_id)
        return invoice
    invoice.signature, invoice.key_id = signature, key_id
    unit.session.add(invoice)
    unit.record("invoice.signed", f"invoice:{invoice.id}", key_id=key_id, sha256=invoice.sha256)
    return invoice


def close_period(
    unit: Unit,
    actor: Actor,
    *,
    period: str,
    usages: Iterable[LicenseUsage],
    settings: BillingSettings,
    differences: Sequence[Difference] = (),
) -> BillingPeriod:
    """结账. Invoice the usage of every license in a month that is over, then close the month for good.

    usages: one per license, priced; those without an amount get no invoice.
    differences: what reconciliation found; any of them blocks the close.
    Raises BooksDiffer, PeriodClosed (closed before), Invalid for a month that is not over.
    """
    actor.require(Permission.PERIOD_CLOSE)
    if differences:
        raise BooksDiffer(differences=[{"check": d.check, "subject": d.subject} for d in differences])
    _check_over(period, settings.timezone)
    row = _lock_open_period(unit, period)
    for usage in sorted(usages, key=lambda usage: usage.license_id):
        if sum(line.gross_fen for line in usage.lines):
            issue_invoice(
                unit,
                kind=InvoiceKind.USAGE,
                charge=f"usage:{usage.license_id}:{period}",
                period=period,
                parties=usage.parties,
                lines=usage.lines,
                settings=settings,
                license_id=usage.license_id,
                order_id=usage.order_id,
                tax_invoice=usage.tax_invoice,
            )
    issued = unit.session.exec(
        select(Invoice)
        .where(col(Invoice.period) == period, col(Invoice.kind) == InvoiceKind.USAGE)
        .order_by(col(Invoice.number))
    ).all()
    row.state, row.closed_at, row.closed_by = PeriodState.CLOSED, clock.now(), actor.id
    row.invoices, row.gross_fen = len(issued), sum(invoice.gross_fen for invoice in issued)
    row.sha256 = digest([invoice.sha256 for invoice in issued])
    unit.session.add(row)
    unit.record(
        "period.closed",
        f"period:{period}",
        invoices=row.invoices,
        gross_fen=row.gross_fen,
        sha256=row.sha256,
    )
    return row


def _check_over(period: str, zone: str) -> None:
    try:
        _first, after = clock.period_bounds(period, zone)
    except ValueError:
        after = None
    if after is None or not re.fullmatch(r"[0-9]{4}-[0-9]{2}", period) or after > clock.now():
        raise invalid(
            "period", "period.over", "账期格式为 YYYY-MM，且须已结束。", "A month (YYYY-MM) that is over."
        )


def _lock_open_period(unit: Unit, period: str) -> BillingPeriod:
    row = books.lock_period(unit, period)
    if row.state is PeriodState.CLOSED:
        raise PeriodClosed(period=period)
    return row


def _check_parties(parties: Parties) -> None:
    if missing := parties.faults():
        words = Words("开票主体信息不完整。", "The party block is incomplete.")
        raise Invalid(*(Fault(name, "invoice.party", words) for name in missing))


def _provider(parties: Parties) -> Account:
    payee = str(parties.payee["id"])
    return treasury(payee) if parties.budget_unit else payable(payee)


def _by_charge(unit: Unit, charge: str) -> Invoice | None:
    return unit.session.exec(select(Invoice).where(col(Invoice.charge) == charge)).first()


def _issued_before(unit: Unit, charge: str, lines: Sequence[TaxedLine], parties: Parties) -> Invoice | None:
    known = _by_charge(unit, charge)
    if known is None:
        return None
    kept = unit.session.exec(
        select(InvoiceLine).where(col(InvoiceLine.invoice_id) == known.id).order_by(col(InvoiceLine.number))
    ).all()
    same = [(str(r.kind), r.period, r.quantity, r.gross_fen, r.tariff_id, r.merkle_root) for r in kept] == [
        (
            str(x.line.kind),
            x.line.period or known.period,
            x.line.quantity,
            x.line.gross_fen,
            x.line.tariff_id,
            x.line.merkle_root,
        )
        for x in lines
    ]
    if not same or known.buyer_id != parties.buyer["id"] or known.payee_id != parties.payee["id"]:
        raise InvoiceDiffers(charge=charge, invoice=known.id)
    return known


def _keep(unit: Unit, invoice: Invoice, lines: Sequence[TaxedLine]) -> None:
    unit.session.add(invoice)
    unit.session.flush()
    for number, taxed in enumerate(lines, start=1):
        unit.session.add(
            InvoiceLine(
                invoice_id=invoice.id,
                number=number,
                kind=taxed.line.kind,
                license_id=invoice.license_id,
                period=taxed.line.period or invoice.period,
                count=taxed.line.count,
                quantity=taxed.line.quantity,
                unit_price=str(taxed.line.unit_price),
                gross_fen=taxed.line.gross_fen,
                net_fen=taxed.net_fen,
                tax_fen=taxed.tax_fen,
                tariff_id=taxed.line.tariff_id,
                merkle_root=taxed.line.merkle_root,
            )
        )
    unit.session.flush()


def _locked(unit: Unit, invoice_id: str) -> Invoice:
    invoice = unit.session.get(Invoice, invoice_id, with_for_update=True, populate_existing=True)
    if invoice is None:
        raise NotFound(invoice=invoice_id)
    return invoice


def _facts(invoice: Invoice) -> dict[str, Any]:
    return {
        "number": invoice.number,
        "charge": invoice.charge,
        "order": invoice.order_id,
        "license": invoice.license_id,
        "gross_fen": invoice.gross_fen,
        "paid_fen": invoice.paid_fen,
        "sha256": invoice.sha256,
    }
