"""Money that goes back: suspense, and refunds of what was paid ahead; one finance person acts, another confirms."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.approvals.rules import reason_faults
from market.audit.queries import history
from market.billing import actions, checkout, queries, refunding
from market.billing.rails import RefundingRail
from market.billing.rules import HOLDING_REFUND, RailKind, RefundState, SuspenseState
from market.billing.tables import Refund
from market.house import House
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties
from market.identity.rules import Actor, Permission
from market.trading.refunds import ask_refund
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.licenses import license_page
from market.web.words import KINDS
from storage.kernel.money import parse_yuan
from storage.kernel.problem import Fault, Invalid, invalid
from storage.kernel.words import Words
from storage.unit import Unit

router = APIRouter(dependencies=GUARDED)
DESK = allow(Permission.PAYMENT_READ)
SEE = allow(Permission.INVOICE_READ, Permission.PAYMENT_READ)
FINANCE = allow(Permission.PAYMENT_CONFIRM)
ASK = allow(Permission.REFUND_ASK)


@router.get("/suspense", dependencies=[DESK])
def suspense(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """待查款项 · Money that fits no payment, and the form to book more of it."""
    chosen = form["state"] if request.method == "GET" else ""
    state = next((each for each in SuspenseState if each.value == chosen), SuspenseState.HELD)
    before = form["before"] if request.method == "GET" else ""
    with house.store.view() as view:
        rows = queries.suspense_items(view, actor, state=state, before=before)
    return page(
        request,
        "suspense.html",
        form=form,
        rows=rows,
        states=list(SuspenseState),
        state=state.value,
        limit=queries.PAGE,
        desk=actor.may(Permission.PAYMENT_CONFIRM),
    )


@router.post("/suspense", dependencies=[FINANCE])
@again(suspense)
def book(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """转入待查 · Book money of the bank statement that fits no payment."""
    amount_fen = parse_yuan(form["amount_fen"], "amount_fen")
    if not amount_fen:
        raise invalid("amount_fen", "required", "请填写到账金额。", "Write the amount received.")

    def act(unit: Unit) -> str:
        meant = queries.payment_by_reference(unit, actor, form["reference"]) if form["reference"] else None
        return actions.book_suspense(
            unit,
            actor,
            amount_fen=amount_fen,
            bank_reference=form["bank_reference"],
            payment=meant.id if meant else None,
        ).id

    item_id = once(request, house, actor, form, act)
    return leave(f"/suspense/{item_id}", done="suspended")


@router.get("/suspense/{item_id}", dependencies=[DESK])
def suspense_item(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, item_id: str
) -> Response:
    """待查款项 · One sum, and its return."""
    with house.store.view() as view:
        item = queries.suspense_item(view, actor, item_id)
        story = history(view, f"suspense:{item.id}")
        people = parties(view, {e.org for e in story if e.org})
    return page(
        request,
        "suspense_item.html",
        form=form,
        item=item,
        story=story,
        kinds=KINDS,
        people=people,
        desk=actor.may(Permission.PAYMENT_CONFIRM),
        same_person=item.booked_by == actor.id,
    )


@router.post("/suspense/{item_id}/return", dependencies=[FINANCE])
@again(suspense_item)
def give_back(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, item_id: str) -> Response:
    """退回待查款项 · A second finance person sends it back the way it came; Stripe does so by itself."""
    faults = list(reason_faults(form["reason"]))
    if not form["agree"]:
        words = Words("请核对银行流水后勾选。", "Compare the bank statement, then tick.")
        faults.append(Fault("agree", "required", words))
    if faults:
        raise Invalid(*faults)
    with house.store.view() as view:
        item = queries.suspense_item(view, actor, item_id)
    if item.rail is RailKind.STRIPE:
        rail = house.rail(RailKind.STRIPE)
        assert isinstance(rail, RefundingRail)
        checkout.refund_suspense(house.store, rail, actor, item_id, reason=form["reason"])
    else:
        once(
            request,
            house,
            actor,
            form,
            lambda unit: actions.return_suspense(unit, actor, item_id, reason=form["reason"]).id,
        )
    return leave(f"/suspense/{item_id}", done="returned")


@router.post("/licenses/{license_id}/refund", dependencies=[ASK])
@again(license_page)
def ask(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, license_id: str) -> Response:
    """申请退款 · Ask for what is left of the prepayment of an ended license."""
    refund_id = once(
        request,
        house,
        actor,
        form,
        lambda unit: ask_refund(unit, actor, license_id, house.settings.billing).id,
    )
    return leave(f"/refunds/{refund_id}", done="refund_asked")


@router.get("/refunds", dependencies=[SEE])
def refunds(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """退款 · What finance has to send; for others what their organization asked for."""
    desk = actor.may(Permission.PAYMENT_READ)
    state = next((each for each in RefundState if each.value == form["state"]), None)
    chosen = (state,) if state else HOLDING_REFUND if desk else None
    with house.store.view() as view:
        rows = queries.refunds(view, actor, states=chosen, before=form["before"])
        people = parties(view, {row.buyer_id for row in rows})
    return page(
        request,
        "refunds.html",
        rows=rows,
        people=people,
        states=list(RefundState),
        state=form["state"],
        limit=queries.PAGE,
    )


@router.get("/refunds/{refund_id}", dependencies=[SEE])
def refund(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """退款单 · One refund: where it goes, who sends it, who confirms."""
    with house.store.view() as view:
        row = queries.refund(view, actor, refund_id)
        story = history(view, f"refund:{row.id}")
        people = parties(view, {row.buyer_id} | {e.org for e in story if e.org})
    return page(
        request,
        "refund.html",
        form=form,
        refund=row,
        story=story,
        kinds=KINDS,
        people=people,
        desk=actor.may(Permission.PAYMENT_CONFIRM) and not actor.belongs_to(row.buyer_id),
        asker=actor.may(Permission.REFUND_ASK) and actor.org == row.buyer_id,
        same_person=row.sent_by == actor.id,
    )


def _move(
    request: Request, house: House, actor: Actor, form: Form, act: Callable[[Unit], Refund], done: str
) -> Response:
    refund_id = once(request, house, actor, form, lambda unit: act(unit).id)
    return leave(f"/refunds/{refund_id}", done=done)


@router.post("/refunds/{refund_id}/sending", dependencies=[FINANCE])
@again(refund)
def send(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """登记汇出 · The first finance person sent the money."""
    number = form["bank_reference"]
    return _move(
        request,
        house,
        actor,
        form,
        lambda unit: refunding.send_refund(unit, actor, refund_id, bank_reference=number),
        "refund_sent",
    )


@router.post("/refunds/{refund_id}/settlement", dependencies=[FINANCE])
@again(refund)
def settle(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """复核退款 · A second finance person found the transfer; it is booked."""
    if not form["agree"]:
        words = Words("请核对银行流水后勾选。", "Compare the bank statement, then tick.")
        raise Invalid(Fault("agree", "required", words))
    return _move(
        request,
        house,
        actor,
        form,
        lambda unit: refunding.settle_refund(unit, actor, refund_id),
        "refund_settled",
    )


@router.post("/refunds/{refund_id}/return", dependencies=[FINANCE])
@again(refund)
def send_back(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """退回汇出登记 · The transfer cannot be found: it is still to be sent."""
    reason = _reason(form)
    return _move(
        request,
        house,
        actor,
        form,
        lambda unit: refunding.send_back_refund(unit, actor, refund_id, reason=reason),
        "refund_again",
    )


@router.post("/refunds/{refund_id}/refusal", dependencies=[FINANCE])
@again(refund)
def refuse(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """不予退款 · With a reason the buyer reads; the money is prepaid again."""
    reason = _reason(form)
    return _move(
        request,
        house,
        actor,
        form,
        lambda unit: refunding.refuse_refund(unit, actor, refund_id, reason=reason),
        "refund_ended",
    )


@router.post("/refunds/{refund_id}/withdrawal", dependencies=[ASK])
@again(refund)
def withdraw(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, refund_id: str) -> Response:
    """撤回退款申请 · The money stays here as prepaid money."""
    return _move(
        request,
        house,
        actor,
        form,
        lambda unit: refunding.withdraw_refund(unit, actor, refund_id),
        "refund_ended",
    )


def _reason(form: Form) -> str:
    if faults := reason_faults(form["reason"]):
        raise Invalid(*faults)
    return form["reason"]
