"""Read cases: what waits for me, what my organization asked, who decided, who is away."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from market.approvals.procedures import PROCEDURES
from market.approvals.rules import (
    DUE_SOON,
    OPEN,
    CaseKind,
    CaseState,
    Command,
    Part,
    allowed,
    own_matter,
    part_of,
)
from market.approvals.tables import Case, Decision, Delegation, RuleSwitch
from market.identity.queries import holders
from market.identity.rules import Actor, Permission
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import View


def is_own(actor: Actor, case: Case) -> bool:
    """职责分离. Whether a case is the actor's own, or of any organization they belong to."""
    return own_matter(
        person=actor.person,
        orgs={*actor.orgs, *([actor.org] if actor.org else [])},
        submitted_by=case.submitted_by,
        submitted_org=case.submitted_org,
    )


def part_in(view: View, actor: Actor, case: Case) -> Part:
    """身份. What the actor is to this case now."""
    procedure = PROCEDURES[case.kind]
    taken = case.assigned_to is not None
    return part_of(
        own=is_own(actor, case),
        asks=actor.id == case.submitted_by
        or (actor.org == case.submitted_org and any(actor.may(each) for each in procedure.ask)),
        decides=procedure.decides(actor, case.needs),
        reads=actor.may(Permission.JOURNAL_READ),
        in_charge=case.assigned_to == actor.id,
        taken=taken,
        deputy=taken and deputy_of(view, str(case.assigned_to), clock.now()) == actor.id,
    )


def commands(view: View, actor: Actor, case: Case) -> list[Command]:
    """可办操作. What the actor may do to this case now."""
    return allowed(PROCEDURES[case.kind].table, case.state, part_in(view, actor, case))


def visible_to(actor: Actor) -> SelectOfScalar[Case]:
    """The cases `actor` may see: own organization's, those of kinds they decide, and all for auditors."""
    query = select(Case)
    if actor.may(Permission.JOURNAL_READ):
        return query
    whole = [each.kind for each in PROCEDURES.values() if actor.may(each.decide)]
    halves = [each.kind for each in PROCEDURES.values() if each.second and actor.may(each.second)]
    return query.where(
        or_(
            Case.submitted_org == (actor.org or ""),
            col(Case.kind).in_(whole),
            sa.and_(col(Case.kind).in_(halves), col(Case.needs) == 2),
        )
    )


def case(view: View, actor: Actor, case_id: str) -> Case:
    """One case. Raises NotFound for what the caller may not know of."""
    found = view.session.exec(visible_to(actor).where(Case.id == case_id)).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def decided_by(view: View, case: Case) -> str:
    """The person or rule whose word was the last on a case; the clock when nobody spoke."""
    said = decisions(view, case.id)
    return said[-1].by if said else "system:clock"


def decisions(view: View, case_id: str) -> Sequence[Decision]:
    """审批意见. Everything said on a case in every round, oldest first."""
    query = select(Decision).where(Decision.case_id == case_id).order_by(col(Decision.id))
    return view.session.exec(query).all()


def queue(
    view: View, actor: Actor, *, kind: CaseKind, mine: bool = False, by_risk: bool = False, limit: int = 200
) -> Sequence[Case]:
    """待办. Cases of a kind that `actor` can decide now, never own matters; the most urgent or risky first.

    mine: only what is in the actor's charge or in that of somebody who is away and named them.
    Raises Forbidden for someone who decides nothing of this kind.
    """
    procedure = PROCEDURES[kind]
    if not procedure.decides(actor, 2):
        actor.require(procedure.decide)
    said = select(Decision.case_id).where(Decision.by == actor.id, Decision.round == Case.round)
    query = select(Case).where(
        col(Case.kind) == kind,
        col(Case.state) == CaseState.WAITING,
        Case.submitted_by != actor.id,
        col(Case.id).not_in(said.correlate(Case)),
        col(Case.submitted_org).not_in([*actor.orgs, actor.org or ""]),
    )
    if not actor.may(procedure.decide):
        query = query.where(Case.needs == 2)
    if mine:
        query = query.where(col(Case.assigned_to).in_([actor.id, *represented(view, actor.id, clock.now())]))
    order = [sa.desc(col(Case.risk_score))] if by_risk else []
    return view.session.exec(
        query.order_by(*order, sa.asc(col(Case.due_at)), sa.asc(col(Case.id))).limit(limit)
    ).all()


