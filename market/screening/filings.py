"""备案材料 Papers outside the market that decide a tier: filed by the provider, checked by another; disputes noted."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.registry.queries import disputed
from market.registry.tables import Asset
from market.screening.problems import PaperFiled
from market.screening.queries import in_force
from market.screening.rules import (
    FILING,
    SHOWN_BY_PROVIDER,
    FilingKind,
    FilingState,
    day_of,
    filing_faults,
)
from market.screening.tables import AssetFiling
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, invalid
from storage.unit import Unit, View


def file_paper(
    unit: Unit,
    actor: Actor,
    asset_id: str,
    *,
    kind: FilingKind | None,
    number: str,
    authority: str,
    dated: date | None,
    valid_until: date | None = None,
    note: str = "",
) -> AssetFiling:
    """备案. Show a risk or impact assessment for an own asset; it counts once a reviewer has checked it.

    Raises Forbidden, NotFound, Invalid, PaperFiled.
    """
    actor.require(Permission.ASSET_DRAFT)
    asset = unit.session.exec(
        select(Asset).where(Asset.id == asset_id, Asset.registrant_id == actor.own_org)
    ).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    if kind is not None and kind not in SHOWN_BY_PROVIDER:
        raise invalid(
            "kind", "filing.kind", "权属争议由合规人员登记。", "A dispute is noted by a compliance officer."
        )
    row = _row(actor, asset, kind, number, authority, dated, valid_until, note)
    return _kept(unit, row, "filing.filed")


def note_dispute(
    unit: Unit,
    actor: Actor,
    registration: str,
    *,
    number: str,
    authority: str,
    dated: date | None,
    note: str = "",
) -> AssetFiling:
    """登记权属争议. Note a dispute outside the market about a registered asset; it holds from this commit on.

    registration: the asset's number. Raises Forbidden, Invalid, OwnDecision, PaperFiled.
    """
    actor.require(Permission.SECRECY_REVIEW)
    asset = unit.session.exec(select(Asset).where(Asset.number == registration.strip())).first()
    if asset is None:
        raise invalid("registration", "filing.asset", "没有该登记编号。", "No registration has this number.")
    if actor.belongs_to(asset.registrant_id):
        raise OwnDecision(asset=asset.id)
    row = _row(actor, asset, FilingKind.DISPUTE, number, authority, dated, None, note)
    row.state, row.reviewed_by, row.reviewed_at = FilingState.IN_FORCE, actor.id, row.filed_at
    return _kept(unit, row, "filing.noted")


def check_filing(unit: Unit, actor: Actor, filing_id: str, *, accept: bool, reason: str) -> AssetFiling:
    """核对材料. Take a paper for good or not; never by the person or organization that filed it.

    Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid.
    """
    actor.require(Permission.SECRECY_REVIEW)
    row = _locked(unit, filing_id)
    if actor.id == row.filed_by or actor.belongs_to(row.filed_org):
        raise OwnDecision(filing=row.id)
    row.state = FILING.after(row.state, "accept" if accept else "refuse")
    row.reason = _reasoned(reason)
    row.reviewed_by, row.reviewed_at = actor.id, clock.now()
    unit.session.add(row)
    unit.session.flush()
    _record(unit, row, "filing.accepted" if accept else "filing.refused", reason=row.reason)
    return row


def end_filing(unit: Unit, actor: Actor, filing_id: str, *, reason: str) -> AssetFiling:
    """终止. A paper holds no longer, a dispute is settled: by who filed it, or by a reviewer.

    A dispute is ended by a reviewer of another organization only. Raises NotFound, OwnDecision, WrongState, Invalid.
    """
    row = _locked(unit, filing_id)
    asset = unit.session.get_one(Asset, row.asset_id)
    own = actor.own_org == row.filed_org and row.kind is not FilingKind.DISPUTE
    if not (own and actor.may(Permission.ASSET_DRAFT)):
        if not actor.may(Permission.SECRECY_REVIEW):
            raise NotFound(filing=filing_id)
        if actor.belongs_to(asset.registrant_id):
            raise OwnDecision(filing=row.id)
    row.state = FILING.after(row.state, "end")
    row.end_reason = _reasoned(reason)
    row.ended_by, row.ended_at = actor.id, clock.now()
    unit.session.add(row)
    unit.session.flush()
    _record(unit, row, "filing.ended", reason=row.end_reason)
    return row


# ------------------------------------------------------------------ reading


def papers_of(view: View, asset_id: str) -> Sequence[AssetFiling]:
    """备案材料. Every paper of an asset, newest first."""
    query = select(AssetFiling).where(AssetFiling.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(AssetFiling.id)))).all()


def to_check(view: View, actor: Actor, *, limit: int = 100) -> Sequence[tuple[AssetFiling, Asset]]:
    """待核对. Papers the actor may check now, oldest first; never their own organization's. Raises Forbidden."""
    actor.require(Permission.SECRECY_REVIEW)
    query = (
        select(AssetFiling, Asset)
        .join(Asset, col(Asset.id) == col(AssetFiling.asset_id))
        .where(
            col(AssetFiling.state) == FilingState.FILED,
            col(AssetFiling.filed_org).not_in({*actor.orgs, actor.org or ""}),
        )
        .order_by(col(AssetFiling.id))
    )
    return view.session.exec(query.limit(limit)).all()


