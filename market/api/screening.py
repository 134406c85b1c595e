"""Secrecy reviews, gradings and filed papers of data assets."""

from datetime import date, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.policy.grading import Degree, FieldFacts, Harmed, WholeFacts
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, Secrecy, SupplyKind
from market.registry import queries as registry
from market.screening import actions, filings, queries
from market.screening.rules import FilingKind, FilingState

router = APIRouter(tags=["assets"])
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.SECRECY_REVIEW)
EITHER = allow(Permission.ASSET_DRAFT, Permission.SECRECY_REVIEW)


class ReviewForm(BaseModel, extra="forbid"):
    statement: str = Field(max_length=2000, description="内容与自查说明 content and self-check")
    personal: bool = Field(description="是否含个人信息 whether it holds personal information")
    export: bool = Field(description="是否拟向境外提供 whether it is meant for abroad")


class VerdictForm(BaseModel, extra="forbid"):
    passing: bool
    reason: str = Field(max_length=500)
    evidence: str = Field("", max_length=500, description="依据材料 the papers a pass rests on")


class ReviewView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    state: Secrecy
    contents: str
    personal: bool
    export: bool
    statement: str
    asked_at: datetime
    reviewed_at: datetime | None
    reason: str
    evidence: str


class FieldForm(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=200)
    harms: dict[Harmed, Degree] = Field(
        description="影响对象 → 程度；未填从严推定 what is left out is presumed the worst"
    )
    pi: PersonalInfo | None = None


class GradingForm(BaseModel, extra="forbid"):
    fields: list[FieldForm] = Field(max_length=2000)
    supply: SupplyKind | None = None
    open_attr: OpenAttr | None = None
    persons: int | None = Field(None, ge=0, le=10**12, description="涉及人数 how many people it is about")
    fused: bool | None = Field(None, description="是否汇聚融合 whether sources were fused")


class GradingView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    grade: DataGrade
    fields: dict[str, str]
    reasons: list[dict[str, Any]]
    graded_at: datetime


class FilingForm(BaseModel, extra="forbid"):
    kind: FilingKind = Field(description="材料种类；权属争议由合规登记 a dispute is noted by compliance")
    number: str = Field(max_length=80, description="文号 its number")
    authority: str = Field(max_length=200, description="出具或受理机关 who issued or received it")
    dated: date = Field(description="出具日期 its date")
    valid_until: date | None = Field(None, description="有效期至 its last day")
    note: str = Field("", max_length=500)


class DisputeForm(BaseModel, extra="forbid"):
    registration: str = Field(max_length=80, description="登记编号 the asset's registration number")
    number: str = Field(max_length=80, description="案号或文号 the case number")
    authority: str = Field(max_length=200, description="受理机关 the court or office")
    dated: date
    note: str = Field("", max_length=500)


class CheckForm(BaseModel, extra="forbid"):
    accept: bool
    reason: str = Field(max_length=500)


class EndForm(BaseModel, extra="forbid"):
    reason: str = Field(max_length=500)


class FilingView(BaseModel, from_attributes=True):
    id: str
    asset_id: str
    kind: FilingKind
    state: FilingState
    number: str
    authority: str
    dated: date
    valid_until: date | None
    note: str
    filed_at: datetime
    reviewed_at: datetime | None
    reason: str
    ended_at: datetime | None
    end_reason: str


@router.post("/assets/{asset_id}/secrecy-reviews", status_code=201, dependencies=[DRAFT])
def ask(work: Work, asset_id: str, body: ReviewForm) -> ReviewView:
    """申请保密审查 · Ask for a review of the asset's present contents."""
    return work.once(
        ReviewView,
        lambda unit: ReviewView.model_validate(
            actions.ask_review(unit, work.actor, asset_id, **body.model_dump())
        ),
    )


@router.get("/assets/{asset_id}/secrecy-reviews", dependencies=[DRAFT])
def reviews(house: HouseDep, actor: ActorDep, asset_id: str) -> list[ReviewView]:
    """保密审查 · Every review of an asset of yours, newest first."""
    with house.store.view() as view:
        registry.source_of_product(view, asset_id, actor.own_org)
        return [ReviewView.model_validate(row) for row in queries.reviews(view, asset_id)]


