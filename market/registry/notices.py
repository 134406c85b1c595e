"""公示与异议 Tell the public, hear who objects, hear the registrant, decide; the clock stands still meanwhile."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.registry.clocks import days_left, window
from market.registry.desk import decide, locked_asset, reasoned, refuse_own
from market.registry.life import AMENDMENT, OBJECTION, ObjectionState
from market.registry.problems import NotHeard, NoticeOver, NoticeRunning, ObjectedAlready
from market.registry.queries import notice_of, open_objections
from market.registry.rules import ASSET
from market.registry.settings import RegistrySettings
from market.registry.tables import Amendment, Asset, Notice, Objection
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound, invalid
from storage.objects import Stored, keep
from storage.sequence import document_number
from storage.unit import Unit

MAX_EVIDENCE = 10


def open_notice(
    unit: Unit, actor: Actor, asset: Asset, office: RegistrySettings, *, amendment: Amendment | None = None
) -> Notice:
    """发布公示. The clock begins; the days of the notice are fixed by the setting of this moment."""
    now = clock.now()
    given = window(now, office.notice_days, office.timezone)
    notice = Notice(
        id=new_id("ntc"),
        number=document_number(unit, "GS", now.astimezone(ZoneInfo(office.timezone)).year),
        asset_id=asset.id,
        amendment_id=amendment.id if amendment else None,
        days=office.notice_days,
        opened_at=now,
        opened_by=actor.id,
        runs_from=now,
        last_day=given.last_day,
        ends_at=given.ends_at,
        settled=given.settled,
    )
    unit.session.add(notice)
    unit.session.flush()
    unit.record(
        "notice.opened",
        f"asset:{asset.id}",
        notice=notice.number,
        days=notice.days,
        ends_at=notice.ends_at.isoformat(),
        amendment=notice.amendment_id,
    )
    return notice


def close_notice(unit: Unit, asset: Asset, amendment: Amendment | None, *, outcome: str) -> None:
    """了结公示. The application it was about is decided or withdrawn; open objections end with it."""
    notice = notice_of(unit, asset.id, amendment.id if amendment else None)
    if notice is None or notice.closed_at is not None:
        return
    notice.closed_at, notice.outcome = clock.now(), outcome
    unit.session.add(notice)
    for objection in open_objections(unit, notice.id):
        objection.state = OBJECTION.after(objection.state, "close")
        unit.session.add(objection)
    unit.record("notice.closed", f"asset:{asset.id}", notice=notice.number, outcome=outcome)


def refuse_running(unit: Unit, asset: Asset, amendment: Amendment | None) -> None:
    """Raises NoticeRunning while the notice is not over. Objected to, the state refuses before this."""
    notice = notice_of(unit, asset.id, amendment.id if amendment else None)
    if notice is not None and clock.now() < notice.ends_at:
        raise NoticeRunning(notice=notice.number, ends_at=notice.ends_at.isoformat())


def raise_objection(
    unit: Unit,
    actor: Actor,
    number: str,
    *,
    statement: str,
    evidence: Sequence[tuple[str, Stored]],
    office: RegistrySettings,
) -> Objection:
    """提出异议. Anybody who is identified, with a statement and evidence, while the notice runs; the clock stops.

    evidence: names and objects already in the store. Raises NotFound, NoticeOver, OwnDecision (the
    registrant withdraws instead), ObjectedAlready, Invalid.
    """
    notice, asset, amendment = _noticed(unit, number)
    if actor.belongs_to(asset.registrant_id) or actor.may(Permission.ASSET_REVIEW):
        raise OwnDecision(notice=notice.number)
    said, papers = _grounds(statement, evidence)
    now = clock.now()
    over = notice.closed_at or (
        notice.ends_at if notice.paused_at is None and now >= notice.ends_at else None
    )
    if over is not None:
        raise NoticeOver(notice=notice.number, ended_at=over.isoformat())
    _step(asset, amendment, "object")
    objection = Objection(
        id=new_id("obj"),
        notice_id=notice.id,
        asset_id=asset.id,
        raised_by=actor.person,
        raised_org=actor.org,
        raised_at=now,
        statement=said,
        evidence=papers,
        answer_until=window(now, office.answer_days, office.timezone).ends_at,
    )
    unit.session.add(objection)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ObjectedAlready(notice=number) from error
    for _name, stored in evidence:
        keep(unit, stored)
    if notice.paused_at is None:
        notice.paused_at = now
        notice.remaining = days_left(notice.runs_from, notice.last_day, now, office.timezone)
    unit.session.add_all([notice, amendment or asset])
    unit.record(
        "asset.objected",
        f"asset:{asset.id}",
        notice=notice.number,
        objection=objection.id,
        remaining=notice.remaining,
        evidence=[paper["sha256"] for paper in papers],
    )
    return objection


def answer_objection(unit: Unit, actor: Actor, objection_id: str, *, answer: str) -> Objection:
    """答复异议. The registrant's side, once. Raises Forbidden, NotFound, WrongState, Invalid."""
    actor.require(Permission.ASSET_DRAFT)
    objection, _notice, asset, _amendment = _disputed(unit, objection_id)
    if asset.registrant_id != actor.own_org:
        raise NotFound(objection=objection_id)
    objection.state = OBJECTION.after(objection.state, "answer")
    objection.answer = _text("answer", answer)
    objection.answered_by, objection.answered_at = actor.id, clock.now()
    unit.session.add(objection)
    unit.record("objection.answered", f"asset:{asset.id}", objection=objection.id)
    return objection


