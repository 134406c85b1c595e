"""Read assets: one's own, the registrar's desk, and the public face of what is registered."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from market.identity.rules import Actor, Permission
from market.registry.life import OPEN_AMENDMENTS, OPEN_OBJECTIONS, AmendmentState
from market.registry.rules import ON_THE_DESK, ON_THE_REGISTER, AssetState, base_number, number_faults
from market.registry.tables import (
    Amendment,
    Asset,
    AssetFile,
    Certificate,
    Notice,
    Objection,
    RegistrationStep,
)
from storage.journal import Entry
from storage.kernel.problem import Invalid, NotFound
from storage.unit import View

# What waits for the registrar; during a notice only its end does, or an objection.
TO_DO = (
    AssetState.SUBMITTED,
    AssetState.ACCEPTED,
    AssetState.UNDER_REVIEW,
    AssetState.PUBLICITY,
    AssetState.OBJECTED,
)
# What anybody may read of a registered asset; statements, evidence and files stay with those concerned.
PUBLIC = (
    "number", "national_code", "state", "title_zh", "title_en", "abstract_zh", "abstract_en", "provider_name",
    "code", "category", "format_kind", "format", "share_type", "open_attr", "open_condition", "update_cycle",
    "published_on", "keywords", "area", "coverage_from", "coverage_until", "industry", "scale", "scale_unit",
    "items", "source_kind", "grade", "supply", "contains_pi", "contains_spi", "registered_at", "valid_until",
)  # fmt: skip


def visible_to(actor: Actor | None) -> SelectOfScalar[Asset]:
    """The assets the caller may know of: base of every list and every single read.

    Everybody: what is or was registered. Members: their organization's.
    Registrars: what came to the desk. Auditors: all.
    """
    query = select(Asset)
    seen: list[sa.ColumnElement[bool]] = [col(Asset.state).in_(ON_THE_REGISTER)]
    if actor is not None:
        if actor.may(Permission.JOURNAL_READ):
            return query
        if actor.org is not None:
            seen.append(col(Asset.registrant_id) == actor.org)
        if actor.may(Permission.ASSET_REVIEW):
            seen.append(col(Asset.state).in_(ON_THE_DESK))
    return query.where(sa.or_(*seen))


def concerned(actor: Actor | None, asset: Asset) -> bool:
    """Whether the caller sees the whole asset, not only its public face."""
    if actor is None:
        return False
    desk = actor.may(Permission.ASSET_REVIEW) and asset.state in ON_THE_DESK
    return (
        desk
        or actor.may(Permission.JOURNAL_READ)
        or (actor.org is not None and actor.org == asset.registrant_id)
    )


def asset(view: View, actor: Actor | None, asset_id: str) -> Asset:
    """One asset. Raises NotFound for another organization's unregistered one."""
    found = view.session.exec(visible_to(actor).where(Asset.id == asset_id)).first()
    if found is None:
        raise NotFound(asset=asset_id)
    return found


def public_face(asset: Asset) -> dict[str, Any]:
    """公开信息. The fields anybody may read of a registered asset."""
    return {"id": asset.id} | {name: getattr(asset, name) for name in PUBLIC}


def assets(
    view: View,
    actor: Actor | None,
    *,
    state: AssetState | None = None,
    registrant: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Asset]:
    """A page of visible assets, newest first. before: the last id of the page before."""
    query = visible_to(actor)
    if state is not None:
        query = query.where(col(Asset.state) == state)
    if registrant is not None:
        query = query.where(Asset.registrant_id == registrant)
    if before is not None:
        query = query.where(Asset.id < before)
    return view.session.exec(query.order_by(sa.desc(col(Asset.id))).limit(limit)).all()


def review_queue(view: View, actor: Actor, *, limit: int = 100) -> Sequence[Asset]:
    """待审. What the registrar can examine now, the longest waiting first; never own organization's.

    Raises Forbidden.
    """
    actor.require(Permission.ASSET_REVIEW)
    query = (
        select(Asset)
        .where(
            col(Asset.state).in_(TO_DO),
            Asset.registrant_id != (actor.org or ""),
        )
        .order_by(sa.asc(col(Asset.submitted_at)), sa.asc(col(Asset.id)))
    )
    return view.session.exec(query.limit(limit)).all()


def by_number(view: View, number: str) -> Asset:
    """查验. The asset of this registration number, with or without a renewal it has had.

    Raises Invalid for a wrong check character, before any look-up; NotFound.
    """
    if faults := number_faults(number):
        raise Invalid(*faults)
    stem, renewal = base_number(number)
    found = view.session.exec(select(Asset).where(Asset.number == stem)).first()
    if found is None or (renewal or 0) > found.renewals:
        raise NotFound(number=number)
    return found


