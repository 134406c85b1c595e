"""Read assets: one's own, the registrar's desk, and the public face of what is registered."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from market.identity.rules import Actor, Permission
from market.registry.rules import ON_THE_DESK, AssetState, number_faults
from market.registry.tables import Asset, AssetFile
from storage.journal import Entry
from storage.kernel.problem import Invalid, NotFound
from storage.unit import View

# What anybody may read of a registered asset; statements, evidence and files stay with those concerned.
PUBLIC = (
    "number", "national_code", "state", "title_zh", "title_en", "abstract_zh", "abstract_en", "provider_name",
    "code", "category", "format_kind", "format", "share_type", "open_attr", "open_condition", "update_cycle",
    "published_on", "keywords", "area", "coverage_from", "coverage_until", "industry", "scale", "scale_unit",
    "items", "source_kind", "grade", "supply", "contains_pi", "contains_spi", "registered_at", "valid_until",
)  # fmt: skip


def visible_to(actor: Actor | None) -> SelectOfScalar[Asset]:
    """The assets the caller may know of: base of every list and every single read.

    Everybody: registered ones. Members: their organization's. Registrars: what came to the desk.
    Auditors: all.
    """
    query = select(Asset)
    seen = [col(Asset.state) == AssetState.REGISTERED]
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
            col(Asset.state).in_([AssetState.SUBMITTED, AssetState.ACCEPTED]),
            Asset.registrant_id != (actor.org or ""),
        )
        .order_by(sa.asc(col(Asset.submitted_at)), sa.asc(col(Asset.id)))
    )
    return view.session.exec(query.limit(limit)).all()


def by_number(view: View, number: str) -> Asset:
    """查验. The registered asset of this number.

    Raises Invalid for a wrong check character, before any look-up; NotFound.
    """
    if faults := number_faults(number):
        raise Invalid(*faults)
    found = view.session.exec(select(Asset).where(Asset.number == number)).first()
    if found is None:
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
