"""账单文件 What an issued invoice says, as canonical JSON; pages and PDF are drawn from it."""

from collections.abc import Sequence
from typing import Any

from market.billing.rules import InvoiceKind, Parties, TaxedLine, Totals
from market.billing.settings import BillingSettings
from market.billing.tables import Invoice
from storage.kernel.canonical import canonical, sha256_hex

FORMAT = "shugang/invoice/1"


def content(
    invoice: Invoice,
    parties: Parties,
    lines: Sequence[TaxedLine],
    totals: Totals,
    settings: BillingSettings,
) -> dict[str, Any]:
    """账单内容. All that an invoice says; party blocks as they stand now.

    durability: of the charges behind an invoice of usage, as set when it is issued; a fee has none.
    """
    return {
        "format": FORMAT,
        "number": invoice.number,
        "kind": str(invoice.kind),
        "tax_invoice": str(invoice.tax_invoice),
        "issued_at": invoice.issued_at.isoformat(),
        "due_on": invoice.due_on.isoformat(),
        "period": invoice.period,
        "license": invoice.license_id,
        "order": invoice.order_id,
        "buyer": dict(parties.buyer),
        "seller": dict(parties.seller),
        "payee": dict(parties.payee),
        "currency": "CNY",
        "tax_rate_bp": settings.tax_rate_bp,
        "durability": str(settings.durability) if invoice.kind is InvoiceKind.USAGE else None,
        "lines": [
            {
                "number": number,
                "kind": str(taxed.line.kind),
                "period": taxed.line.period or invoice.period,
                "count": taxed.line.count,
                "quantity": taxed.line.quantity,
                "unit_price_fen": str(taxed.line.unit_price),
                "gross_fen": taxed.line.gross_fen,
                "net_fen": taxed.net_fen,
                "tax_fen": taxed.tax_fen,
                "tariff": taxed.line.tariff_id,
                "merkle_root": taxed.line.merkle_root,
            }
            for number, taxed in enumerate(lines, start=1)
        ],
        "total": {
            "net_fen": totals.net_fen,
            "tax_fen": totals.tax_fen,
            "gross_fen": totals.gross_fen,
            "prepaid_fen": invoice.paid_fen,
            "due_fen": totals.gross_fen - invoice.paid_fen,
        },
    }


def note_content(note: Invoice, invoice: Invoice) -> dict[str, Any]:
    """红字账单内容. Names the invoice taken back by number and hash."""
    return {
        "format": FORMAT,
        "number": note.number,
        "kind": str(note.kind),
        "issued_at": note.issued_at.isoformat(),
        "credits": {"number": invoice.number, "sha256": invoice.sha256},
        "currency": "CNY",
        "total": {"net_fen": note.net_fen, "tax_fen": note.tax_fen, "gross_fen": note.gross_fen},
    }


def freeze(invoice: Invoice, said: dict[str, Any]) -> None:
    """Put the canonical bytes and their hash on the invoice."""
    document = canonical(said)
    invoice.document, invoice.sha256 = document.decode(), sha256_hex(document)