@router.get("/secrecy-reviews", dependencies=[REVIEW])
def waiting(house: HouseDep, actor: ActorDep) -> list[ReviewView]:
    """待审查 · What you may review now, oldest first."""
    with house.store.view() as view:
        return [ReviewView.model_validate(review) for review, _asset in queries.waiting(view, actor)]


@router.post("/secrecy-reviews/{review_id}/decision", dependencies=[REVIEW])
def review(work: Work, review_id: str, body: VerdictForm) -> ReviewView:
    """保密审查 · Pass or refuse; never what you or your organization asked for."""
    return work.once(
        ReviewView,
        lambda unit: ReviewView.model_validate(
            actions.review_secrecy(unit, work.actor, review_id, **body.model_dump())
        ),
    )


@router.post("/assets/{asset_id}/gradings", status_code=201, dependencies=[DRAFT])
def grade(work: Work, asset_id: str, body: GradingForm) -> GradingView:
    """分级 · Grade the asset from who would be harmed how much, field by field; a listing goes by the higher grade."""
    fields = [FieldFacts(each.name, each.harms, each.pi) for each in body.fields]
    whole = WholeFacts(body.supply, body.open_attr, body.persons, body.fused)
    return work.once(
        GradingView,
        lambda unit: GradingView.model_validate(
            actions.grade_asset(unit, work.actor, asset_id, fields=fields, whole=whole)[0]
        ),
    )


@router.post("/assets/{asset_id}/filings", status_code=201, dependencies=[DRAFT])
def file_paper(work: Work, asset_id: str, body: FilingForm) -> FilingView:
    """备案材料 · Show a risk or impact assessment by number and date; it counts once a reviewer has checked it."""
    return work.once(
        FilingView,
        lambda unit: FilingView.model_validate(
            filings.file_paper(unit, work.actor, asset_id, **body.model_dump())
        ),
    )


@router.get("/assets/{asset_id}/filings", dependencies=[DRAFT])
def papers(house: HouseDep, actor: ActorDep, asset_id: str) -> list[FilingView]:
    """备案材料 · Every paper of an asset of yours, newest first."""
    with house.store.view() as view:
        registry.source_of_product(view, asset_id, actor.own_org)
        return [FilingView.model_validate(row) for row in filings.papers_of(view, asset_id)]


@router.get("/filings", dependencies=[REVIEW])
def filings_to_check(house: HouseDep, actor: ActorDep) -> list[FilingView]:
    """待核对材料 · What you may check now, oldest first."""
    with house.store.view() as view:
        return [FilingView.model_validate(row) for row, _asset in filings.to_check(view, actor)]


@router.post("/filings/{filing_id}/decision", dependencies=[REVIEW])
def check_filing(work: Work, filing_id: str, body: CheckForm) -> FilingView:
    """核对材料 · Take a paper for good or not; never what you or your organization filed."""
    return work.once(
        FilingView,
        lambda unit: FilingView.model_validate(
            filings.check_filing(unit, work.actor, filing_id, **body.model_dump())
        ),
    )


@router.post("/filings/{filing_id}/end", dependencies=[EITHER])
def end_filing(work: Work, filing_id: str, body: EndForm) -> FilingView:
    """终止材料 · A paper holds no longer, or a dispute is settled."""
    return work.once(
        FilingView,
        lambda unit: FilingView.model_validate(
            filings.end_filing(unit, work.actor, filing_id, reason=body.reason)
        ),
    )


@router.get("/disputes", dependencies=[REVIEW])
def disputes(house: HouseDep, actor: ActorDep) -> list[FilingView]:
    """权属争议 · Every dispute that is not settled."""
    with house.store.view() as view:
        return [FilingView.model_validate(row) for row, _asset in filings.disputes(view, actor)]


@router.post("/disputes", status_code=201, dependencies=[REVIEW])
def note_dispute(work: Work, body: DisputeForm) -> FilingView:
    """登记权属争议 · Note a dispute outside the market; it denies from now on."""
    return work.once(
        FilingView,
        lambda unit: FilingView.model_validate(filings.note_dispute(unit, work.actor, **body.model_dump())),
    )
