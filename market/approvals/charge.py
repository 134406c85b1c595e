"""承办与委托 Who is in charge of a case: take it over, hand it over, name a deputy while away."""

from datetime import datetime

from sqlmodel import col, or_, select

from market.approvals import queries
from market.approvals.actions import enter
from market.approvals.notices import tell_deciders
from market.approvals.problems import AwayAlready
from market.approvals.procedures import DESK
from market.approvals.rules import Command, absence_faults, reason_faults
from market.approvals.tables import Case, Delegation
from market.identity.queries import holders
from market.identity.rules import Actor
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.unit import Unit


def take(unit: Unit, actor: Actor, case_id: str) -> Case:
    """领办. Be in charge of a case, also in place of somebody else. Raises NotFound, NotYours, WrongState."""
    case, _part = enter(unit, actor, case_id, Command.TAKE)
    before, case.assigned_to = case.assigned_to, actor.id
    unit.session.add(case)
    unit.record(
        "case.taken", f"case:{case.id}", case_kind=str(case.kind), subject=case.subject, before=before
    )
    if before is not None:
        tell_deciders(unit, case, [before], Words("已由他人接手", "was taken over by somebody else"))
    return case


def hand_over(unit: Unit, actor: Actor, case_id: str, *, to: str, reason: str) -> Case:
    """转办. Put another decider in charge; raises Invalid for somebody who could not decide it.

    to: a person's id. Raises NotFound, NotYours, WrongState, Invalid.
    """
    case, _part = enter(unit, actor, case_id, Command.HAND_OVER, reason)
    if to == actor.id or to not in queries.deciders_of(unit, case):
        raise invalid(
            "to",
            "case.decider",
            "请选择另一位有权办理该事项、且与申请方无关的人员。",
            "Choose another person who may decide this and does not belong to the applicant.",
        )
    case.assigned_to = to
    unit.session.add(case)
    unit.record(
        "case.handed_over",
        f"case:{case.id}",
        case_kind=str(case.kind),
        subject=case.subject,
        to=to,
        reason=reason.strip(),
    )
    tell_deciders(unit, case, [to], Words("已转交您办理", "was handed over to you"))
    return case


def delegate(
    unit: Unit, actor: Actor, *, deputy: str, begins: datetime, ends: datetime, reason: str
) -> Delegation:
    """委托代办. While away, a person with the same permissions decides what is in the actor's charge.

    The deputy decides nothing they could not decide themselves: permissions are compared now, and their own
    matters stay closed to them. begins, ends: aware. Raises Forbidden, Invalid, AwayAlready.
    """
    mine = [permission for permission in DESK if actor.may(permission)]
    if not mine:
        actor.require(DESK[0])
    faults = [*absence_faults(begins, ends, clock.now()), *reason_faults(reason)]
    able = {user.id for user, _org in holders(unit, mine[:1])}
    for permission in mine[1:]:
        able &= {user.id for user, _org in holders(unit, (permission,))}
    if deputy == actor.id or deputy not in able:
        words = Words(
            "受托人须为具有相同权限的另一人员。", "The deputy is another person with the same permissions."
        )
        faults.append(Fault("deputy", "absence.deputy", words))
    if faults:
        raise Invalid(*faults)
    taken = select(Delegation.id).where(
        Delegation.person == actor.id,
        col(Delegation.ended_at).is_(None),
        col(Delegation.begins_at) < ends,
        col(Delegation.ends_at) > begins,
    )
    if held := unit.session.exec(taken).first():
        raise AwayAlready(delegation=held)
    row = Delegation(
        id=new_id("dlg"),
        person=actor.id,
        org=actor.own_org,
        deputy=deputy,
        begins_at=begins,
        ends_at=ends,
        reason=reason.strip(),
        made_at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record(
        "delegation.made",
        f"delegation:{row.id}",
        deputy=deputy,
        begins=begins.isoformat(),
        ends=ends.isoformat(),
        reason=row.reason,
    )
    return row


def end_delegation(unit: Unit, actor: Actor, delegation_id: str) -> Delegation:
    """终止委托. The actor is back: what is in their charge is theirs again. Raises NotFound for another's."""
    row = unit.session.get(Delegation, delegation_id, with_for_update=True)
    if row is None or row.person != actor.id:
        raise NotFound(delegation=delegation_id)
    if row.ended_at is None:
        row.ended_at = clock.now()
        unit.session.add(row)
        unit.record("delegation.ended", f"delegation:{row.id}", deputy=row.deputy)
    return row


def release(unit: Unit, person: str) -> None:
    """解除承办. Nothing is in the charge of somebody who is gone, and nobody stands in for them or they for others."""
    for case in unit.session.exec(select(Case).where(Case.assigned_to == person).with_for_update()).all():
        case.assigned_to = None
        unit.session.add(case)
        unit.record(
            "case.taken", f"case:{case.id}", case_kind=str(case.kind), subject=case.subject, before=person
        )
    query = select(Delegation).where(
        or_(Delegation.person == person, Delegation.deputy == person), col(Delegation.ended_at).is_(None)
    )
    for row in unit.session.exec(query.with_for_update()).all():
        row.ended_at = clock.now()
        unit.session.add(row)
        unit.record("delegation.ended", f"delegation:{row.id}", deputy=row.deputy)


def in_charge_or_all(unit: Unit, case: Case) -> list[str]:
    """Who is told about a case: who is in charge and their deputy, otherwise everybody who could decide it."""
    able = queries.deciders_of(unit, case)
    if case.assigned_to is None:
        return list(able)
    deputy = queries.deputy_of(unit, case.assigned_to, clock.now())
    return [case.assigned_to, *([deputy] if deputy in able else [])]
