"""Mandates, price ceilings and revenue caps: granted by the bureau, signed by the operator, published."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Work, Worker
from market.identity.rules import Permission
from market.mandates import actions, pricing, queries
from market.mandates.prices import CapForm, CapStep, CeilingForm, ChargeUnit, left_fen, yuan_of
from market.mandates.rules import Agreement, Assessed, MandateKind, MandateState
from market.mandates.tables import Mandate, PriceCeiling, RevenueCap
from market.trading import holding
from storage.unit import Unit

router = APIRouter(tags=["mandates"])
GRANT = allow(Permission.MANDATE_GRANT)
SIGN = allow(Permission.MANDATE_SIGN)
READ = allow(Permission.MANDATE_READ)


class MandateForm(BaseModel, extra="forbid"):
    operator_id: str = Field(max_length=40)
    agreement: Agreement


class MandateView(BaseModel, from_attributes=True):
    id: str
    number: str | None
    state: MandateState
    kind: MandateKind
    mandator_id: str
    operator_id: str
    agreement: dict[str, Any]
    sha256: str
    valid_from: datetime
    valid_until: datetime
    minutes_no: str
    minutes_on: date | None
    notice_from: datetime | None
    notice_until: datetime | None
    signed_at: datetime | None
    ended_at: datetime | None
    case_id: str | None
    reason: str
    handover: str


class Submission(BaseModel, extra="forbid"):
    minutes_no: str = Field(max_length=100, description="集体审议会议纪要编号 number of the minutes")
    minutes_on: date


class Signature(BaseModel, extra="forbid"):
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="所签协议的哈希 of the agreement as read")


class Reason(BaseModel, extra="forbid"):
    reason: str = Field(min_length=4, max_length=500)


class Handover(BaseModel, extra="forbid"):
    note: str = Field(min_length=10, max_length=2000)


class AssessmentForm(BaseModel, extra="forbid"):
    year: int = Field(ge=2000, le=2200)
    verdict: Assessed
    note: str = Field(min_length=4, max_length=500)


class AssessmentView(BaseModel, from_attributes=True):
    id: str
    year: int
    verdict: Assessed
    note: str
    at: datetime


class CeilingBody(CeilingForm):
    replaces: str | None = Field(None, max_length=40)


class CeilingView(BaseModel):
    id: str
    product: str
    unit: ChargeUnit
    max_yuan: str
    max_fen: str = Field(description="精确分值 exact, a whole number or a fraction such as 3/10")
    decided_by: str
    document_no: str
    document_sha256: str | None
    trial: bool
    valid_from: datetime
    valid_until: datetime
    end_reason: str


class CapView(BaseModel):
    id: str
    operator_id: str
    first_day: date
    last_day: date
    cap_fen: int
    carried_fen: int
    collected_fen: int
    left_fen: int
    step: CapStep
    decided_by: str
    document_no: str


def ceiling_view(row: PriceCeiling) -> CeilingView:
    """A ceiling with its price as people read it and as programs compare it."""
    return CeilingView(
        **row.model_dump(include=set(CeilingView.model_fields) - {"max_yuan", "max_fen"}),
        max_yuan=yuan_of(row.max_fen),
        max_fen=str(row.max_fen),
    )


def cap_view(row: RevenueCap) -> CapView:
    """A cap with what is left of it."""
    return CapView(
        **row.model_dump(include=set(CapView.model_fields) - {"left_fen"}),
        left_fen=left_fen(row.cap_fen, row.carried_fen, row.collected_fen),
    )


@router.get("/mandates")
def mandates(
    house: HouseDep,
    caller: VisitorDep,
    state: MandateState | None = None,
    operator: Annotated[str | None, Query(max_length=40)] = None,
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> list[MandateView]:
    """授权运营 · Published mandates, and your own organization's drafts; newest first."""
    with house.store.view() as view:
        rows = queries.mandates(view, caller.actor, state=state, operator=operator, before=before)
        return [MandateView.model_validate(row) for row in rows]


@router.post("/mandates", status_code=201, dependencies=[GRANT])
def draft(work: Work, body: MandateForm) -> MandateView:
    """起草授权 · Five years at most, no re-delegation; every fault is named at once."""

    def act(unit: Unit) -> MandateView:
        row = actions.draft_mandate(unit, work.actor, operator_id=body.operator_id, agreement=body.agreement)
        return MandateView.model_validate(row)

    return work.once(MandateView, act)


@router.get("/mandates/{mandate_id}")
def mandate(house: HouseDep, caller: VisitorDep, mandate_id: str) -> MandateView:
    """一项授权 · By id or number; public from its notice on."""
    with house.store.view() as view:
        return MandateView.model_validate(queries.mandate(view, caller.actor, mandate_id))


@router.patch("/mandates/{mandate_id}", dependencies=[GRANT])
def edit(work: Work, mandate_id: str, body: Agreement) -> MandateView:
    """修改草案 · The whole agreement, while it is a draft."""
    with work.unit() as unit:
        return MandateView.model_validate(actions.edit_mandate(unit, work.actor, mandate_id, agreement=body))


def _done(work: Worker, act: Callable[[Unit], Mandate]) -> MandateView:
    return work.once(MandateView, lambda unit: MandateView.model_validate(act(unit)))