def submitted_by_org(
    view: View, actor: Actor, *, before: str | None = None, limit: int = 100
) -> Sequence[Case]:
    """我方送审. What the actor's organization asked for, newest first."""
    query = select(Case).where(Case.submitted_org == actor.own_org)
    if before:
        query = query.where(col(Case.id) < before)
    return view.session.exec(query.order_by(sa.desc(col(Case.id))).limit(limit)).all()


def own_case(view: View, actor: Actor, case_id: str) -> Case:
    """One case of the actor's organization. Raises NotFound."""
    query = select(Case).where(Case.id == case_id, Case.submitted_org == actor.own_org)
    found = view.session.exec(query).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def of_subject(view: View, subject: str) -> Sequence[Case]:
    """All cases on one thing, newest first."""
    query = select(Case).where(Case.subject == subject).order_by(sa.desc(col(Case.id)))
    return view.session.exec(query).all()


def going(view: View, subject: str) -> Case | None:
    """The case on one thing that is waiting or returned."""
    query = select(Case).where(Case.subject == subject, col(Case.state).in_(OPEN))
    return view.session.exec(query).first()


def kind_of(view: View, case_id: str) -> CaseKind | None:
    """What a case asks for, so that the room which acts on it can be chosen; None for no such case."""
    found = view.session.exec(select(Case).where(Case.id == case_id)).first()
    return found.kind if found else None


# ------------------------------------------------------------------ who decides


def deciders_of(view: View, case: Case) -> dict[str, str]:
    """有权审批人员. People who can decide this case and whose own matter it is not, with the organization they are in."""
    procedure = PROCEDURES[case.kind]
    wanted = procedure.deciding if case.needs > 1 else (procedure.decide,)
    found = {user.id: org for user, org in holders(view, wanted)}
    members = {user.id for user, org in holders(view, tuple(Permission)) if org == case.submitted_org}
    return {who: org for who, org in found.items() if who != case.submitted_by and who not in members}


def deputy_of(view: View, person: str, at: datetime) -> str | None:
    """Who decides for a person who is away at this moment."""
    query = _effective(at).where(Delegation.person == person)
    found = view.session.exec(query).first()
    return found.deputy if found else None


def represented(view: View, deputy: str, at: datetime) -> list[str]:
    """The people who are away at this moment and named this deputy."""
    return [row.person for row in view.session.exec(_effective(at).where(Delegation.deputy == deputy))]


def delegations(view: View, actor: Actor) -> Sequence[Delegation]:
    """委托记录. What the actor delegated and what was delegated to them; everything for an auditor. Newest first."""
    query = select(Delegation).order_by(sa.desc(col(Delegation.id)))
    if not actor.may(Permission.JOURNAL_READ):
        query = query.where(or_(Delegation.person == actor.id, Delegation.deputy == actor.id))
    return view.session.exec(query.limit(100)).all()


def _effective(at: datetime) -> SelectOfScalar[Delegation]:
    return select(Delegation).where(
        col(Delegation.begins_at) <= at, col(Delegation.ends_at) > at, col(Delegation.ended_at).is_(None)
    )


# ------------------------------------------------------------------ the clock and the rules


def chased(view: View, now: datetime, limit: int = 200) -> list[Case]:
    """Open cases whose reminder, escalation or end may be due, oldest term first."""
    query = (
        select(Case)
        .where(
            col(Case.state).in_(OPEN),
            or_(
                col(Case.expires_at) <= now,
                sa.and_(col(Case.due_at) <= now + DUE_SOON, col(Case.reminded_at).is_(None)),
                sa.and_(col(Case.due_at) <= now, col(Case.escalated_at).is_(None)),
            ),
        )
        .order_by(col(Case.due_at))
    )
    return list(view.session.exec(query.limit(limit)))


def switches(view: View) -> dict[str, RuleSwitch]:
    """自动审批开关. What was said last about each rule, by its code."""
    return {row.code: row for row in view.session.exec(select(RuleSwitch))}
