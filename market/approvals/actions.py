"""Open, decide, return, correct and withdraw cases. Who may do what stands in `rules.TABLE` and `procedures`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.approvals import queries
from market.approvals.notices import tell_applicant
from market.approvals.problems import (
    AlreadyDecided,
    CaseMoved,
    CaseOpen,
    DecidedByYou,
    GroundMoved,
    InOthersCharge,
    NotYours,
    SameRole,
)
from market.approvals.procedures import PROCEDURES, Procedure, roles_for
from market.approvals.rules import (
    CASE,
    OPEN,
    PAST,
    CaseKind,
    CaseState,
    Command,
    Ground,
    Part,
    Verdict,
    allowed,
    changed,
    parts_for,
    reason_faults,
    verb_for,
)
from market.approvals.tables import Case, Decision
from market.identity.problems import OwnDecision
from market.identity.rules import GRANTS, Actor
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.kernel.workdays import after_working_days
from storage.unit import Unit

ZONE = "Asia/Shanghai"  # the calendar of working days is mainland China's
DECIDING = frozenset({Command.APPROVE, Command.REJECT, Command.RETURN})


def open_case(
    unit: Unit,
    *,
    kind: CaseKind,
    subject: str,
    submitted_by: str,
    submitted_org: str,
    needs: int = 1,
    ground: Ground | None = None,
    zone: str = ZONE,
) -> Case:
    """送审. Ask for `needs` (1 or 2) approvals of `subject` ("listing:lst_…"), due in working days.

    ground: what it stands on now, shown to the decider beside what it will be then.
    Raises CaseOpen when the same subject is open already; of two at once the index decides.
    """
    if needs not in {1, 2}:
        raise ValueError("a case needs one or two approvals")
    going = select(Case.id).where(Case.subject == subject, col(Case.state).in_(OPEN))
    if held := unit.session.exec(going).first():
        raise CaseOpen(case=held)
    now = clock.now()
    case = Case(
        id=new_id("cas"),
        kind=kind,
        subject=subject,
        submitted_by=submitted_by,
        submitted_org=submitted_org,
        opened_at=now,
        submitted_at=now,
        due_at=now,
        expires_at=now,
        facts={},
        risks=[],
    )
    _submitted(case, needs, ground or Ground({}), zone)
    unit.session.add(case)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise CaseOpen(subject=subject) from error
    _record(unit, case, "opened", needs=needs, risk=case.risk_score)
    return case


def _submitted(case: Case, needs: int, ground: Ground, zone: str) -> None:
    procedure, now = PROCEDURES[case.kind], clock.now()
    case.needs, case.facts, case.risk_score = needs, ground.facts, ground.score
    case.risks, case.rules_version = [risk.document() for risk in ground.risks], ground.rules_version
    case.submitted_at, case.reminded_at, case.escalated_at = now, None, None
    case.due_at = after_working_days(now, procedure.due_days, zone)
    case.expires_at = after_working_days(now, procedure.due_days + procedure.expire_days, zone)


def resubmit(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    note: str,
    needs: int,
    ground: Ground,
    zone: str = ZONE,
) -> Case:
    """补正再送. The same case again after a return: decisions so far are kept, and nobody's counts any more.

    note: what was corrected. Raises NotFound, NotYours, WrongState, Invalid.
    """
    case, _part = enter(unit, actor, case_id, Command.RESUBMIT, note)
    case.round += 1
    case.note = note.strip()
    _submitted(case, needs, ground, zone)
    _move(unit, case, "resubmit", reason=case.note, risk=case.risk_score)
    return case


def decide(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
    seen: str | None = None,
    ground: Ground | None = None,
) -> Case:
    """审批. Approve or reject, once per person; with two needed, the second approval of another role decides.

    expected_version: the version the decider read; of two at once the later is told who was first.
    seen: the hash of the facts the decider read, compared with `ground`, what they are now.
    Raises NotYours, NotFound, OwnDecision, Invalid, AlreadyDecided, CaseMoved, GroundMoved, DecidedByYou,
    SameRole, InOthersCharge.
    """
    verdict = Verdict.APPROVE if approve else Verdict.REJECT
    return _decide(unit, actor, case_id, verdict, reason, expected_version, seen, ground)


def return_case(
    unit: Unit, actor: Actor, case_id: str, *, reason: str, expected_version: int | None = None
) -> Case:
    """退回补正. Send the matter back to be corrected and submitted again; raises as `decide` does."""
    return _decide(unit, actor, case_id, Verdict.RETURN, reason, expected_version, None, None)


def cancel_case(unit: Unit, case_id: str, *, reason: str = "") -> Case:
    """撤回. Close an open case without a decision, because what it asks for went away.

    The caller has checked who may. Raises NotFound, AlreadyDecided.
    """
    case = locked(unit, case_id)
    _refuse_closed(unit, case)
    _move(unit, case, "cancel", reason=reason)
    return case


def withdraw(unit: Unit, actor: Actor, case_id: str, *, reason: str) -> Case:
    """撤回. The applicant takes an open case back. Raises NotFound, NotYours, AlreadyDecided, Invalid."""
    case, _part = enter(unit, actor, case_id, Command.CANCEL, reason)
    _move(unit, case, "cancel", reason=reason.strip())
    return case


def comment(unit: Unit, actor: Actor, case_id: str, *, text: str) -> Case:
    """留言. Say something to the other side without deciding; both sides read it on the case's page.

    Raises NotFound, NotYours, AlreadyDecided, Invalid.
    """
    case, part = enter(unit, actor, case_id, Command.COMMENT, text)
    _record(unit, case, "commented", reason=text.strip(), part=str(part))
    if part is not Part.APPLICANT:
        tell_applicant(unit, case, "commented", text.strip())
    return case


def locked(unit: Unit, case_id: str) -> Case:
    """The case, held until the Unit ends: waits for another decider and reads what they left. Raises NotFound."""
    query = select(Case).where(Case.id == case_id).with_for_update()
    case = unit.session.exec(query.execution_options(populate_existing=True)).first()
    if case is None:
        raise NotFound(case=case_id)
    return case


def enter(
    unit: Unit, actor: Actor, case_id: str, command: Command, reason: str | None = None
) -> tuple[Case, Part]:
    """The case held for one command, and what the actor is to it; the table decides whether they may.

    reason: checked when the command carries one. Raises NotFound, OwnDecision, NotYours, InOthersCharge,
    AlreadyDecided, WrongState, Invalid.
    """
    case = locked(unit, case_id)
    procedure = PROCEDURES[case.kind]
    part = queries.part_in(unit, actor, case)
    if part in {Part.APPLICANT, Part.OUTSIDER} and command in DECIDING and queries.is_own(actor, case):
        raise OwnDecision(case=case.id)
    now = allowed(procedure.table, case.state, part)
    if command not in now:
        ever = part in parts_for(procedure.table, command)
        if part is Part.COLLEAGUE and case.state is CaseState.WAITING:
            raise InOthersCharge(
                case=case.id, assigned_to=case.assigned_to, allowed=[str(each) for each in now]
            )
        if not ever:
            raise NotYours(
                case=case.id,
                part=str(part),
                allowed=[str(each) for each in now],
                roles=[str(role) for role in roles_for(procedure, command)],
            )
        _refuse_closed(unit, case)
        raise WrongState(
            thing="case", state=str(case.state), verb=str(command), allowed=[str(c) for c in now]
        )
    if reason is not None and (faults := reason_faults(reason)):
        raise Invalid(*faults)
    return case, part


def _decide(
    unit: Unit,
    actor: Actor,
    case_id: str,
    verdict: Verdict,
    reason: str,
    expected_version: int | None,
    seen: str | None,
    ground: Ground | None,
) -> Case:
    case, part = enter(unit, actor, case_id, Command(str(verdict)), reason)
    said = _decisions(unit, case)
    for_whom = case.assigned_to if part is Part.DEPUTY else None
    voices = {voice for each in said for voice in (each.by, each.on_behalf_of) if voice}
    if voices & {actor.id, for_whom}:
        raise DecidedByYou(case=case.id)
    if expected_version is not None and expected_version != case.version:
        _told_of_the_first(unit, case)
    if seen and ground and seen != ground.facts_hash:
        names = [name for name, _then, _now in changed(case.facts, ground.facts)]
        raise GroundMoved(case=case.id, changed=names)
    approvals = [each for each in said if each.verdict is Verdict.APPROVE]
    role = _role(PROCEDURES[case.kind], actor, case, approvals if verdict is Verdict.APPROVE else [])
    unit.session.add(
        Decision(
            id=new_id("dec"),
            case_id=case.id,
            round=case.round,
            by=actor.id,
            on_behalf_of=for_whom,
            org=actor.org,
            role=role,
            verdict=verdict,
            reason=reason.strip(),
            at=clock.now(),
        )
    )
    verb = verb_for(verdict, len(approvals), case.needs)
    if verb == "endorse":
        case.assigned_to = None  # the second is another person
    _move(
        unit,
        case,
        verb,
        reason=reason.strip(),
        role=role,
        facts=ground.facts_hash if ground else None,
        on_behalf_of=for_whom,
    )
    return case


def _role(procedure: Procedure, actor: Actor, case: Case, approvals: Sequence[Decision]) -> str:
    """The role this decision is given in; the second approval of two in another one than the first."""
    able = procedure.deciding if case.needs > 1 else (procedure.decide,)
    held = [str(role) for permission in able for role in sorted(actor.roles) if permission in GRANTS[role]]
    fresh = [
        role for role in held if procedure.second is None or role not in {each.role for each in approvals}
    ]
    if not fresh:
        others = {str(role) for role in roles_for(procedure, Command.APPROVE)} - set(held)
        raise SameRole(case=case.id, roles=sorted(others))
    return fresh[0]


def _told_of_the_first(unit: Unit, case: Case) -> None:
    last = _decisions(unit, case, every_round=True)[-1:]
    raise CaseMoved(
        case=case.id,
        version=case.version,
        by=last[0].by if last else None,
        verdict=str(last[0].verdict) if last else None,
    )


def _decisions(unit: Unit, case: Case, *, every_round: bool = False) -> list[Decision]:
    query = select(Decision).where(Decision.case_id == case.id).order_by(col(Decision.id))
    if not every_round:
        query = query.where(Decision.round == case.round)
    return list(unit.session.exec(query).all())


def _refuse_closed(unit: Unit, case: Case) -> None:
    if case.state in OPEN:
        return
    decisions = _decisions(unit, case, every_round=True)
    raise AlreadyDecided(
        case=case.id,
        state=str(case.state),
        by=decisions[-1].by if decisions else None,
        at=case.closed_at.isoformat() if case.closed_at else None,
        allowed=[],
    )


def _move(unit: Unit, case: Case, verb: str, *, reason: str, **more: object) -> None:
    case.state = CASE.after(case.state, verb)
    case.version += 1
    if CASE.ended(case.state):
        case.closed_at = clock.now()
    unit.session.add(case)
    unit.session.flush()
    _record(unit, case, PAST[verb], reason=reason, **more)
    tell_applicant(unit, case, PAST[verb], reason)


def _record(unit: Unit, case: Case, what: str, **more: object) -> None:
    unit.record(
        f"case.{what}",
        f"case:{case.id}",
        case_kind=str(case.kind),
        subject=case.subject,
        version=case.version,
        round=case.round,
        rules_version=case.rules_version,
        **{name: value for name, value in more.items() if value is not None},
    )


def end_overdue(unit: Unit, case_id: str, now: datetime) -> Case:
    """逾期终止. The clock closes a case nobody decided, or nobody corrected. Raises NotFound, AlreadyDecided.

    Raises WrongState before its time.
    """
    case = locked(unit, case_id)
    _refuse_closed(unit, case)
    if case.expires_at > now:
        raise WrongState(thing="case", state=str(case.state), verb="expire", allowed=[])
    _move(unit, case, "expire", reason="逾期未办结 not concluded in time")
    return case