def _moved(work: Worker, verb: Callable[..., Mandate], mandate_id: str, body: Reason) -> MandateView:
    """A step with a reason that licenses feel."""
    zone = work.house.settings.timezone
    return _done(work, lambda unit: verb(unit, work.actor, mandate_id, reason=body.reason, zone=zone))


@router.post("/mandates/{mandate_id}/submission", dependencies=[GRANT])
def submit(work: Work, mandate_id: str, body: Submission) -> MandateView:
    """提交审议 · With the minutes of the collective decision; compliance checks it as the second person."""
    return _done(
        work,
        lambda unit: actions.submit_mandate(
            unit, work.actor, mandate_id, minutes_no=body.minutes_no, minutes_on=body.minutes_on
        ),
    )


@router.post("/mandates/{mandate_id}/objection", dependencies=[GRANT])
def take_back(work: Work, mandate_id: str, body: Reason) -> MandateView:
    """撤回公示 · An objection was right: it is a draft again."""
    return _done(
        work, lambda unit: actions.take_back_notice(unit, work.actor, mandate_id, reason=body.reason)
    )


@router.post("/mandates/{mandate_id}/signature", dependencies=[SIGN])
def sign(work: Work, mandate_id: str, body: Signature) -> MandateView:
    """签署 · The operator accepts exactly this agreement, after its public notice."""
    zone = work.house.settings.timezone
    return _done(
        work,
        lambda unit: holding.sign_mandate(unit, work.actor, mandate_id, sha256=body.sha256, zone=zone),
    )


@router.post("/mandates/{mandate_id}/suspension", dependencies=[GRANT])
def suspend(work: Work, mandate_id: str, body: Reason) -> MandateView:
    """暂停授权 · Its listings leave the shelf at once; tokens answer 403 `mandate_suspended`."""
    return _moved(work, holding.suspend_mandate, mandate_id, body)


@router.post("/mandates/{mandate_id}/resumption", dependencies=[GRANT])
def resume(work: Work, mandate_id: str, body: Reason) -> MandateView:
    """恢复授权 · Listings held for it return."""
    return _moved(work, holding.resume_mandate, mandate_id, body)


@router.post("/mandates/{mandate_id}/termination", dependencies=[GRANT])
def terminate(work: Work, mandate_id: str, body: Reason) -> MandateView:
    """终止授权 · For good: its listings are held and its licenses end at once."""
    return _moved(work, holding.terminate_mandate, mandate_id, body)


@router.post("/mandates/{mandate_id}/handover", dependencies=[GRANT])
def hand_over(work: Work, mandate_id: str, body: Handover) -> MandateView:
    """移交 · What was handed over after the end, to whom, and what was destroyed."""
    return _done(work, lambda unit: actions.hand_over(unit, work.actor, mandate_id, note=body.note))


@router.post("/mandates/{mandate_id}/assessments", status_code=201, dependencies=[GRANT])
def assess(work: Work, mandate_id: str, body: AssessmentForm) -> AssessmentView:
    """年度评估 · Once for each year."""
    return work.once(
        AssessmentView,
        lambda unit: AssessmentView.model_validate(
            actions.assess(unit, work.actor, mandate_id, year=body.year, verdict=body.verdict, note=body.note)
        ),
    )


@router.get("/price-ceilings")
def ceilings(
    house: HouseDep, product: Annotated[str | None, Query(max_length=60)] = None
) -> list[CeilingView]:
    """上限收费标准 · Every decision on what public data may cost, newest first. No account needed."""
    with house.store.view() as view:
        return [ceiling_view(row) for row in queries.ceilings(view, product)]


@router.post("/price-ceilings", status_code=201, dependencies=[GRANT])
def set_ceiling(work: Work, body: CeilingBody) -> CeilingView:
    """核定上限 · For a product (by slug) and unit of charge; `replaces` ends the one before on that day."""
    form = CeilingForm(**body.model_dump(exclude={"replaces"}))
    return work.once(
        CeilingView,
        lambda unit: ceiling_view(pricing.set_ceiling(unit, work.actor, form=form, replaces=body.replaces)),
    )


@router.post("/price-ceilings/{ceiling_id}/end", dependencies=[GRANT])
def end_ceiling(work: Work, ceiling_id: str, body: Reason) -> CeilingView:
    """废止上限 · From this moment on; new orders wait for another one."""
    return work.once(
        CeilingView,
        lambda unit: ceiling_view(pricing.end_ceiling(unit, work.actor, ceiling_id, reason=body.reason)),
    )


@router.get("/revenue-caps", dependencies=[READ])
def caps(house: HouseDep, actor: ActorDep) -> list[CapView]:
    """最高准许收入 · Caps with what was collected and carried over: your own as an operator, all as an overseer."""
    with house.store.view() as view:
        return [cap_view(row) for row in queries.caps(view, actor)]


@router.post("/revenue-caps", status_code=201, dependencies=[GRANT])
def set_cap(work: Work, body: CapForm) -> CapView:
    """核定准许收入 · For an operator and whole months; what was invoiced there already counts."""
    return work.once(CapView, lambda unit: cap_view(pricing.set_cap(unit, work.actor, form=body)))