def files_of(view: View, asset_id: str) -> Sequence[AssetFile]:
    """The files of an asset, oldest first, for callers that have checked who asks."""
    query = select(AssetFile).where(AssetFile.asset_id == asset_id).order_by(col(AssetFile.id))
    return view.session.exec(query).all()


def files(view: View, actor: Actor, asset_id: str) -> Sequence[AssetFile]:
    """The files of an asset, for those concerned. Raises NotFound for everybody else."""
    if not concerned(actor, asset(view, actor, asset_id)):
        raise NotFound(asset=asset_id)
    return files_of(view, asset_id)


def history(view: View, actor: Actor, asset_id: str) -> Sequence[Entry]:
    """全程留痕. Every journal entry about the asset, oldest first, for those concerned. Raises NotFound."""
    if not concerned(actor, asset(view, actor, asset_id)):
        raise NotFound(asset=asset_id)
    query = select(Entry).where(Entry.subject == f"asset:{asset_id}").order_by(col(Entry.id))
    return view.session.exec(query).all()


def source_of_product(view: View, asset_id: str, registrant_id: str) -> Asset:
    """The asset behind a product of the same organization, registered or not. Raises NotFound."""
    query = select(Asset).where(Asset.id == asset_id, Asset.registrant_id == registrant_id)
    found = view.session.exec(query).first()
    if found is None:
        raise NotFound(asset=asset_id)
    return found


def asset_behind(view: View, asset_id: str) -> Asset:
    """产品所据资产. The asset behind a product, whoever has its registration now: for what is public of it.

    Raises NotFound.
    """
    found = view.session.get(Asset, asset_id)
    if found is None:
        raise NotFound(asset=asset_id)
    return found


def steps_of(view: View, asset_id: str) -> Sequence[RegistrationStep]:
    """登记沿革. Every change of a registration's standing, oldest first; public."""
    query = select(RegistrationStep).where(RegistrationStep.asset_id == asset_id)
    return view.session.exec(query.order_by(col(RegistrationStep.serial))).all()


def latest_certificate(view: View, asset_id: str) -> Certificate | None:
    """The newest certificate of an asset, for callers that have checked who asks."""
    query = select(Certificate).where(Certificate.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(Certificate.serial))).limit(1)).first()


def certificates(view: View, actor: Actor, asset_id: str) -> Sequence[Certificate]:
    """登记凭证. The certificates of an asset, newest first, for those concerned. Raises NotFound."""
    if not concerned(actor, asset(view, actor, asset_id)):
        raise NotFound(asset=asset_id)
    query = select(Certificate).where(Certificate.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(Certificate.serial)))).all()


def certificate(view: View, actor: Actor, certificate_id: str) -> Certificate:
    """One certificate, for those concerned with its asset. Raises NotFound."""
    found = view.session.get(Certificate, certificate_id)
    if found is None or not concerned(actor, asset(view, actor, found.asset_id)):
        raise NotFound(certificate=certificate_id)
    return found


def certificate_by_id(view: View, certificate_id: str) -> Certificate | None:
    """One certificate, for the machine that signs and prints it."""
    return view.session.get(Certificate, certificate_id)


def certificates_to_sign(view: View, *, limit: int = 100) -> Sequence[str]:
    """Ids of certificates without signature or print, oldest first: what a killed process left."""
    query = select(Certificate.id).where(col(Certificate.pdf_sha256).is_(None))
    return view.session.exec(query.order_by(col(Certificate.id)).limit(limit)).all()


def notice_of(view: View, asset_id: str, amendment_id: str | None = None) -> Notice | None:
    """The newest notice of a first registration, or of an application after it."""
    query = select(Notice).where(Notice.asset_id == asset_id, Notice.amendment_id == amendment_id)
    return view.session.exec(query.order_by(sa.desc(col(Notice.id))).limit(1)).first()


def notices(view: View, *, running: bool = True, limit: int = 200) -> Sequence[tuple[Notice, Asset]]:
    """公示列表. What is on notice, the next to end first; with `running` false what is over, newest first. Public."""
    query = select(Notice, Asset).join(Asset, col(Asset.id) == col(Notice.asset_id))
    if running:
        query = query.where(col(Notice.closed_at).is_(None)).order_by(col(Notice.ends_at), col(Notice.id))
    else:
        query = query.where(col(Notice.closed_at).is_not(None)).order_by(sa.desc(col(Notice.id)))
    return view.session.exec(query.limit(limit)).all()