def dismiss_objection(
    unit: Unit, actor: Actor, objection_id: str, *, reason: str, office: RegistrySettings
) -> Objection:
    """异议不成立. With the last open one dismissed the clock goes on with the working days that were left.

    Raises Forbidden, NotFound, OwnDecision, NotHeard, WrongState, Invalid.
    """
    objection, notice, asset, amendment = _decidable(unit, actor, objection_id)
    _conclude(objection, actor, "dismiss", reason)
    unit.session.add(objection)
    unit.session.flush()
    if not open_objections(unit, notice.id):
        _step(asset, amendment, "dismiss")
        now = clock.now()
        rest = window(now, notice.remaining or 0, office.timezone)
        notice.runs_from, notice.last_day, notice.ends_at = now, rest.last_day, rest.ends_at
        notice.settled = notice.settled and rest.settled
        notice.paused_at = notice.remaining = None
        unit.session.add_all([notice, amendment or asset])
    unit.record(
        "objection.dismissed",
        f"asset:{asset.id}",
        objection=objection.id,
        ends_at=notice.ends_at.isoformat(),
        reason=objection.reason,
    )
    return objection


def sustain_objection(unit: Unit, actor: Actor, objection_id: str, *, reason: str) -> Objection:
    """异议成立. The application is rejected, with this reason; other objections to it are closed.

    Raises Forbidden, NotFound, OwnDecision, NotHeard, WrongState, Invalid.
    """
    objection, _notice, asset, amendment = _decidable(unit, actor, objection_id)
    _conclude(objection, actor, "sustain", reason)
    _step(asset, amendment, "sustain")
    decide(amendment or asset, actor, objection.reason)
    unit.session.add_all([objection, amendment or asset])
    unit.session.flush()
    close_notice(unit, asset, amendment, outcome="sustained")
    unit.record("objection.sustained", f"asset:{asset.id}", objection=objection.id, reason=objection.reason)
    return objection


def _step(asset: Asset, amendment: Amendment | None, verb: str) -> None:
    """The application on notice moves: the first registration itself, or one after it."""
    if amendment is None:
        asset.state = ASSET.after(asset.state, verb)
    else:
        amendment.state = AMENDMENT.after(amendment.state, verb)


def _noticed(unit: Unit, number: str) -> tuple[Notice, Asset, Amendment | None]:
    """A notice with what it is about, locked: the asset before everything, as everywhere."""
    seen = unit.session.exec(select(Notice).where(Notice.number == number)).first()
    if seen is None:
        raise NotFound(notice=number)
    asset = locked_asset(unit, seen.asset_id)
    fresh = {"populate_existing": True}
    query = select(Notice).where(Notice.id == seen.id).with_for_update()
    notice = unit.session.exec(query.execution_options(**fresh)).one()
    amendment = (
        unit.session.get(Amendment, notice.amendment_id, with_for_update=True, populate_existing=True)
        if notice.amendment_id
        else None
    )
    return notice, asset, amendment


def _disputed(unit: Unit, objection_id: str) -> tuple[Objection, Notice, Asset, Amendment | None]:
    seen = unit.session.get(Objection, objection_id)
    held = unit.session.get(Notice, seen.notice_id) if seen else None
    if seen is None or held is None:
        raise NotFound(objection=objection_id)
    notice, asset, amendment = _noticed(unit, held.number)
    query = select(Objection).where(Objection.id == objection_id).with_for_update()
    objection = unit.session.exec(query.execution_options(populate_existing=True)).one()
    return objection, notice, asset, amendment


def _decidable(
    unit: Unit, actor: Actor, objection_id: str
) -> tuple[Objection, Notice, Asset, Amendment | None]:
    actor.require(Permission.ASSET_REVIEW)
    found = _disputed(unit, objection_id)
    objection, _notice, asset, amendment = found
    people = (
        (amendment.asked_by, amendment.agreed_by) if amendment else (asset.created_by, asset.submitted_by)
    )
    refuse_own(actor, asset, *people, objection.raised_by)
    if actor.belongs_to(objection.raised_org):
        raise OwnDecision(objection=objection.id)
    return found


def _conclude(objection: Objection, actor: Actor, verb: str, reason: str) -> None:
    after = OBJECTION.after(objection.state, verb)
    now = clock.now()
    if objection.state is ObjectionState.RAISED and now < objection.answer_until:
        raise NotHeard(objection=objection.id, until=objection.answer_until.isoformat())
    objection.reason = reasoned(reason)
    objection.state, objection.decided_by, objection.decided_at = after, actor.id, now


def _grounds(statement: str, evidence: Sequence[tuple[str, Stored]]) -> tuple[str, list[dict[str, Any]]]:
    said = _text("statement", statement)
    if not evidence:
        raise invalid("evidence", "required", "请附上证据材料。", "Attach evidence.")
    if len(evidence) > MAX_EVIDENCE:
        raise invalid("evidence", "count", f"最多 {MAX_EVIDENCE} 份。", f"At most {MAX_EVIDENCE}.")
    return said, [{"name": name, "sha256": stored.sha256, "size": stored.size} for name, stored in evidence]


def _text(field: str, text: str) -> str:
    if not 10 <= len(text.strip()) <= 4000:
        raise invalid(
            field,
            "length",
            "请写明事实与理由，10 至 4000 字。",
            "State facts and reasons, 10 to 4000 characters.",
        )
    return text.strip()