def disputes(view: View, actor: Actor, *, limit: int = 100) -> Sequence[tuple[AssetFiling, Asset]]:
    """权属争议. Every dispute that is not settled, newest first. Raises Forbidden."""
    actor.require(Permission.SECRECY_REVIEW)
    query = (
        select(AssetFiling, Asset)
        .join(Asset, col(Asset.id) == col(AssetFiling.asset_id))
        .where(col(AssetFiling.kind) == FilingKind.DISPUTE, col(AssetFiling.state) == FilingState.IN_FORCE)
        .order_by(sa.desc(col(AssetFiling.id)))
    )
    return view.session.exec(query.limit(limit)).all()


def in_dispute(view: View, asset_id: str, today: date) -> bool:
    """是否有争议. An objection that is not decided, or a dispute somebody noted."""
    return disputed(view, asset_id) or FilingKind.DISPUTE in in_force(view, asset_id, today)


# ------------------------------------------------------------------ parts


def _row(
    actor: Actor,
    asset: Asset,
    kind: FilingKind | None,
    number: str,
    authority: str,
    dated: date | None,
    valid_until: date | None,
    note: str,
) -> AssetFiling:
    now = clock.now()
    faults = filing_faults(
        kind,
        number=number,
        authority=authority,
        dated=dated,
        until=valid_until,
        today=day_of(now),
    )
    if faults or kind is None or dated is None:
        raise Invalid(*faults)
    return AssetFiling(
        id=new_id("flg"),
        asset_id=asset.id,
        kind=kind,
        number=number.strip(),
        authority=authority.strip(),
        dated=dated,
        valid_until=valid_until,
        note=note.strip()[:500],
        filed_by=actor.id,
        filed_org=actor.own_org,
        filed_at=now,
    )


def _kept(unit: Unit, row: AssetFiling, what: str) -> AssetFiling:
    unit.session.add(row)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise PaperFiled(number=row.number) from error
    _record(unit, row, what)
    return row


def _record(unit: Unit, row: AssetFiling, what: str, **more: str) -> None:
    unit.record(
        what,
        f"asset:{row.asset_id}",
        filing=row.id,
        filing_kind=str(row.kind),
        number=row.number,
        dated=row.dated.isoformat(),
        **more,
    )


def _locked(unit: Unit, filing_id: str) -> AssetFiling:
    row = unit.session.get(AssetFiling, filing_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(filing=filing_id)
    return row


def _reasoned(reason: str) -> str:
    if not 4 <= len(reason.strip()) <= 500:
        raise invalid(
            "reason", "reason.length", "请填写 4 至 500 字的理由。", "Give a reason of 4 to 500 characters."
        )
    return reason.strip()
