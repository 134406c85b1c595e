"""Around the approval desk: who is away and who decides meanwhile, and which rules decide by themselves."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from market.approvals import autorules, charge, queries
from market.approvals.procedures import DESK
from market.approvals.rules import AUTO_RULES, CaseKind
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from storage.unit import Unit, View

router = APIRouter(prefix="/desk", tags=["cases"])
DECIDE = allow(*DESK)
READ = allow(*DESK, Permission.JOURNAL_READ)


class Absence(BaseModel, extra="forbid"):
    deputy: str = Field(max_length=40)
    begins: AwareDatetime
    ends: AwareDatetime
    reason: str = Field(min_length=4, max_length=500)


class DelegationView(BaseModel, from_attributes=True):
    id: str
    person: str
    org: str
    deputy: str
    begins_at: datetime
    ends_at: datetime
    reason: str
    made_at: datetime
    ended_at: datetime | None


class Switching(BaseModel, extra="forbid"):
    on: bool
    reason: str = Field(min_length=4, max_length=500)


class RuleView(BaseModel):
    code: str
    kind: CaseKind
    words: dict[str, str]
    wants: dict[str, list[Any]] = Field(description="Facts and the values they may have")
    on: bool
    by: str | None = None
    reason: str | None = None
    at: datetime | None = None


@router.get("/delegations", dependencies=[READ])
def delegations(house: HouseDep, actor: ActorDep) -> list[DelegationView]:
    """委托记录 · Whom you named while away, and who named you; auditors see all."""
    with house.store.view() as view:
        return [DelegationView.model_validate(row) for row in queries.delegations(view, actor)]


@router.post("/delegations", status_code=201, dependencies=[DECIDE])
def delegate(work: Work, body: Absence) -> DelegationView:
    """委托代办 · Name a person with the same permissions for the time you are away."""
    return work.once(
        DelegationView,
        lambda unit: DelegationView.model_validate(
            charge.delegate(
                unit,
                work.actor,
                deputy=body.deputy,
                begins=body.begins,
                ends=body.ends,
                reason=body.reason,
            )
        ),
    )


@router.post("/delegations/{delegation_id}/end", dependencies=[DECIDE])
def end_delegation(work: Work, delegation_id: str) -> DelegationView:
    """终止委托 · You are back."""
    return work.once(
        DelegationView,
        lambda unit: DelegationView.model_validate(charge.end_delegation(unit, work.actor, delegation_id)),
    )


@router.get("/rules", dependencies=[allow(*DESK, Permission.CASE_RULES, Permission.JOURNAL_READ)])
def rules(house: HouseDep) -> list[RuleView]:
    """自动审批规则 · What is approved without a person, and who switched it."""
    with house.store.view() as view:
        return _rules(view)


@router.put("/rules/{code}", dependencies=[allow(Permission.CASE_RULES)])
def switch(work: Work, code: str, body: Switching) -> RuleView:
    """开关规则 · With a reason that is kept."""

    def act(unit: Unit) -> RuleView:
        autorules.switch(unit, work.actor, code, on=body.on, reason=body.reason)
        return next(rule for rule in _rules(unit) if rule.code == code)

    return work.once(RuleView, act)


def _rules(view: View) -> list[RuleView]:
    said = queries.switches(view)
    return [
        RuleView(
            code=rule.code,
            kind=rule.kind,
            words=rule.words.both(),
            wants={name: list(fine) for name, fine in rule.wants.items()},
            on=bool(rule.code in said and said[rule.code].on),
            by=said[rule.code].by if rule.code in said else None,
            reason=said[rule.code].reason if rule.code in said else None,
            at=said[rule.code].at if rule.code in said else None,
        )
        for rule in AUTO_RULES
    ]
