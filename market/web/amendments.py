"""Applications after the first registration, and objections: the registrant's and the registrar's pages."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from market.house import House
from market.http.body import receive
from market.http.intake import EVIDENCE_BYTES, keep_paper
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Streamed
from market.identity.queries import parties
from market.identity.rules import Actor, Permission
from market.registry import amending, notices, queries
from market.registry.life import AMENDMENT, AmendmentKind, CancelGround
from market.registry.rules import Description
from market.registry.tables import Asset
from market.trading import registrations
from market.web.assets import ENUMS, asset
from market.web.describing import described, gaps_of, written
from market.web.forms import GUARDED, Form, FormDep, again, leave
from market.web.values import picked
from storage.kernel.problem import NotFound
from storage.unit import Unit

router = APIRouter(dependencies=GUARDED)
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.ASSET_REVIEW)
EITHER = allow(Permission.ASSET_DRAFT, Permission.ASSET_REVIEW, Permission.JOURNAL_READ)
PLAIN = (AmendmentKind.CHANGE, AmendmentKind.CORRECTION)
DESK = {"review", "return", "reject", "publish", "apply"}


@router.get("/assets/{asset_id}/amendments/new", dependencies=[DRAFT])
def new(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """登记申请 · What should change, and why."""
    kind = _kind(form)
    with house.store.view() as view:
        found = queries.source_of_product(view, asset_id, actor.own_org)
    if kind in PLAIN and request.method == "GET":
        form = form.filled(**written(found))
    return page(
        request, "amendment_new.html", form=form, held=found, kind=kind, CancelGround=CancelGround, **ENUMS
    )


@router.post("/assets/{asset_id}/amendments/new", dependencies=[DRAFT])
@again(new)
def ask(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """登记申请 · Hand it to the registrar, or first to the recipient of a transfer."""
    kind = _kind(form)
    with house.store.view() as view:
        found = queries.source_of_product(view, asset_id, actor.own_org)
    changes = _changed(form, found) if kind in PLAIN else None
    with house.store.unit(actor.id, actor.org) as unit:
        asked = amending.ask_amendment(
            unit,
            actor,
            asset_id,
            kind=kind,
            cause=form["cause"][:500],
            office=house.settings.registry,
            changes=changes,
            ground=picked(CancelGround, form["ground"]),
            to_party=form["to_party"][:40] or None,
        )
    return leave(f"/amendments/{asked.id}", done="amendment_asked")


def _kind(form: Form) -> AmendmentKind:
    kind = picked(AmendmentKind, form["kind"])
    if kind is None:
        raise NotFound(kind=form["kind"][:40])
    return kind


def _changed(form: Form, found: Asset) -> Description:
    """Only what the form says differently; the codes and the commitment are not asked for."""
    said, before = described(form, found), Description.model_validate(found)
    new = {
        name: getattr(said, name)
        for name in Description.model_fields
        if name != "committed" and getattr(said, name) != getattr(before, name)
    }
    return Description(**new)


@router.get("/amendments/{amendment_id}", dependencies=[EITHER])
def amendment(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, amendment_id: str
) -> Response:
    """申请详情 · What is asked for, field by field, and what can be done."""
    with house.store.view() as view:
        asked, about = queries.amendment(view, actor, amendment_id)
        notice = queries.notice_of(view, asked.asset_id, asked.id)
        objections = [
            row for row in queries.objections(view, actor, about.id) if notice and row.notice_id == notice.id
        ]
        owners = parties(view, {party for party in (asked.registrant_id, asked.to_party) if party})
    verbs = set(AMENDMENT.verbs(asked.state))
    own = asked.registrant_id == actor.org and actor.may(Permission.ASSET_DRAFT)
    recipient = asked.to_party == actor.org and actor.may(Permission.ASSET_DRAFT)
    mine = actor.belongs_to(asked.registrant_id) or actor.belongs_to(asked.to_party)
    desk = actor.may(Permission.ASSET_REVIEW) and not mine
    days = house.settings.registry.notice_days
    allowed = verbs & DESK if desk else set()
    announce = asked.material and days > 0
    if "publish" in allowed:
        allowed -= {"apply"} if announce else {"publish"}
    return page(
        request,
        "amendment.html",
        form=form,
        asked=asked,
        held=about,
        notice=notice,
        objections=objections,
        owners=owners,
        decides=allowed,
        notice_days=days,
        own_verbs=verbs & ({"withdraw", "resubmit"} if own else set()),
        answers=recipient and "agree" in verbs,
        proves=own and asked.state.value in {"submitted", "returned"},
    )


Act = Callable[[Unit, Actor, str, Form, House], Any]
# What each verb's form does; the refusals are the action's own.
ACTS: dict[str, tuple[Any, str, Act]] = {
    "agreement": (
        DRAFT,
        "transfer_agreed",
        lambda u, a, i, _f, _h: amending.answer_transfer(u, a, i, agree=True),
    ),
    "refusal": (
        DRAFT,
        "transfer_declined",
        lambda u, a, i, _f, _h: amending.answer_transfer(u, a, i, agree=False),
    ),
    "withdrawal": (DRAFT, "asset_withdrawn", lambda u, a, i, _f, _h: amending.withdraw_amendment(u, a, i)),
    "submission": (
        DRAFT,
        "asset_submitted",
        lambda u, a, i, f, _h: amending.resubmit_amendment(u, a, i, cause=f["cause"][:500]),
    ),
    "review": (REVIEW, "review_begun", lambda u, a, i, _f, _h: amending.review_amendment(u, a, i)),
    "return": (
        REVIEW,
        "asset_returned",
        lambda u, a, i, f, _h: amending.return_amendment(
            u, a, i, missing=gaps_of(f["missing"])[:50], reason=f["reason"][:500]
        ),
    ),
    "rejection": (
        REVIEW,
        "amendment_decided",
        lambda u, a, i, f, _h: amending.reject_amendment(u, a, i, reason=f["reason"][:500]),
    ),
    "notice": (
        REVIEW,
        "notice_opened",
        lambda u, a, i, f, h: amending.publish_amendment(
            u, a, i, reason=f["reason"][:500], office=h.settings.registry
        ),
    ),
    "application": (
        REVIEW,
        "amendment_decided",
        lambda u, a, i, f, h: registrations.apply_amendment(
            u, a, i, reason=f["reason"][:500], office=h.settings.registry
        ),
    ),
}


def _route(name: str, permission: Any, done: str, act: Act) -> None:
    @router.post(f"/amendments/{{amendment_id}}/{name}", dependencies=[permission], name=f"amendment_{name}")
    @again(amendment)
    def post(
        request: Request, house: HouseDep, actor: ActorDep, form: FormDep, amendment_id: str
    ) -> Response:
        """登记申请办理 · One verb of an application."""
        with house.store.unit(actor.id, actor.org) as unit:
            act(unit, actor, amendment_id, form, house)
        return leave(f"/amendments/{amendment_id}", done=done)


for _name, (_permission, _done, _act) in ACTS.items():
    _route(_name, _permission, _done, _act)


@router.post("/amendments/{amendment_id}/evidence", dependencies=[DRAFT])
@again(amendment)
async def prove(
    request: Request,
    house: HouseDep,
    actor: ActorDep,
    work: Streamed,
    caller: VisitorDep,
    form: FormDep,
    amendment_id: str,
) -> Response:
    """附加证明 · A document for the application."""
    csrf = caller.session.csrf if caller.session else None
    taken = await receive(request, house.incoming, EVIDENCE_BYTES, csrf)

    def keep() -> None:
        stored = keep_paper(work, taken)
        with work.unit() as unit:
            amending.attach_proof(unit, actor, amendment_id, stored=stored, name=taken.name)

    try:
        await run_in_threadpool(keep)
    finally:
        taken.discard()
    return leave(f"/amendments/{amendment_id}", done="evidence_kept")


@router.get("/amendments/{amendment_id}/evidence/{sha256}", dependencies=[EITHER])
def proof(house: HouseDep, actor: ActorDep, amendment_id: str, sha256: str) -> Response:
    """证明材料 · One document of an application, as a download."""
    with house.store.view() as view:
        asked, _about = queries.amendment(view, actor, amendment_id)
    return _download(house, asked.evidence, sha256)


@router.get("/objections/{objection_id}/evidence/{sha256}", dependencies=[allow(Permission.SELF)])
def objection_proof(house: HouseDep, actor: ActorDep, objection_id: str, sha256: str) -> Response:
    """异议证据 · For its author and those concerned with the asset."""
    with house.store.view() as view:
        found = queries.objection(view, actor, objection_id)
    return _download(house, found.evidence, sha256)


def _download(house: House, papers: list[dict[str, Any]], sha256: str) -> Response:
    if not any(paper["sha256"] == sha256 for paper in papers) or not house.objects.exists(sha256):
        raise NotFound(evidence=sha256)
    file = house.objects.open(sha256)
    return StreamingResponse(
        file,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{sha256[:12]}"'},
        background=BackgroundTask(file.close),
    )


def _asset_again(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, objection_id: str
) -> Response:
    """The page of the asset an objection is about, with the refusal."""
    with house.store.view() as view:
        found = queries.objection(view, actor, objection_id)
    return asset(request, house, actor, form, found.asset_id)


@router.post("/objections/{objection_id}/answer", dependencies=[DRAFT])
@again(_asset_again)
def answer(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, objection_id: str) -> Response:
    """答复异议 · The registrant's side."""
    with house.store.unit(actor.id, actor.org) as unit:
        row = notices.answer_objection(unit, actor, objection_id, answer=form["answer"])
    return leave(f"/assets/{row.asset_id}", done="objection_answered")


@router.post("/objections/{objection_id}/dismissal", dependencies=[REVIEW])
@again(_asset_again)
def dismiss(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, objection_id: str) -> Response:
    """异议不成立 · The notice goes on."""
    with house.store.unit(actor.id, actor.org) as unit:
        row = notices.dismiss_objection(
            unit, actor, objection_id, reason=form["reason"][:500], office=house.settings.registry
        )
    return leave(f"/assets/{row.asset_id}", done="objection_decided")


@router.post("/objections/{objection_id}/sustainment", dependencies=[REVIEW])
@again(_asset_again)
def sustain(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, objection_id: str) -> Response:
    """异议成立 · The application is rejected."""
    with house.store.unit(actor.id, actor.org) as unit:
        row = notices.sustain_objection(unit, actor, objection_id, reason=form["reason"][:500])
    return leave(f"/assets/{row.asset_id}", done="objection_decided")
