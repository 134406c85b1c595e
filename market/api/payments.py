"""Payments and invoices: what the buyer owes, what finance sees and confirms."""

from datetime import date, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from market.billing import actions, checkout, queries
from market.billing.rails import HowToPay, Rail
from market.billing.rules import InvoiceKind, InvoiceState, LineKind, PaymentState, Purpose, RailKind
from market.billing.signatures import signed_file
from market.billing.tables import Invoice
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from storage.kernel.problem import NotFound

router = APIRouter(tags=["payments"])
FINANCE = allow(Permission.PAYMENT_CONFIRM)
READ = allow(Permission.INVOICE_READ)
PAY = allow(
    Permission.ORDER_PLACE, Permission.OFFER_ACCEPT
)  # who reads an invoice only, as an auditor, pays none
Last = Annotated[str | None, Query(max_length=40)]
Limit = Annotated[int, Query(ge=1, le=200)]


class PaymentView(BaseModel, from_attributes=True):
    id: str
    order_id: str | None
    invoice_id: str | None
    payer_id: str
    payee_id: str
    purpose: Purpose
    amount_fen: int
    rail: RailKind
    reference: str
    state: PaymentState
    created_at: datetime
    expires_at: datetime | None
    received_by: str | None
    confirmed_by: str | None


class Receipt(BaseModel, extra="forbid"):
    amount_fen: int = Field(gt=0, strict=True, description="到账金额（分） fen on the bank statement")
    bank_reference: str = Field(min_length=4, max_length=64, description="银行流水号 the bank's own number")


class CheckoutForm(BaseModel, extra="forbid"):
    rail: RailKind = RailKind.BANK_TRANSFER


class PayView(BaseModel):
    rail: RailKind
    instructions: dict[str, Any]


class BalanceView(BaseModel):
    prepaid_fen: int
    owed_by_party_fen: int
    owed_to_party_fen: int


class InvoiceView(BaseModel, from_attributes=True):
    id: str
    number: str
    kind: InvoiceKind
    period: str
    license_id: str | None
    buyer_id: str
    payee_id: str
    net_fen: int
    tax_fen: int
    gross_fen: int
    paid_fen: int
    state: InvoiceState
    due_on: date
    sha256: str


class LineView(BaseModel, from_attributes=True):
    kind: LineKind
    period: str
    count: int | None  # events behind the quantity
    quantity: int
    unit_price: str
    gross_fen: int
    net_fen: int
    tax_fen: int
    tariff_id: str
    merkle_root: str | None


class InvoiceDetail(InvoiceView):
    lines: list[LineView]
    document: dict[str, Any]
    signature: str | None  # follows the issue by a moment
    key_id: str | None


def instructions(how: HowToPay) -> dict[str, Any]:
    """How to pay, as plain values."""
    return {name: getattr(how, name) for name in how.__dataclass_fields__ if name != "rail"}


def rail_of(house: HouseDep, kind: RailKind) -> Rail:
    """The rail asked for. Raises RailUnavailable when it is not set up."""
    return house.rail(kind)


@router.get("/payments", dependencies=[READ])
def own_payments(
    house: HouseDep, actor: ActorDep, before: Last = None, limit: Limit = queries.PAGE
) -> list[PaymentView]:
    """我的付款 · What your organization was asked to pay, newest first; `before` is the last id seen."""
    with house.store.view() as view:
        rows = queries.own_payments(view, actor, before=before, limit=limit)
        return [PaymentView.model_validate(row) for row in rows]


@router.get("/payments/queue", dependencies=[allow(Permission.PAYMENT_READ)])
def queue(
    house: HouseDep, actor: ActorDep, after: Last = None, limit: Limit = queries.PAGE
) -> list[PaymentView]:
    """付款待办 · What finance has to look at, oldest first; `after` is the last id seen."""
    with house.store.view() as view:
        rows = queries.payments_queue(view, actor, after=after, limit=limit)
        return [PaymentView.model_validate(row) for row in rows]


