"""Secrecy reviews: the provider's request beside the asset, the reviewer's queue, and each decision."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties
from market.identity.rules import Permission
from market.registry.queries import source_of_product
from market.screening import actions, queries
from market.web.forms import GUARDED, FormDep, again, leave
from storage.kernel.problem import NotFound, invalid

router = APIRouter(dependencies=GUARDED)
REVIEW = allow(Permission.SECRECY_REVIEW)
DRAFT = allow(Permission.ASSET_DRAFT)
ANSWERS = {"yes": True, "no": False}


@router.get("/screening", dependencies=[REVIEW])
def queue(request: Request, house: HouseDep, actor: ActorDep) -> Response:
    """保密审查 · What waits for a review the reader may give, oldest first."""
    with house.store.view() as view:
        rows = queries.waiting(view, actor)
        people = parties(view, {review.asked_org for review, _asset in rows})
    return page(request, "screening.html", rows=rows, people=people)


@router.get("/screening/{review_id}", dependencies=[REVIEW])
def matter(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, review_id: str) -> Response:
    """保密审查 · One request with what the asset says of itself. Raises NotFound."""
    with house.store.view() as view:
        found = next((row for row in queries.waiting(view, actor) if row[0].id == review_id), None)
        if found is None:
            raise NotFound(review=review_id)
        review, asset = found
        people = parties(view, {review.asked_org})
        grading = queries.newest_grading(view, asset.id)
    return page(
        request,
        "screening_review.html",
        form=form,
        review=review,
        source=asset,
        people=people,
        grading=grading,
    )


@router.post("/screening/{review_id}", dependencies=[REVIEW])
@again(matter)
def decide(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, review_id: str) -> Response:
    """保密审查 · Pass or refuse."""
    if form["verdict"] not in {"pass", "refuse"}:
        raise invalid("verdict", "required", "请选择审查结论。", "Choose the verdict.")
    with house.store.unit(actor.id, actor.org) as unit:
        actions.review_secrecy(
            unit,
            actor,
            review_id,
            passing=form["verdict"] == "pass",
            reason=form["reason"],
            evidence=form["evidence"],
        )
    return leave("/screening", done="decided")


@router.get("/assets/{asset_id}/screening", dependencies=[DRAFT])
def asset(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """保密审查 · An own asset's reviews, and the form that asks for one. Raises NotFound."""
    with house.store.view() as view:
        source = source_of_product(view, asset_id, actor.own_org)
        reviews = queries.reviews(view, asset_id)
        seen = queries.screened(view, source)
        grading = queries.newest_grading(view, asset_id)
    return page(
        request, "screening_asset.html", form=form, source=source, reviews=reviews, seen=seen, grading=grading
    )


@router.post("/assets/{asset_id}/screening", dependencies=[DRAFT])
@again(asset)
def ask(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """申请保密审查 · Ask for a review of the present contents."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.ask_review(
            unit,
            actor,
            asset_id,
            statement=form["statement"],
            personal=ANSWERS.get(form["personal"]),
            export=ANSWERS.get(form["export"]),
        )
    return leave(f"/assets/{asset_id}/screening", done="review_asked")
