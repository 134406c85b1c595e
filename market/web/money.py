"""Money: payments and their two finance people, invoices, and the closing of months."""

from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.approvals.rules import reason_faults
from market.audit.queries import history
from market.billing import actions, checkout, queries
from market.billing.rules import PaymentState, RailKind
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties
from market.identity.rules import Permission
from market.trading.closing import close_month, count_month
from market.web.forms import GUARDED, FormDep, again, leave, once
from market.web.words import KINDS
from storage.kernel import clock
from storage.kernel.money import parse_yuan
from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Words
from storage.settings import Durability

router = APIRouter(dependencies=GUARDED)
READ = allow(Permission.INVOICE_READ)
PAY = allow(
    Permission.ORDER_PLACE, Permission.OFFER_ACCEPT
)  # who reads an invoice only, as an auditor, pays none
SEE = allow(Permission.INVOICE_READ, Permission.PAYMENT_READ)
FINANCE = allow(Permission.PAYMENT_CONFIRM)
OPEN = (PaymentState.AWAITING, PaymentState.RECEIVED)


@router.get("/payments", dependencies=[SEE])
def payments(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """收付款 · What finance has to look at; for others what their organization was asked to pay."""
    desk = actor.may(Permission.PAYMENT_READ)
    state = next((each for each in PaymentState if each.value == form["state"]), None)
    with house.store.view() as view:
        if desk:
            rows = queries.payments_queue(
                view, actor, states=(state,) if state else OPEN, after=form["after"]
            )
            balance = None
        else:
            rows = queries.own_payments(view, actor, before=form["before"])
            balance = queries.balance(view, actor, actor.own_org)
        people = parties(view, {row.payer_id for row in rows} | {row.payee_id for row in rows})
    return page(
        request,
        "payments.html",
        rows=rows,
        people=people,
        balance=balance,
        desk=desk,
        states=list(PaymentState),
        state=form["state"],
        limit=queries.PAGE,
    )


@router.get("/payments/{payment_id}", dependencies=[SEE])
def payment(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str) -> Response:
    """付款单 · How to pay it, for the payer; report and confirmation, for finance."""
    return _payment(request, house, actor, form, payment_id)


def _payment(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str, page_url: str = ""
) -> Response:
    with house.store.view() as view:
        row = queries.payment(view, actor, payment_id)
        story = history(view, f"payment:{row.id}")
        people = parties(view, {row.payer_id, row.payee_id} | {e.org for e in story if e.org})
    return page(
        request,
        "payment.html",
        form=form,
        payment=row,
        people=people,
        story=story,
        kinds=KINDS,
        account=house.settings.billing.bank_account,
        stripe=house.settings.stripe.on,
        page_url=page_url,
        paying=row.payer_id == actor.org and row.state is PaymentState.AWAITING,
        desk=actor.may(Permission.PAYMENT_CONFIRM),
        own=row.payer_id == actor.org,
        same_person=row.received_by == actor.id,
    )


@router.post("/payments/{payment_id}/checkout", dependencies=[PAY])
@again(payment)
def pay_online(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str
) -> Response:
    """在线支付 · Open a page at Stripe, and show the link to it; asked again it is the same page."""
    back = f"{house.settings.public_url}/payments/{payment_id}"
    rail = house.rail(RailKind.STRIPE)
    how = checkout.open_checkout(house.store, rail, actor, payment_id, back_to=back)
    return _payment(request, house, actor, form, payment_id, how.url or "")


@router.post("/payments/{payment_id}/receipt", dependencies=[FINANCE])
@again(payment)
def report(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str) -> Response:
    """登记到账 · The first finance person saw exactly this amount arrive."""
    amount_fen = parse_yuan(form["amount_fen"], "amount_fen")
    if not amount_fen:
        raise invalid("amount_fen", "required", "请填写到账金额。", "Write the amount received.")
    once(
        request,
        house,
        actor,
        form,
        lambda unit: (
            actions.report_received(
                unit, actor, payment_id, amount_fen=amount_fen, bank_reference=form["bank_reference"]
            ).id
        ),
    )
    return leave(f"/payments/{payment_id}", done="received")


@router.post("/payments/{payment_id}/confirmation", dependencies=[FINANCE])
@again(payment)
def confirm(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str) -> Response:
    """复核到账 · A second finance person confirms; the license becomes active."""
    if not form["agree"]:
        words = Words("请核对银行流水后勾选。", "Compare the bank statement, then tick.")
        raise Invalid(Fault("agree", "required", words))
    once(request, house, actor, form, lambda unit: actions.confirm_payment(unit, actor, payment_id).id)
    return leave(f"/payments/{payment_id}", done="confirmed")


@router.post("/payments/{payment_id}/return", dependencies=[FINANCE])
@again(payment)
def send_back(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, payment_id: str) -> Response:
    """退回登记 · The money cannot be found: the payment waits again."""
    if faults := reason_faults(form["reason"]):
        raise Invalid(*faults)
    once(
        request,
        house,
        actor,
        form,
        lambda unit: actions.send_back_payment(unit, actor, payment_id, reason=form["reason"]).id,
    )
    return leave(f"/payments/{payment_id}", done="sent_back")


@router.get("/invoices", dependencies=[READ])
def invoices(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """账单 · Invoices received, or that pay one's organization."""
    with house.store.view() as view:
        rows = queries.invoices(view, actor, period=form["period"] or None, before=form["before"])
        people = parties(view, {row.buyer_id for row in rows} | {row.payee_id for row in rows})
        balance = queries.balance(view, actor, actor.own_org) if actor.org else None
    return page(
        request, "invoices.html", form=form, rows=rows, people=people, balance=balance, limit=queries.PAGE
    )


@router.get("/invoices/{invoice_id}", dependencies=[READ])
def invoice(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, invoice_id: str) -> Response:
    """账单详情 · Lines and parties exactly as issued."""
    with house.store.view() as view:
        row, lines = queries.invoice(view, actor, invoice_id)
    said: dict[str, Any] = orjson.loads(row.document)
    owed_fen = row.gross_fen - row.paid_fen
    return page(
        request,
        "invoice.html",
        form=form,
        invoice=row,
        lines=lines,
        said=said,
        durability=said.get("durability") and Durability(said["durability"]),
        owed_fen=owed_fen,
        may_pay=row.buyer_id == actor.org and owed_fen > 0 and row.state.value in {"issued", "overdue"},
    )


@router.post("/invoices/{invoice_id}/payment", dependencies=[PAY])
@again(invoice)
def pay(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, invoice_id: str) -> Response:
    """付账单 · The payment request for what is still open."""
    payment_id = once(
        request, house, actor, form, lambda unit: actions.pay_invoice(unit, actor, invoice_id).id
    )
    return leave(f"/payments/{payment_id}", done="invoice_asked")


@router.get("/periods", dependencies=[allow(Permission.PAYMENT_READ)])
def periods(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """账期 · Months that were touched, and the closing of one that is over."""
    with house.store.view() as view:
        rows = queries.periods(view, actor)
    zone, grace = house.settings.timezone, timedelta(hours=house.settings.billing.close_after_hours)
    first, _after = clock.period_bounds(clock.period_of(clock.now() - grace, zone), zone)
    before = clock.period_of(first - timedelta(seconds=1), zone)
    return page(
        request,
        "periods.html",
        form=form.filled(period=before),
        rows=rows,
        hours=house.settings.billing.close_after_hours,
        may_close=actor.may(Permission.PERIOD_CLOSE),
    )


@router.post("/periods", dependencies=[allow(Permission.PERIOD_CLOSE)])
@again(periods)
def close(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """结账 · No usage enters the month any more, and it is invoiced."""
    settings = house.settings.billing
    counted = count_month(house.store, form["period"], settings)
    once(
        request,
        house,
        actor,
        form,
        lambda unit: close_month(unit, actor, form["period"], settings, counted).period,
    )
    return leave("/periods", done="closed")
