"""Read cases: what waits for me, what my organization asked, who decided."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from market.approvals.rules import CaseKind, CaseState
from market.approvals.tables import Case, Decision
from market.identity.rules import Actor, Permission
from storage.kernel.problem import NotFound
from storage.unit import View


def visible_to(actor: Actor, permission: Permission) -> SelectOfScalar[Case]:
    """The cases `actor` may see: own organization's, and all for deciders and auditors."""
    query = select(Case)
    if actor.may(permission) or actor.may(Permission.JOURNAL_READ):
        return query
    return query.where(Case.submitted_org == (actor.org or ""))


def case(view: View, actor: Actor, case_id: str, *, permission: Permission) -> Case:
    """One case. Raises NotFound for what the caller may not know of."""
    found = view.session.exec(visible_to(actor, permission).where(Case.id == case_id)).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def decisions(view: View, case_id: str) -> Sequence[Decision]:
    """审批意见. Everything said on a case, oldest first."""
    query = select(Decision).where(Decision.case_id == case_id).order_by(col(Decision.id))
    return view.session.exec(query).all()


def queue(
    view: View, actor: Actor, *, kind: CaseKind, permission: Permission, limit: int = 100
) -> Sequence[Case]:
    """待办. Cases `actor` can decide now, the most urgent first; never own matters.

    Raises Forbidden for someone without `permission`.
    """
    actor.require(permission)
    mine = select(Decision.case_id).where(Decision.by == actor.id)
    query = (
        select(Case)
        .where(
            col(Case.kind) == kind,
            col(Case.state) == CaseState.WAITING,
            Case.submitted_by != actor.id,
            col(Case.id).not_in(mine),
        )
        .order_by(sa.asc(col(Case.due_at)), sa.asc(col(Case.id)))
        .limit(limit)
    )
    if actor.org is not None:
        query = query.where(Case.submitted_org != actor.org)
    return view.session.exec(query).all()


def submitted_by_org(view: View, actor: Actor, *, limit: int = 100) -> Sequence[Case]:
    """我方送审. What the actor's organization asked for, newest first."""
    query = select(Case).where(Case.submitted_org == actor.own_org).order_by(sa.desc(col(Case.id)))
    return view.session.exec(query.limit(limit)).all()


def of_subject(view: View, subject: str) -> Sequence[Case]:
    """All cases on one thing, newest first."""
    query = select(Case).where(Case.subject == subject).order_by(sa.desc(col(Case.id)))
    return view.session.exec(query).all()


def kind_of(view: View, case_id: str) -> CaseKind | None:
    """What a case asks for, so that the room which acts on it can be chosen; None for no such case."""
    found = view.session.exec(select(Case).where(Case.id == case_id)).first()
    return found.kind if found else None
