"""The approval desk: what waits, and the decision. Which room carries a decision out stands in `market.wiring`."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market import wiring
from market.approvals import queries
from market.approvals.rules import CaseKind, CaseState, Verdict
from market.approvals.tables import Case
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from storage.unit import Unit, View

router = APIRouter(prefix="/cases", tags=["cases"])
DECIDE = allow(
    Permission.LISTING_APPROVE,
    Permission.ORDER_APPROVE,
    Permission.LIST_APPROVE,
    Permission.MANDATE_APPROVE,
)


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


def _detail(view: View, case: Case) -> CaseDetail:
    decisions = [DecisionView.model_validate(row) for row in queries.decisions(view, case.id)]
    return CaseDetail(**CaseView.model_validate(case).model_dump(), decisions=decisions)


@router.get("", dependencies=[DECIDE])
def queue(house: HouseDep, actor: ActorDep, kind: CaseKind | None = None) -> list[CaseView]:
    """待审批 · What waits for a decision you may take, the most urgent first."""
    with house.store.view() as view:
        return [CaseView.model_validate(row) for row in wiring.waiting_cases(view, actor, kind)]


@router.get("/{case_id}", dependencies=[DECIDE])
def case(house: HouseDep, actor: ActorDep, case_id: str) -> CaseDetail:
    """审批事项 · One case with the decisions taken so far."""
    with house.store.view() as view:
        return _detail(view, wiring.readable_case(view, actor, case_id))


@router.post("/{case_id}/decision", dependencies=[DECIDE])
def decide(work: Work, case_id: str, body: Ruling) -> CaseDetail:
    """审批 · Approve or reject, with a reason the applicant reads."""

    def act(unit: Unit) -> CaseDetail:
        wiring.decide_case(
            unit,
            work.actor,
            case_id,
            approve=body.approve,
            reason=body.reason,
            expected_version=body.version,
            zone=work.house.settings.timezone,
        )
        return _detail(unit, wiring.readable_case(unit, work.actor, case_id))

    return work.once(CaseDetail, act)
