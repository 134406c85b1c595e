"""Money that goes back: suspense, and refunds of what was paid ahead."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from market.billing import actions, checkout, queries, refunding
from market.billing.rails import RefundingRail
from market.billing.rules import RailKind, RefundState, SuspenseReason, SuspenseState
from market.billing.tables import Refund
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work, Worker
from market.identity.rules import Permission
from market.trading.refunds import ask_refund
from storage.unit import Unit

router = APIRouter(tags=["returns"])
DESK = allow(Permission.PAYMENT_READ)
SEE = allow(Permission.INVOICE_READ, Permission.PAYMENT_READ)
FINANCE = allow(Permission.PAYMENT_CONFIRM)
ASK = allow(Permission.REFUND_ASK)
Last = Annotated[str | None, Query(max_length=40)]
Limit = Annotated[int, Query(ge=1, le=200)]
Reference = Annotated[str, Field(min_length=4, max_length=64, description="银行流水号 the bank's own number")]


class SuspenseForm(BaseModel, extra="forbid"):
    amount_fen: int = Field(gt=0, strict=True, description="到账金额（分） fen on the bank statement")
    bank_reference: Reference
    payment: str | None = Field(None, max_length=40, description="the request it was probably meant for")


class SuspenseView(BaseModel, from_attributes=True):
    id: str
    rail: RailKind
    rail_reference: str
    amount_fen: int
    reason: SuspenseReason
    payment_id: str | None
    state: SuspenseState
    booked_at: datetime
    booked_by: str
    returned_by: str | None


class RefundView(BaseModel, from_attributes=True):
    id: str
    license_id: str
    order_id: str
    buyer_id: str
    amount_fen: int
    bank_account: str
    state: RefundState
    asked_at: datetime
    asked_by: str
    bank_reference: str | None
    sent_by: str | None
    settled_by: str | None


class Reason(BaseModel, extra="forbid"):
    reason: str = Field(min_length=4, max_length=500)


class Sending(BaseModel, extra="forbid"):
    bank_reference: Reference


@router.get("/suspense", dependencies=[DESK])
def suspense(
    house: HouseDep,
    actor: ActorDep,
    state: SuspenseState = SuspenseState.HELD,
    before: Last = None,
    limit: Limit = queries.PAGE,
) -> list[SuspenseView]:
    """待查款项 · Money that fits no payment, newest first; `before` is the last id seen."""
    with house.store.view() as view:
        rows = queries.suspense_items(view, actor, state=state, before=before, limit=limit)
        return [SuspenseView.model_validate(row) for row in rows]


@router.post("/suspense", status_code=201, dependencies=[FINANCE])
def book(work: Work, body: SuspenseForm) -> SuspenseView:
    """转入待查 · Book money of the bank statement that fits no payment."""
    return work.once(
        SuspenseView,
        lambda unit: SuspenseView.model_validate(
            actions.book_suspense(
                unit,
                work.actor,
                amount_fen=body.amount_fen,
                bank_reference=body.bank_reference,
                payment=body.payment,
            )
        ),
    )


@router.post("/suspense/{item_id}/return", dependencies=[FINANCE])
def give_back(work: Work, item_id: str, body: Reason) -> SuspenseView:
    """退回待查款项 · A second finance person sent it back; Stripe's money goes back by itself."""
    with work.house.store.view() as view:
        rail_kind = queries.suspense_item(view, work.actor, item_id).rail
    if rail_kind is RailKind.STRIPE:
        rail = work.house.rail(RailKind.STRIPE)
        assert isinstance(rail, RefundingRail)
        item = checkout.refund_suspense(work.house.store, rail, work.actor, item_id, reason=body.reason)
        return SuspenseView.model_validate(item)
    return work.once(
        SuspenseView,
        lambda unit: SuspenseView.model_validate(
            actions.return_suspense(unit, work.actor, item_id, reason=body.reason)
        ),
    )


def _once(work: Worker, act: Callable[[Unit], Refund]) -> RefundView:
    return work.once(RefundView, lambda unit: RefundView.model_validate(act(unit)))


@router.post("/licenses/{license_id}/refund", status_code=201, dependencies=[ASK])
def ask(work: Work, license_id: str) -> RefundView:
    """申请退款 · Ask for what is left of the prepayment of your ended license; it is set aside at once."""
    billing = work.house.settings.billing
    return _once(work, lambda unit: ask_refund(unit, work.actor, license_id, billing))


@router.get("/refunds", dependencies=[SEE])
def refunds(
    house: HouseDep,
    actor: ActorDep,
    state: RefundState | None = None,
    before: Last = None,
    limit: Limit = queries.PAGE,
) -> list[RefundView]:
    """退款 · Your refunds (finance and auditors see all), newest first; `before` is the last id seen."""
    with house.store.view() as view:
        states = (state,) if state else None
        rows = queries.refunds(view, actor, states=states, before=before, limit=limit)
        return [RefundView.model_validate(row) for row in rows]


@router.get("/refunds/{refund_id}", dependencies=[SEE])
def refund(house: HouseDep, actor: ActorDep, refund_id: str) -> RefundView:
    """退款单 · One refund."""
    with house.store.view() as view:
        return RefundView.model_validate(queries.refund(view, actor, refund_id))


@router.post("/refunds/{refund_id}/sending", dependencies=[FINANCE])
def send(work: Work, refund_id: str, body: Sending) -> RefundView:
    """登记汇出 · The first finance person sent exactly this amount."""
    number = body.bank_reference
    return _once(work, lambda unit: refunding.send_refund(unit, work.actor, refund_id, bank_reference=number))


@router.post("/refunds/{refund_id}/settlement", dependencies=[FINANCE])
def settle(work: Work, refund_id: str) -> RefundView:
    """复核退款 · A second finance person found the transfer; it is booked."""
    return _once(work, lambda unit: refunding.settle_refund(unit, work.actor, refund_id))


@router.post("/refunds/{refund_id}/return", dependencies=[FINANCE])
def send_back(work: Work, refund_id: str, body: Reason) -> RefundView:
    """退回汇出登记 · The transfer cannot be found: it is still to be sent."""
    return _once(
        work, lambda unit: refunding.send_back_refund(unit, work.actor, refund_id, reason=body.reason)
    )


@router.post("/refunds/{refund_id}/refusal", dependencies=[FINANCE])
def refuse(work: Work, refund_id: str, body: Reason) -> RefundView:
    """不予退款 · With a reason the buyer reads; the money is prepaid again."""
    return _once(work, lambda unit: refunding.refuse_refund(unit, work.actor, refund_id, reason=body.reason))


@router.post("/refunds/{refund_id}/withdrawal", dependencies=[ASK])
def withdraw(work: Work, refund_id: str) -> RefundView:
    """撤回退款申请 · The money stays here as prepaid money."""
    return _once(work, lambda unit: refunding.withdraw_refund(unit, work.actor, refund_id))
