"""Open, decide, return and cancel cases. The caller names the permission its kind of case asks for."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.approvals.problems import AlreadyDecided, CaseMoved, CaseOpen, DecidedByYou
from market.approvals.rules import (
    CASE,
    DUE,
    PAST,
    CaseKind,
    CaseState,
    Verdict,
    own_matter,
    reason_faults,
    verb_for,
)
from market.approvals.tables import Case, Decision
from market.identity.problems import OwnDecision
from market.identity.rules import GRANTS, Actor, Permission
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit


def open_case(
    unit: Unit,
    *,
    kind: CaseKind,
    subject: str,
    submitted_by: str,
    submitted_org: str,
    needs: int = 1,
    due_at: datetime | None = None,
) -> Case:
    """送审. Ask for `needs` (1 or 2) approvals of `subject` ("listing:lst_…").

    Raises CaseOpen when the same subject is waiting already; of two at once the index decides.
    """
    if needs not in {1, 2}:
        raise ValueError("a case needs one or two approvals")
    waiting = select(Case.id).where(Case.subject == subject, col(Case.state) == CaseState.WAITING)
    if held := unit.session.exec(waiting).first():
        raise CaseOpen(case=held)
    now = clock.now()
    case = Case(
        id=new_id("cas"),
        kind=kind,
        subject=subject,
        submitted_by=submitted_by,
        submitted_org=submitted_org,
        needs=needs,
        opened_at=now,
        due_at=due_at or now + DUE,
    )
    unit.session.add(case)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise CaseOpen(subject=subject) from error
    unit.record("case.opened", f"case:{case.id}", case_kind=str(kind), subject=subject, needs=needs)
    return case


def decide(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    permission: Permission,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
) -> Case:
    """审批. Approve or reject, once per person; with two needed, the second approval decides.

    expected_version: the version the decider read; of two at once the later is told who was first.
    Raises Forbidden, NotFound, OwnDecision, Invalid, AlreadyDecided, CaseMoved, DecidedByYou.
    """
    verdict = Verdict.APPROVE if approve else Verdict.REJECT
    return _decide(
        unit,
        actor,
        case_id,
        permission=permission,
        verdict=verdict,
        reason=reason,
        expected_version=expected_version,
    )


def return_case(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    permission: Permission,
    reason: str,
    expected_version: int | None = None,
) -> Case:
    """退回补正. Send the matter back to be corrected; raises as `decide` does."""
    return _decide(
        unit,
        actor,
        case_id,
        permission=permission,
        verdict=Verdict.RETURN,
        reason=reason,
        expected_version=expected_version,
    )


def cancel_case(unit: Unit, case_id: str, *, reason: str = "") -> Case:
    """撤回. Close a case without a decision, because what it asks for went away.

    The caller has checked who may. Raises NotFound, AlreadyDecided.
    """
    case = _locked(unit, case_id)
    _refuse_closed(unit, case)
    _move(unit, case, "cancel", reason=reason)
    return case


def _decide(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    permission: Permission,
    verdict: Verdict,
    reason: str,
    expected_version: int | None,
) -> Case:
    actor.require(permission)
    case = _locked(unit, case_id)
    if own_matter(
        person=actor.id,
        orgs={*actor.orgs, *([actor.org] if actor.org else [])},
        submitted_by=case.submitted_by,
        submitted_org=case.submitted_org,
    ):
        raise OwnDecision(case=case.id)
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    _refuse_closed(unit, case)
    before = _decisions(unit, case)
    if any(decision.by == actor.id for decision in before):
        raise DecidedByYou(case=case.id)
    if expected_version is not None and expected_version != case.version:
        last = before[-1] if before else None
        raise CaseMoved(
            case=case.id,
            version=case.version,
            by=last.by if last else None,
            verdict=str(last.verdict) if last else None,
        )
    unit.session.add(
        Decision(
            id=new_id("dec"),
            case_id=case.id,
            by=actor.id,
            org=actor.org,
            role=min(str(role) for role in actor.roles if permission in GRANTS[role]),
            verdict=verdict,
            reason=reason.strip(),
            at=clock.now(),
        )
    )
    approvals = sum(decision.verdict is Verdict.APPROVE for decision in before)
    _move(unit, case, verb_for(verdict, approvals, case.needs), reason=reason.strip())
    return case


def _locked(unit: Unit, case_id: str) -> Case:
    # Waits for another decider and then reads what they left behind.
    query = select(Case).where(Case.id == case_id).with_for_update()
    case = unit.session.exec(query.execution_options(populate_existing=True)).first()
    if case is None:
        raise NotFound(case=case_id)
    return case


def _decisions(unit: Unit, case: Case) -> list[Decision]:
    query = select(Decision).where(Decision.case_id == case.id).order_by(col(Decision.id))
    return list(unit.session.exec(query).all())


def _refuse_closed(unit: Unit, case: Case) -> None:
    if case.state is CaseState.WAITING:
        return
    decisions = _decisions(unit, case)
    raise AlreadyDecided(
        case=case.id,
        state=str(case.state),
        by=decisions[-1].by if decisions else None,
        at=case.closed_at.isoformat() if case.closed_at else None,
    )


def _move(unit: Unit, case: Case, verb: str, *, reason: str) -> None:
    case.state = CASE.after(case.state, verb)
    case.version += 1
    if CASE.ended(case.state):
        case.closed_at = clock.now()
    unit.session.add(case)
    unit.session.flush()
    unit.record(
        f"case.{PAST[verb]}",
        f"case:{case.id}",
        case_kind=str(case.kind),
        subject=case.subject,
        version=case.version,
        reason=reason,
    )
