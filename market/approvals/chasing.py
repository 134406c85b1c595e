"""催办与督办 What time makes due: reminders before a case is due, escalation when it is late, and its end."""

from datetime import datetime

from market.approvals import queries
from market.approvals.actions import ZONE, locked
from market.approvals.charge import in_charge_or_all
from market.approvals.notices import tell_deciders
from market.approvals.procedures import PROCEDURES
from market.approvals.rules import DUE_SOON, CaseState, Command, Part, allowed
from market.approvals.tables import Case
from storage.kernel.words import Words
from storage.kernel.workdays import after_working_days
from storage.unit import Unit

SOON = Words("即将到期", "is due within a day")
LATE = Words("已超过办理期限，现升级督办", "is overdue and has been escalated to every approver")


def step(case: Case, now: datetime, zone: str = ZONE) -> Command | None:
    """What the clock does to a case now, if anything; each is done once a round."""
    may = allowed(PROCEDURES[case.kind].table, case.state, Part.CLOCK)
    if Command.EXPIRE in may and case.expires_at <= now:
        return Command.EXPIRE
    late = after_working_days(case.due_at, PROCEDURES[case.kind].escalate_days, zone)
    if Command.ESCALATE in may and case.escalated_at is None and late <= now:
        return Command.ESCALATE
    if (
        Command.REMIND in may
        and case.state is CaseState.WAITING
        and case.reminded_at is None
        and case.due_at <= now + DUE_SOON
    ):
        return Command.REMIND
    return None


def chase(unit: Unit, case_id: str, now: datetime, zone: str = ZONE) -> Case:
    """催办. Remind who is in charge, or escalate to everybody who could decide. Twice is once. Raises NotFound."""
    case = locked(unit, case_id)
    match step(case, now, zone):
        case Command.REMIND:
            case.reminded_at = now
            _record(unit, case, "reminded")
            tell_deciders(unit, case, in_charge_or_all(unit, case), SOON)
        case Command.ESCALATE:
            before, case.assigned_to, case.escalated_at = case.assigned_to, None, now
            _record(unit, case, "escalated", before=before)
            tell_deciders(unit, case, queries.deciders_of(unit, case), LATE)
        case _:
            return case  # somebody was quicker
    unit.session.add(case)
    return case


def _record(unit: Unit, case: Case, what: str, **more: object) -> None:
    unit.record(
        f"case.{what}",
        f"case:{case.id}",
        case_kind=str(case.kind),
        subject=case.subject,
        due_at=case.due_at.isoformat(),
        **more,
    )