@router.get("/payments/{payment_id}", dependencies=[READ])
def payment(house: HouseDep, actor: ActorDep, payment_id: str) -> PaymentView:
    """付款单 · One payment request."""
    with house.store.view() as view:
        return PaymentView.model_validate(queries.payment(view, actor, payment_id))


@router.post("/payments/{payment_id}/checkout", dependencies=[PAY])
def how_to_pay(house: HouseDep, actor: ActorDep, payment_id: str, body: CheckoutForm) -> PayView:
    """如何付款 · The account and reference for a bank transfer, or a checkout page."""
    back = f"{house.settings.public_url}/payments/{payment_id}"
    how = checkout.open_checkout(house.store, rail_of(house, body.rail), actor, payment_id, back_to=back)
    return PayView(rail=body.rail, instructions=instructions(how))


@router.post("/payments/{payment_id}/receipt", dependencies=[FINANCE])
def receipt(work: Work, payment_id: str, body: Receipt) -> PaymentView:
    """登记到账 · The first finance person saw exactly this amount arrive."""
    return work.once(
        PaymentView,
        lambda unit: PaymentView.model_validate(
            actions.report_received(
                unit,
                work.actor,
                payment_id,
                amount_fen=body.amount_fen,
                bank_reference=body.bank_reference,
            )
        ),
    )


@router.post("/payments/{payment_id}/confirmation", dependencies=[FINANCE])
def confirm(work: Work, payment_id: str) -> PaymentView:
    """复核到账 · A second finance person confirms; the license becomes active."""
    return work.once(
        PaymentView,
        lambda unit: PaymentView.model_validate(actions.confirm_payment(unit, work.actor, payment_id)),
    )


@router.get("/balance", dependencies=[READ])
def balance(house: HouseDep, actor: ActorDep) -> BalanceView:
    """账户余额 · Your prepaid money, what you owe and what is owed to you (fen)."""
    with house.store.view() as view:
        found = queries.balance(view, actor, actor.own_org)
    return BalanceView(
        prepaid_fen=found.prepaid_fen,
        owed_by_party_fen=found.owed_by_party_fen,
        owed_to_party_fen=found.owed_to_party_fen,
    )


@router.get("/invoices", dependencies=[READ])
def invoices(
    house: HouseDep,
    actor: ActorDep,
    period: str | None = None,
    before: Last = None,
    limit: Limit = queries.PAGE,
) -> list[InvoiceView]:
    """账单 · Invoices you received or that pay you, newest first; `before` is the last id seen."""
    with house.store.view() as view:
        rows = queries.invoices(view, actor, period=period, before=before, limit=limit)
        return [InvoiceView.model_validate(row) for row in rows]


@router.get("/invoices/{invoice_id}", dependencies=[READ])
def invoice(house: HouseDep, actor: ActorDep, invoice_id: str) -> InvoiceDetail:
    """账单详情 · Lines, and the document exactly as issued."""
    with house.store.view() as view:
        found: tuple[Invoice, Any] = queries.invoice(view, actor, invoice_id)
        head, lines = found
        return InvoiceDetail(
            **InvoiceView.model_validate(head).model_dump(),
            lines=[LineView.model_validate(line) for line in lines],
            document=orjson.loads(head.document),
            signature=head.signature,
            key_id=head.key_id,
        )


@router.get("/invoices/{invoice_id}/file", dependencies=[READ])
def signed_invoice(house: HouseDep, actor: ActorDep, invoice_id: str) -> JSONResponse:
    """签名账单文件 · The signed file for `shugang verify invoice`; made a moment after the invoice."""
    with house.store.view() as view:
        found, _lines = queries.invoice(view, actor, invoice_id)
    file = signed_file(found)
    if file is None:
        raise NotFound(invoice=invoice_id)
    return JSONResponse(file, headers={"Content-Disposition": f'attachment; filename="{found.number}.json"'})