def notice(view: View, number: str) -> tuple[Notice, Asset, Amendment | None]:
    """公示. One notice by its number, with what it is about; public. Raises NotFound."""
    query = select(Notice, Asset).join(Asset, col(Asset.id) == col(Notice.asset_id))
    found = view.session.exec(query.where(Notice.number == number)).first()
    if found is None:
        raise NotFound(notice=number)
    held, about = found
    amendment = view.session.get(Amendment, held.amendment_id) if held.amendment_id else None
    return held, about, amendment


def objections_of(view: View, notice_id: str) -> Sequence[Objection]:
    """Every objection to a notice, oldest first, for callers that have checked who asks."""
    query = select(Objection).where(Objection.notice_id == notice_id)
    return view.session.exec(query.order_by(col(Objection.id))).all()


def open_objections(view: View, notice_id: str) -> Sequence[Objection]:
    """The objections that are not decided."""
    query = select(Objection).where(
        Objection.notice_id == notice_id, col(Objection.state).in_(OPEN_OBJECTIONS)
    )
    return view.session.exec(query).all()


def by_code(view: View, code: str, registrant_id: str) -> Asset | None:
    """The asset an organization describes under its own resource code, whatever its state."""
    query = select(Asset).where(Asset.code == code, Asset.registrant_id == registrant_id)
    return view.session.exec(query.order_by(col(Asset.id))).first()


def disputed(view: View, asset_id: str) -> bool:
    """Whether anybody's objection to an asset is not decided."""
    query = select(Objection.id).where(
        Objection.asset_id == asset_id, col(Objection.state).in_(OPEN_OBJECTIONS)
    )
    return view.session.exec(query.limit(1)).first() is not None


def objections(view: View, actor: Actor | None, asset_id: str) -> Sequence[Objection]:
    """异议. The objections to an asset: all for those concerned with it, their own for who raised them."""
    if actor is None:
        return []
    query = select(Objection).where(Objection.asset_id == asset_id).order_by(col(Objection.id))
    about = view.session.get(Asset, asset_id)
    if about is None:
        return []
    if not concerned(actor, about):
        query = query.where(Objection.raised_by == actor.person)
    return view.session.exec(query).all()


def objection(view: View, actor: Actor, objection_id: str) -> Objection:
    """One objection, for its author and those concerned with the asset. Raises NotFound."""
    found = view.session.get(Objection, objection_id)
    about = view.session.get(Asset, found.asset_id) if found else None
    if found is None or about is None or not (found.raised_by == actor.person or concerned(actor, about)):
        raise NotFound(objection=objection_id)
    return found


def amendments(view: View, actor: Actor, asset_id: str) -> Sequence[Amendment]:
    """登记申请. The applications after the first registration, newest first, for those concerned. Raises NotFound."""
    if not concerned(actor, asset(view, actor, asset_id)):
        raise NotFound(asset=asset_id)
    query = select(Amendment).where(Amendment.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(Amendment.id)))).all()


def amendment(view: View, actor: Actor, amendment_id: str) -> tuple[Amendment, Asset]:
    """One application: for who asked, for the recipient of a transfer, for the desk and auditors. Raises NotFound."""
    query = select(Amendment, Asset).join(Asset, col(Asset.id) == col(Amendment.asset_id))
    found = view.session.exec(query.where(Amendment.id == amendment_id)).first()
    if found is None:
        raise NotFound(amendment=amendment_id)
    asked, about = found
    parties = {asked.registrant_id, asked.to_party}
    if actor.org in parties or actor.may(Permission.ASSET_REVIEW) or actor.may(Permission.JOURNAL_READ):
        return asked, about
    raise NotFound(amendment=amendment_id)


def amendment_queue(view: View, actor: Actor, *, limit: int = 100) -> Sequence[tuple[Amendment, Asset]]:
    """待办申请. Applications after the first registration that wait for the registrar. Raises Forbidden."""
    actor.require(Permission.ASSET_REVIEW)
    waiting = [state for state in OPEN_AMENDMENTS if state not in _WITH_THE_APPLICANT]
    query = (
        select(Amendment, Asset)
        .join(Asset, col(Asset.id) == col(Amendment.asset_id))
        .where(col(Amendment.state).in_(waiting), Amendment.registrant_id != (actor.org or ""))
        .order_by(col(Amendment.id))
    )
    return view.session.exec(query.limit(limit)).all()


_WITH_THE_APPLICANT = (AmendmentState.OFFERED, AmendmentState.RETURNED)


def offered_to(view: View, actor: Actor) -> Sequence[tuple[Amendment, Asset]]:
    """待受让. Transfers that wait for the actor's organization to agree."""
    query = (
        select(Amendment, Asset)
        .join(Asset, col(Asset.id) == col(Amendment.asset_id))
        .where(Amendment.to_party == (actor.org or ""), col(Amendment.state) == AmendmentState.OFFERED)
    )
    return view.session.exec(query.order_by(col(Amendment.id))).all()
