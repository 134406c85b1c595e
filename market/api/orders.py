"""Orders: place, follow, sign, withdraw."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from contracts.queries import one_contract
from contracts.terms import Purpose, Tier
from market.audit.queries import history
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.trading import actions, purposes, queries
from market.trading.amending import amend_order
from market.trading.rules import ORDER, RULES_VERSION, OrderState
from market.trading.tables import Order

router = APIRouter(prefix="/orders", tags=["orders"])
READ = allow(Permission.ORDER_READ)


class OrderForm(BaseModel, extra="forbid"):
    product_id: str = Field(max_length=40)
    plan_id: str = Field(max_length=40)
    purpose: Purpose
    scenario: str = Field(
        min_length=10, max_length=1000, description="应用场景 what the data will be used for"
    )
    months: int = Field(ge=1, le=240)
    prepay_fen: int = Field(
        0, ge=0, strict=True, description="预付金额（分），按用量计费时即费用上限 fen; the spend cap"
    )
    evidence: str = Field(
        "", max_length=2000, description="用途证明 what shows a purpose that makes the data free"
    )
    rules_version: str = Field(
        RULES_VERSION, max_length=20, description="接受的交易规则版本 trading rules accepted"
    )


class Correction(BaseModel, extra="forbid"):
    purpose: Purpose
    scenario: str = Field(min_length=10, max_length=1000)
    months: int = Field(ge=1, le=240)
    prepay_fen: int = Field(0, ge=0, strict=True)
    rules_version: str = Field(RULES_VERSION, max_length=20)
    note: str = Field(min_length=4, max_length=500, description="补正说明 what was corrected")


class OrderView(BaseModel, from_attributes=True):
    id: str
    number: str
    state: OrderState
    buyer_id: str
    seller_id: str
    product_id: str
    plan_id: str
    purpose: Purpose
    tier: Tier
    scenario: str
    evidence: str
    months: int
    fee_fen: int
    prepay_fen: int
    due_fen: int
    reason: str
    case_id: str | None
    contract_id: str | None
    payment_id: str | None
    license_id: str | None
    placed_at: datetime
    expires_at: datetime | None
    verbs: list[str] = Field([], description="What can happen next.")


class FindingForm(BaseModel, extra="forbid"):
    term: str = Field(
        max_length=40, description="要素 purpose_evidence, emergency_declared, named_purpose, value_added"
    )
    value: str = Field(max_length=40, description="取值 e.g. proven, doubtful, true")
    reason: str = Field(max_length=500)


class FindingView(BaseModel, from_attributes=True):
    id: str
    subject: str
    term: str
    value: str
    reason: str


class ContractText(BaseModel):
    id: str
    number: str
    content_hash: str
    content: dict[str, Any]


class Acceptance(BaseModel, extra="forbid"):
    content_hash: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the text you read")


class Reason(BaseModel, extra="forbid"):
    reason: str = Field(min_length=4, max_length=500)


class EntryView(BaseModel, from_attributes=True):
    seq: int | None
    at: datetime
    kind: str
    subject: str
    actor: str
    org: str | None
    role: str | None
    before: str | None = Field(description="SHA-256 over the subject as it was; personal columns left out")
    after: str | None = Field(description="and as it became")
    data: dict[str, Any]
    hash: str | None


def _view(order: Order) -> OrderView:
    return OrderView.model_validate(order).model_copy(update={"verbs": ORDER.verbs(order.state)})


@router.post("", status_code=201, dependencies=[allow(Permission.ORDER_PLACE)])
def place(work: Work, body: OrderForm) -> OrderView:
    """下单 · Ask to use a product under a plan for one purpose."""
    zone = work.house.settings.timezone
    return work.once(
        OrderView, lambda unit: _view(actions.place_order(unit, work.actor, **body.model_dump(), zone=zone))
    )


@router.post("/{order_id}/correction", dependencies=[allow(Permission.ORDER_PLACE)])
def correct(work: Work, order_id: str, body: Correction) -> OrderView:
    """补正订单 · Correct a returned order and send the same case back to the approvers."""
    zone = work.house.settings.timezone
    return work.once(
        OrderView, lambda unit: _view(amend_order(unit, work.actor, order_id, **body.model_dump(), zone=zone))
    )


@router.get("", dependencies=[READ])
def orders(
    house: HouseDep,
    actor: ActorDep,
    state: OrderState | None = None,
    before: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[OrderView]:
    """订单列表 · Your purchases and sales, newest first."""
    with house.store.view() as view:
        return [_view(row) for row in queries.orders(view, actor, state=state, before=before, limit=limit)]


@router.get("/{order_id}", dependencies=[READ])
def order(house: HouseDep, actor: ActorDep, order_id: str) -> OrderView:
    """订单详情 · One order."""
    with house.store.view() as view:
        return _view(queries.order(view, actor, order_id))


@router.get("/{order_id}/history", dependencies=[READ])
def order_history(house: HouseDep, actor: ActorDep, order_id: str) -> list[EntryView]:
    """全程留痕 · Everything that happened to an order, with who and why."""
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
        return [EntryView.model_validate(entry) for entry in history(view, f"order:{found.id}")]


@router.get("/{order_id}/contract", dependencies=[READ])
def contract(house: HouseDep, actor: ActorDep, order_id: str) -> ContractText:
    """合同文本 · The contract to read, with the hash to accept."""
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
        text = one_contract(view, found.contract_id or "")
        return ContractText(
            id=text.id, number=text.number, content_hash=text.content_hash, content=text.content
        )


@router.post("/{order_id}/acceptance", dependencies=[allow(Permission.CONTRACT_ACCEPT)])
def accept(work: Work, order_id: str, body: Acceptance) -> OrderView:
    """签约 · Accept exactly the text with this hash."""
    key = work.house.document_key()
    zone = work.house.settings.timezone
    return work.once(
        OrderView,
        lambda unit: _view(
            actions.accept_contract(
                unit, work.actor, order_id, content_hash=body.content_hash, key=key, zone=zone
            )
        ),
    )


@router.post("/{order_id}/findings", status_code=201, dependencies=[allow(Permission.TIER_REVIEW)])
def establish(work: Work, order_id: str, body: FindingForm) -> FindingView:
    """复核认定 · Compliance establishes one fact that a manual review turns on, e.g. `purpose_evidence` = `proven`."""
    return work.once(
        FindingView,
        lambda unit: FindingView.model_validate(
            purposes.establish(unit, work.actor, order_id, **body.model_dump())
        ),
    )


@router.post("/{order_id}/cancellation", dependencies=[allow(Permission.ORDER_PLACE)])
def cancel(work: Work, order_id: str, body: Reason) -> OrderView:
    """取消订单 · Withdraw before paying."""
    return work.once(
        OrderView, lambda unit: _view(actions.cancel_order(unit, work.actor, order_id, reason=body.reason))
    )
