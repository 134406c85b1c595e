"""Read reviews and gradings: what waits, what was said, what it means for a listing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlmodel import col, select

from market.identity.rules import Actor, Permission
from market.policy.grading import higher
from market.policy.inputs import DataGrade, Secrecy
from market.registry.queries import files_of
from market.registry.tables import Asset
from market.screening.rules import FilingKind, FilingState, review_needed
from market.screening.tables import AssetFiling, Grading, SecrecyReview
from storage.kernel.canonical import digest
from storage.unit import View


@dataclass(frozen=True, slots=True)
class Screened:
    """审查结论. Where the secrecy review stands, whether export was said, and the grade to go by."""

    secrecy: Secrecy
    export: bool
    grade: DataGrade | None


def contents_of(view: View, asset_id: str) -> str:
    """内容指纹. One hash for the files an asset has now."""
    return digest(sorted(file.sha256 for file in files_of(view, asset_id)))


def screened(view: View, asset: Asset) -> Screened:
    """审查结论. What the newest review of the asset's present contents says; the higher of the two grades."""
    personal = bool(asset.contains_pi or asset.contains_spi)
    review = newest_review(view, asset.id)
    said = None if review is None or review.contents != contents_of(view, asset.id) else review
    export = bool(said and said.export)
    if said is not None:
        secrecy = said.state
    elif review_needed(supply=asset.supply, personal=personal, export=export):
        secrecy = Secrecy.PENDING
    else:
        secrecy = Secrecy.NOT_NEEDED
    graded = newest_grading(view, asset.id)
    grades = [one for one in (asset.grade, graded and graded.grade) if one]
    return Screened(secrecy, export, higher(*grades) if grades else None)


def newest_review(view: View, asset_id: str) -> SecrecyReview | None:
    """The last review asked for."""
    query = select(SecrecyReview).where(SecrecyReview.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(SecrecyReview.id))).limit(1)).first()


def newest_grading(view: View, asset_id: str) -> Grading | None:
    """The last grading."""
    query = select(Grading).where(Grading.asset_id == asset_id).order_by(sa.desc(col(Grading.id)))
    return view.session.exec(query.limit(1)).first()


def waiting(view: View, actor: Actor, *, limit: int = 100) -> Sequence[tuple[SecrecyReview, Asset]]:
    """待审查. What the actor may review now, oldest first; never their own organization's. Raises Forbidden."""
    actor.require(Permission.SECRECY_REVIEW)
    query = (
        select(SecrecyReview, Asset)
        .join(Asset, col(Asset.id) == col(SecrecyReview.asset_id))
        .where(
            col(SecrecyReview.state) == Secrecy.PENDING,
            col(SecrecyReview.asked_org).not_in({*actor.orgs, actor.org or ""}),
        )
        .order_by(col(SecrecyReview.id))
    )
    return view.session.exec(query.limit(limit)).all()


def reviews(view: View, asset_id: str) -> Sequence[SecrecyReview]:
    """保密审查. Every review of an asset, newest first."""
    query = select(SecrecyReview).where(SecrecyReview.asset_id == asset_id)
    return view.session.exec(query.order_by(sa.desc(col(SecrecyReview.id)))).all()


def in_force(view: View, asset_id: str, today: date) -> frozenset[FilingKind]:
    """有效材料. Which kinds of papers an asset has that were checked and whose term is not over."""
    rows = view.session.exec(
        select(AssetFiling.kind).where(
            AssetFiling.asset_id == asset_id,
            col(AssetFiling.state) == FilingState.IN_FORCE,
            sa.or_(col(AssetFiling.valid_until).is_(None), col(AssetFiling.valid_until) >= today),
        )
    ).all()
    return frozenset(FilingKind(row) for row in rows)
