"""保存与删除 Terms of retention, purging what is past them, legal holds, and erasing a person: over all rooms."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime

from market.approvals import charge
from market.audit import actions as audit
from market.audit.problems import LastAdministrator, NotPurged, OnHold, TermRuns
from market.audit.queries import is_held
from market.audit.rules import TERMS, RecordKind, purgeable_before
from market.audit.tables import LegalHold
from market.identity import erasure
from market.identity.queries import memberships
from market.identity.rules import Actor, Permission
from market.trading.queries import last_deal_of, placed_by
from metering.actions import end_credentials_of
from storage.idempotency import forget_keys
from storage.kernel import clock
from storage.kernel.problem import invalid
from storage.unit import Unit


@dataclass(frozen=True, slots=True)
class Kept:
    """依法保留. What an erasure left, how much of it, and why; it says somebody's number, no name."""

    kind: RecordKind
    count: int


@dataclass(frozen=True, slots=True)
class Erased:
    """删除结果. What went, and what the law keeps."""

    person: str
    memberships: int
    mails: int
    credentials: int
    kept: tuple[Kept, ...]


def erase_person(unit: Unit, actor: Actor, user_id: str, *, reason: str) -> Erased:
    """删除个人信息. Forget a person on request; trade records keep their number only, and are listed.

    Raises Forbidden, NotFound, Invalid (oneself, no reason), OnHold, LastAdministrator.
    """
    actor.require(Permission.USER_KEEP)
    _reasoned(reason)
    if user_id == actor.id:
        raise invalid("user", "erase.self", "不能删除自己。", "You cannot erase yourself.")
    _refuse_held(unit, f"user:{user_id}")
    if org := erasure.only_administrator_of(unit, user_id):
        raise LastAdministrator(org=org)
    ended = sum(
        end_credentials_of(unit, user_id, org_id=row.party_id, reason="its keeper was erased")
        for row, _owner in memberships(unit, user_id)
    )
    charge.release(unit, user_id)
    gone = erasure.forget_person(unit, user_id, reason=reason)
    return Erased(
        user_id,
        gone.memberships,
        gone.mails,
        ended,
        (Kept(RecordKind.TRADE, placed_by(unit, user_id)),),
    )


def erase_party(unit: Unit, actor: Actor, party_id: str, *, reason: str) -> None:
    """删除自然人主体. Forget a natural person who is a party; refused while a deal's term runs.

    Raises Forbidden, NotFound, Invalid, OnHold, TermRuns naming the first moment and the law.
    """
    actor.require(Permission.USER_KEEP)
    _reasoned(reason)
    _refuse_held(unit, f"party:{party_id}")
    last = last_deal_of(unit, party_id)
    if last is not None and last >= purgeable_before(RecordKind.TRADE, clock.now()):
        months = TERMS[RecordKind.TRADE].months
        raise TermRuns(
            party=party_id,
            months=months,
            until=_after(last, months).isoformat(),
            law=TERMS[RecordKind.TRADE].law.both(),
        )
    erasure.forget_party(unit, party_id, reason=reason)


def purge(unit: Unit, kind: RecordKind, *, before: datetime) -> dict[str, int]:
    """到期清除. Remove records of a kind that ended before a moment; never within the legal term.

    before: aware. Raises NotPurged for kinds that are only archived, TermRuns, OnHold.
    """
    term = TERMS[kind]
    latest = purgeable_before(kind, clock.now(), term.least_months)
    if before > latest:
        raise TermRuns(
            kind=str(kind), months=term.least_months, until=latest.isoformat(), law=term.law.both()
        )
    if not term.purged:
        raise NotPurged(kind=str(kind), law=term.law.both())
    _refuse_held(unit, f"records:{kind}")
    gone = {"mails": erasure.purge_mails(unit, before), "answers": forget_keys(unit, before)}
    unit.record("records.purged", f"records:{kind}", before=before.isoformat(), **gone)
    return gone


def purge_due(unit: Unit) -> None:
    """到期清除. What the clock removes by itself, each kind after the term chosen for it; nothing under a hold."""
    for kind, term in TERMS.items():
        if term.purged and is_held(unit, f"records:{kind}") is None:
            purge(unit, kind, before=purgeable_before(kind, clock.now()))


def place_hold(unit: Unit, actor: Actor, *, subject: str, reason: str) -> LegalHold:
    """法律保全. Keep a subject ("user:usr_…", "party:pty_…", "records:access") whatever its term. Raises Forbidden, Invalid."""
    actor.require(Permission.RECORD_HOLD)
    return audit.place_hold(unit, subject=subject, reason=reason)


def lift_hold(unit: Unit, actor: Actor, hold_id: str, *, reason: str) -> LegalHold:
    """解除保全. Raises Forbidden, NotFound, Invalid."""
    actor.require(Permission.RECORD_HOLD)
    _reasoned(reason)
    return audit.lift_hold(unit, hold_id, reason=reason)


def _refuse_held(unit: Unit, subject: str) -> None:
    if held := is_held(unit, subject):
        raise OnHold(subject=subject, hold=held.id, reason=held.reason)


def _reasoned(reason: str) -> None:
    if not 4 <= len(reason.strip()) <= 500:
        raise invalid(
            "reason", "reason.length", "请写明理由（4 至 500 字）。", "Give a reason (4 to 500 characters)."
        )


def _after(moment: datetime, months: int) -> datetime:
    """So many months later, by the same calendar as `purgeable_before`."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
