"""Secrecy reviews and filed papers: the provider's forms beside the asset, the reviewer's queue, each decision."""

from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties
from market.identity.rules import Permission
from market.registry.queries import source_of_product
from market.screening import actions, filings, queries
from market.screening.rules import SHOWN_BY_PROVIDER, FilingKind
from market.web.forms import GUARDED, Form, FormDep, again, leave
from storage.kernel.problem import NotFound, invalid

router = APIRouter(dependencies=GUARDED)
REVIEW = allow(Permission.SECRECY_REVIEW)
DRAFT = allow(Permission.ASSET_DRAFT)
ANSWERS = {"yes": True, "no": False}


@router.get("/screening", dependencies=[REVIEW])
def queue(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """保密审查 · What waits for a review or a check the reader may give, and disputes that are not settled."""
    with house.store.view() as view:
        rows = queries.waiting(view, actor)
        papers = filings.to_check(view, actor)
        disputes = filings.disputes(view, actor)
        asking = {review.asked_org for review, _asset in rows} | {paper.filed_org for paper, _ in papers}
        people = parties(view, asking)
    return page(
        request, "screening.html", form=form, rows=rows, papers=papers, disputes=disputes, people=people
    )


@router.post("/screening/disputes", dependencies=[REVIEW])
@again(queue)
def note_dispute(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """登记权属争议 · Note a dispute outside the market."""
    with house.store.unit(actor.id, actor.org) as unit:
        filings.note_dispute(
            unit,
            actor,
            form["registration"],
            number=form["number"],
            authority=form["authority"],
            dated=_day(form, "dated"),
            note=form["note"],
        )
    return leave("/screening", done="dispute_noted")


@router.post("/screening/disputes/{filing_id}/end", dependencies=[REVIEW])
@again(queue)
def end_dispute(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, filing_id: str
) -> Response:
    """了结权属争议 · A dispute is settled."""
    with house.store.unit(actor.id, actor.org) as unit:
        filings.end_filing(unit, actor, filing_id, reason=form["reason"])
    return leave("/screening", done="dispute_ended")


@router.get("/screening/papers/{filing_id}", dependencies=[REVIEW])
def paper(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, filing_id: str) -> Response:
    """核对材料 · One paper and the asset it is about. Raises NotFound."""
    with house.store.view() as view:
        found = next((row for row in filings.to_check(view, actor) if row[0].id == filing_id), None)
        if found is None:
            raise NotFound(filing=filing_id)
        people = parties(view, {found[0].filed_org})
    return page(request, "screening_paper.html", form=form, paper=found[0], source=found[1], people=people)


@router.post("/screening/papers/{filing_id}", dependencies=[REVIEW])
@again(paper)
def check_paper(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, filing_id: str
) -> Response:
    """核对材料 · Take it for good or not."""
    if form["verdict"] not in {"accept", "refuse"}:
        raise invalid("verdict", "required", "请选择核对结论。", "Choose the verdict.")
    with house.store.unit(actor.id, actor.org) as unit:
        filings.check_filing(
            unit, actor, filing_id, accept=form["verdict"] == "accept", reason=form["reason"]
        )
    return leave("/screening", done="decided")


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
        papers = filings.papers_of(view, asset_id)
    return page(
        request,
        "screening_asset.html",
        form=form,
        source=source,
        reviews=reviews,
        seen=seen,
        grading=grading,
        papers=papers,
        kinds=[kind for kind in FilingKind if kind in SHOWN_BY_PROVIDER],
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


@router.post("/assets/{asset_id}/papers", dependencies=[DRAFT])
@again(asset)
def file_paper(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """备案材料 · Show an assessment by its number and date."""
    with house.store.unit(actor.id, actor.org) as unit:
        filings.file_paper(
            unit,
            actor,
            asset_id,
            kind=FilingKind(form["kind"]) if form["kind"] in list(FilingKind) else None,
            number=form["number"],
            authority=form["authority"],
            dated=_day(form, "dated"),
            valid_until=_day(form, "valid_until"),
            note=form["note"],
        )
    return leave(f"/assets/{asset_id}/screening", done="paper_filed")


def _day(form: Form, name: str) -> date | None:
    """A date as a form sends it; None when it is left empty. Raises Invalid for what is none."""
    if not form[name]:
        return None
    try:
        return date.fromisoformat(form[name])
    except ValueError:
        raise invalid(name, "date", "日期形如 2026-11-22。", "A date looks like 2026-11-22.") from None
