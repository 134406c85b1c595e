"""The approval desk: what waits, and the decision. Which room carries a decision out stands in one table."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market.approvals import queries
from market.approvals.rules import CaseKind, CaseState, Verdict
from market.approvals.tables import Case
from market.catalogue import listing
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work, Worker
from market.identity.rules import Permission
from market.trading import actions as trading
from storage.kernel.problem import NotFound
from storage.unit import Unit, View

router = APIRouter(prefix="/cases", tags=["cases"])
DECIDE = allow(Permission.LISTING_APPROVE, Permission.ORDER_APPROVE)
PERMISSION = {CaseKind.LISTING: Permission.LISTING_APPROVE, CaseKind.ORDER: Permission.ORDER_APPROVE}


class CaseView(BaseModel, from_attributes=True):
    id: str
    kind: CaseKind
    subject: str
    state: CaseState
    submitted_by: str
    submitted_org: str
    needs: int
    version: int
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None


class DecisionView(BaseModel, from_attributes=True):
    by: str
    org: str | None
    role: str
    verdict: Verdict
    reason: str
    at: datetime


class CaseDetail(CaseView):
    decisions: list[DecisionView]


class Ruling(BaseModel, extra="forbid"):
    approve: bool
    reason: str = Field(min_length=4, max_length=500)
    version: int | None = Field(
        None, description="案件版本 the version you read; another decision in between is told"
    )


def _decide_listing(unit: Unit, work: Worker, case_id: str, ruling: Ruling) -> None:
    listing.decide_listing(
        unit,
        work.actor,
        case_id,
        approve=ruling.approve,
        reason=ruling.reason,
        expected_version=ruling.version,
    )


def _decide_order(unit: Unit, work: Worker, case_id: str, ruling: Ruling) -> None:
    trading.decide_order(
        unit,
        work.actor,
        case_id,
        approve=ruling.approve,
        reason=ruling.reason,
        expected_version=ruling.version,
        zone=work.house.settings.timezone,
    )


DECIDERS: dict[CaseKind, Callable[[Unit, Worker, str, Ruling], None]] = {
    CaseKind.LISTING: _decide_listing,
    CaseKind.ORDER: _decide_order,
}


def decide_case(unit: Unit, work: Worker, case_id: str, ruling: Ruling) -> None:
    """审批. Hand the decision to the room the case belongs to. Raises NotFound, and what the room raises."""
    kind = queries.kind_of(unit, case_id)
    if kind not in DECIDERS:
        raise NotFound(case=case_id)
    DECIDERS[kind](unit, work, case_id, ruling)


def _detail(view: View, case: Case) -> CaseDetail:
    decisions = [DecisionView.model_validate(row) for row in queries.decisions(view, case.id)]
    return CaseDetail(**CaseView.model_validate(case).model_dump(), decisions=decisions)


@router.get("", dependencies=[DECIDE])
def queue(house: HouseDep, actor: ActorDep, kind: CaseKind | None = None) -> list[CaseView]:
    """待审批 · What waits for a decision you may take, the most urgent first."""
    with house.store.view() as view:
        rows = [
            row
            for each, permission in PERMISSION.items()
            if kind in {None, each} and actor.may(permission)
            for row in queries.queue(view, actor, permission=permission, kind=each)
        ]
    return [CaseView.model_validate(row) for row in sorted(rows, key=lambda row: row.due_at)]


@router.get("/{case_id}", dependencies=[DECIDE])
def case(house: HouseDep, actor: ActorDep, case_id: str) -> CaseDetail:
    """审批事项 · One case with the decisions taken so far."""
    with house.store.view() as view:
        kind = queries.kind_of(view, case_id)
        if kind not in PERMISSION:
            raise NotFound(case=case_id)
        return _detail(view, queries.case(view, actor, case_id, permission=PERMISSION[kind]))


@router.post("/{case_id}/decision", dependencies=[DECIDE])
def decide(work: Work, case_id: str, body: Ruling) -> CaseDetail:
    """审批 · Approve or reject, with a reason the applicant reads."""

    def act(unit: Unit) -> CaseDetail:
        decide_case(unit, work, case_id, body)
        kind = queries.kind_of(unit, case_id)
        assert kind is not None  # it was decided a line ago
        return _detail(unit, queries.case(unit, work.actor, case_id, permission=PERMISSION[kind]))

    return work.once(CaseDetail, act)
