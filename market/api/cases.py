"""The approval desk: what waits, the decision, and who is in charge. What follows stands in `market.casework`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from market import casework
from market.api.orders import Reason
from market.approvals import actions, charge, queries
from market.approvals.procedures import DESK, PROCEDURES
from market.approvals.rules import CaseKind, CaseState, Command, RiskLevel, Verdict, level_of
from market.approvals.tables import Case
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.trading import revocation
from storage.unit import Unit, View

router = APIRouter(prefix="/cases", tags=["cases"])
DECIDE = allow(*DESK)
ASK = tuple(dict.fromkeys(each for procedure in PROCEDURES.values() for each in procedure.ask))
MINE = allow(*ASK)
ANYBODY = allow(*DESK, *ASK, Permission.JOURNAL_READ)
SPEAK = allow(*DESK, *ASK)


class CaseView(BaseModel, from_attributes=True):
    id: str
    kind: CaseKind
    subject: str
    state: CaseState
    submitted_by: str
    submitted_org: str
    needs: int
    version: int
    round: int
    assigned_to: str | None
    risk_score: int = Field(description="风险分 0 to 100, as it was at submission")
    note: str = Field(description="What the applicant said with the last submission")
    opened_at: datetime
    submitted_at: datetime
    due_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    closed_at: datetime | None


class DecisionView(BaseModel, from_attributes=True):
    by: str
    on_behalf_of: str | None = Field(description="代 the person who was away")
    org: str | None
    role: str
    round: int
    verdict: Verdict
    reason: str
    at: datetime


class Change(BaseModel):
    fact: str
    then: Any
    now: Any


class CaseDetail(CaseView):
    decisions: list[DecisionView]
    risk_level: RiskLevel
    risks: list[dict[str, Any]]
    facts: dict[str, Any] = Field(description="What it stood on when it was submitted")
    facts_sha256: str = Field(description="Hash of the facts as they are now; send it with the decision")
    changed: list[Change] = Field(description="What is no longer as it was submitted")
    commands: list[Command] = Field(description="What you may do now")


class Ruling(BaseModel, extra="forbid"):
    approve: bool
    reason: str = Field(min_length=4, max_length=500)
    version: int | None = Field(
        None, description="案件版本 the version you read; another decision in between is told"
    )
    facts_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Hash of the facts you read; a change since is told"
    )


class Sending(BaseModel, extra="forbid"):
    reason: str = Field(min_length=4, max_length=500)
    version: int | None = None


class Handing(BaseModel, extra="forbid"):
    to: str = Field(max_length=40, description="The person who is to decide")
    reason: str = Field(min_length=4, max_length=500)


class Picked(BaseModel, extra="forbid"):
    id: str = Field(max_length=40)
    version: int = Field(ge=1)


class Bulk(BaseModel, extra="forbid"):
    cases: list[Picked] = Field(min_length=1, max_length=100)
    verdict: Verdict
    reason: str = Field(min_length=4, max_length=500)


class Done(BaseModel):
    id: str
    state: CaseState | None
    problem: dict[str, Any] | None = Field(description="Why it was left alone")


class BulkDone(BaseModel):
    cases: list[Done]


def _detail(view: View, actor: Any, case: Case) -> CaseDetail:
    seen = casework.shown(view, actor, case)
    return CaseDetail(
        **CaseView.model_validate(case).model_dump(),
        decisions=[DecisionView.model_validate(row) for row in queries.decisions(view, case.id)],
        risk_level=level_of(case.risk_score),
        risks=case.risks,
        facts=case.facts,
        facts_sha256=seen.ground.facts_hash,
        changed=[Change(fact=name, then=then, now=now) for name, then, now in seen.moved],
        commands=seen.commands,
    )


def _after(work: Work, case_id: str, act: Any) -> CaseDetail:
    def all_of_it(unit: Unit) -> CaseDetail:
        act(unit)
        return _detail(unit, work.actor, queries.case(unit, work.actor, case_id))

    return work.once(CaseDetail, all_of_it)


@router.get("", dependencies=[DECIDE])
def queue(
    house: HouseDep,
    actor: ActorDep,
    kind: CaseKind | None = None,
    sort: Literal["due", "risk"] = "due",
    mine: Annotated[
        bool, Query(description="Only what is in your charge, or in that of who named you")
    ] = False,
) -> list[CaseView]:
    """待审批 · What waits for a decision you may take, the most urgent or the riskiest first."""
    with house.store.view() as view:
        rows = casework.waiting_cases(view, actor, kind, mine=mine, by_risk=sort == "risk")
        return [CaseView.model_validate(row) for row in rows]


@router.get("/asked", dependencies=[MINE])
def asked(
    house: HouseDep, actor: ActorDep, before: Annotated[str | None, Query(max_length=40)] = None
) -> list[CaseView]:
    """我方送审 · What your organization asked for, newest first."""
    with house.store.view() as view:
        return [CaseView.model_validate(row) for row in queries.submitted_by_org(view, actor, before=before)]


@router.post("/decisions", dependencies=[DECIDE])
def decide_many(work: Work, body: Bulk) -> BulkDone:
    """批量办理 · Decide several cases of low risk with one reason; each is decided or left alone by itself."""
    picked = [(each.id, each.version) for each in body.cases]
    zone = work.house.settings.timezone

    def act(unit: Unit) -> BulkDone:
        done = casework.decide_many(
            unit, work.actor, picked, verdict=body.verdict, reason=body.reason, zone=zone
        )
        return BulkDone(
            cases=[
                Done(id=each.case_id, state=each.state, problem=each.problem and each.problem.document())
                for each in done
            ]
        )

    return work.once(BulkDone, act)


@router.get("/{case_id}", dependencies=[ANYBODY])
def case(house: HouseDep, actor: ActorDep, case_id: str) -> CaseDetail:
    """审批事项 · One case: decisions, risk, and what changed since it was submitted."""
    with house.store.view() as view:
        return _detail(view, actor, queries.case(view, actor, case_id))


@router.post("/{case_id}/decision", dependencies=[DECIDE])
def decide(work: Work, case_id: str, body: Ruling) -> CaseDetail:
    """审批 · Approve or reject, with a reason the applicant reads."""
    return _after(
        work,
        case_id,
        lambda unit: casework.decide_case(
            unit,
            work.actor,
            case_id,
            verdict=Verdict.APPROVE if body.approve else Verdict.REJECT,
            reason=body.reason,
            expected_version=body.version,
            seen=body.facts_sha256,
            zone=work.house.settings.timezone,
        ),
    )


@router.post("/{case_id}/return", dependencies=[DECIDE])
def send_back(work: Work, case_id: str, body: Sending) -> CaseDetail:
    """退回补正 · Send it back to be corrected; the applicant submits the same case again."""
    return _after(
        work,
        case_id,
        lambda unit: casework.decide_case(
            unit,
            work.actor,
            case_id,
            verdict=Verdict.RETURN,
            reason=body.reason,
            expected_version=body.version,
            zone=work.house.settings.timezone,
        ),
    )


@router.post("/{case_id}/taking", dependencies=[DECIDE])
def take(work: Work, case_id: str) -> CaseDetail:
    """领办 · Be in charge of a case, also in place of somebody else."""
    return _after(work, case_id, lambda unit: charge.take(unit, work.actor, case_id))


@router.post("/{case_id}/handover", dependencies=[DECIDE])
def hand_over(work: Work, case_id: str, body: Handing) -> CaseDetail:
    """转办 · Put another decider in charge."""
    return _after(
        work,
        case_id,
        lambda unit: charge.hand_over(unit, work.actor, case_id, to=body.to, reason=body.reason),
    )


@router.post("/{case_id}/comments", dependencies=[SPEAK])
def comment(work: Work, case_id: str, body: Reason) -> CaseDetail:
    """留言 · Say something to the other side without deciding."""
    return _after(work, case_id, lambda unit: actions.comment(unit, work.actor, case_id, text=body.reason))


@router.post("/{case_id}/withdrawal", dependencies=[MINE])
def withdraw(work: Work, case_id: str, body: Reason) -> CaseDetail:
    """撤回 · The applicant takes the request back."""
    zone = work.house.settings.timezone
    return _after(
        work,
        case_id,
        lambda unit: casework.withdraw_case(unit, work.actor, case_id, reason=body.reason, zone=zone),
    )


@router.post("/{case_id}/correction", dependencies=[allow(Permission.OFFER_ACCEPT)])
def ask_again(work: Work, case_id: str, body: Reason) -> CaseDetail:
    """补正再送 · Submit a returned request to revoke again; orders and listings are corrected at their own address."""
    zone = work.house.settings.timezone
    return _after(
        work,
        case_id,
        lambda unit: revocation.ask_again(unit, work.actor, case_id, note=body.reason, zone=zone),
    )
