"""Ask for a secrecy review, give one, and grade an asset."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.policy.grading import FieldFacts, Graded, WholeFacts, grade
from market.policy.inputs import Secrecy
from market.registry.tables import Asset
from market.screening.problems import ContentsChanged, ReviewWaiting
from market.screening.queries import contents_of, newest_review
from market.screening.rules import SECRECY, reason_faults, statement_faults
from market.screening.tables import Grading, SecrecyReview
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit


def ask_review(
    unit: Unit, actor: Actor, asset_id: str, *, statement: str, personal: bool | None, export: bool | None
) -> SecrecyReview:
    """申请保密审查. Ask for a review of the asset's present contents.

    Raises Forbidden, NotFound, Invalid, ReviewWaiting; of two at once the index decides.
    """
    actor.require(Permission.ASSET_DRAFT)
    asset = _own(unit, actor, asset_id)
    if faults := statement_faults(statement, personal=personal, export=export):
        raise Invalid(*faults)
    before = newest_review(unit, asset.id)
    if before is not None and before.state is Secrecy.PENDING:
        raise ReviewWaiting(review=before.id)
    review = SecrecyReview(
        id=new_id("scr"),
        asset_id=asset.id,
        contents=contents_of(unit, asset.id),
        personal=bool(personal) or bool(asset.contains_pi),
        export=bool(export),
        statement=statement.strip(),
        asked_by=actor.id,
        asked_org=actor.own_org,
        asked_at=clock.now(),
    )
    unit.session.add(review)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ReviewWaiting(asset=asset.id) from error
    unit.record(
        "secrecy.asked",
        f"asset:{asset.id}",
        review=review.id,
        contents=review.contents,
        personal="yes" if review.personal else "no",
        export="yes" if review.export else "no",
    )
    return review


def review_secrecy(
    unit: Unit, actor: Actor, review_id: str, *, passing: bool, reason: str, evidence: str = ""
) -> SecrecyReview:
    """保密审查. Pass or refuse; never by the person or the organization that asked.

    evidence: the papers a pass rests on. Raises Forbidden, NotFound, OwnDecision, Invalid, WrongState,
    ContentsChanged.
    """
    actor.require(Permission.SECRECY_REVIEW)
    query = select(SecrecyReview).where(SecrecyReview.id == review_id).with_for_update()
    review = unit.session.exec(query.execution_options(populate_existing=True)).first()
    if review is None:
        raise NotFound(review=review_id)
    if actor.id == review.asked_by or actor.belongs_to(review.asked_org):
        raise OwnDecision(review=review.id)
    if faults := reason_faults(reason, evidence, passing=passing):
        raise Invalid(*faults)
    after = SECRECY.after(review.state, "pass" if passing else "refuse")
    if passing and review.contents != contents_of(unit, review.asset_id):
        raise ContentsChanged(review=review.id)
    review.state, review.reviewed_by, review.reviewed_at = after, actor.id, clock.now()
    review.reason, review.evidence = reason.strip(), evidence.strip()
    unit.session.add(review)
    unit.session.flush()
    unit.record(
        f"secrecy.{after}",
        f"asset:{review.asset_id}",
        review=review.id,
        contents=review.contents,
        reason=review.reason,
    )
    return review


def grade_asset(
    unit: Unit, actor: Actor, asset_id: str, *, fields: Sequence[FieldFacts], whole: WholeFacts
) -> tuple[Grading, Graded]:
    """分级. Grade the asset from the harms named for its fields; the listing goes by the higher grade.

    Raises Forbidden, NotFound.
    """
    actor.require(Permission.ASSET_DRAFT)
    asset = _own(unit, actor, asset_id)
    found = grade(fields, whole)
    row = Grading(
        id=new_id("grd"),
        asset_id=asset.id,
        grade=found.grade,
        fields={name: str(value) for name, value in found.fields.items()},
        facts={
            "fields": [
                {
                    "name": each.name,
                    "harms": {str(harmed): str(degree) for harmed, degree in each.harms.items()},
                    "pi": each.pi and str(each.pi),
                }
                for each in fields
            ],
            "persons": whole.persons,
            "fused": whole.fused,
        },
        reasons=[
            {
                "field": reason.field,
                "grade": str(reason.grade),
                "presumed": reason.presumed,
                "words": reason.words.both(),
            }
            for reason in found.reasons
        ],
        graded_by=actor.id,
        graded_at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("asset.graded", f"asset:{asset.id}", grading=row.id, grade=str(row.grade))
    return row, found


def _own(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    query = select(Asset).where(Asset.id == asset_id, Asset.registrant_id == actor.own_org)
    asset = unit.session.exec(query).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    return asset
