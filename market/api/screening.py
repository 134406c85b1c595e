"""Secrecy reviews and gradings of data assets."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.policy.grading import Degree, FieldFacts, Harmed, WholeFacts
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, Secrecy, SupplyKind
from market.registry import queries as registry
from market.screening import actions, queries

router = APIRouter(tags=["assets"])
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.SECRECY_REVIEW)


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
