"""Anybody's pages about the register: check a certificate, read what is on public notice, object to it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from market.http.body import receive
from market.http.intake import EVIDENCE_BYTES, keep_paper
from market.http.render import page
from market.http.shell import wants_page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Streamed
from market.identity.queries import parties
from market.identity.rules import Permission
from market.registry import notices, queries
from market.registry.life import OPEN_OBJECTIONS
from market.registry.rules import number_faults
from market.registry.verification import verified
from market.web.forms import GUARDED, Form, FormDep, again, leave
from storage.kernel import clock
from storage.kernel.problem import Invalid, Problem, invalid

router = APIRouter(dependencies=GUARDED)


@router.get("/verify")
def ask(request: Request, form: FormDep) -> Response:
    """凭证核验 · The number is checked before anything is looked up."""
    number = form["number"].upper()
    if not number:
        return page(request, "verify.html", form=form, found=None, keys="/api/v1/document-keys")
    if faults := number_faults(number):
        return _refused(request, form, Invalid(*faults))
    return leave(f"/verify/{number}", **({"at": form["at"]} if form["at"] else {}))


@router.get("/verify/{number}")
def verify(request: Request, house: HouseDep, form: FormDep, number: str) -> Response:
    """凭证核验 · What a registration is worth, now or at `?at=`; JSON for programs."""
    form = form.filled(number=number)
    try:
        at = _moment(form["at"], house.settings.timezone)
        with house.store.view() as view:
            found = verified(view, number.upper(), at)
    except Problem as problem:
        if not wants_page(request):
            raise
        return _refused(request, form, problem)
    if not wants_page(request):
        return JSONResponse(found.document())
    return page(request, "verify.html", form=form, found=found, keys="/api/v1/document-keys")


def _refused(request: Request, form: Form, problem: Problem) -> Response:
    shown = page(request, "verify.html", form=form.refused(problem), found=None, keys="/api/v1/document-keys")
    shown.status_code = problem.status
    return shown


def _moment(text: str, zone: str) -> datetime:
    """The moment asked about: now, or an ISO date or date and time, in the market's zone unless it names one."""
    if not text:
        return clock.now()
    try:
        at = datetime.fromisoformat(text.replace(" ", "T"))
        return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, OverflowError):
        raise invalid(
            "at",
            "moment",
            "时间写作 2026-11-22 或 2026-11-22T15:00。",
            "Write 2026-11-22 or 2026-11-22T15:00.",
        ) from None


@router.get("/notices")
def public_notices(request: Request, house: HouseDep, form: FormDep) -> Response:
    """登记公示 · What is on notice now, and what was."""
    over = form["tab"] == "over"
    with house.store.view() as view:
        rows = queries.notices(view, running=not over)
        owners = parties(view, {asset.registrant_id for _notice, asset in rows})
    return page(request, "notices.html", rows=rows, owners=owners, over=over, now=clock.now())


@router.get("/notices/{number}")
def public_notice(
    request: Request, house: HouseDep, caller: VisitorDep, form: FormDep, number: str
) -> Response:
    """公示 · What is announced, until when, and how to object."""
    with house.store.view() as view:
        held, asset, amendment = queries.notice(view, number)
        owners = parties(view, {asset.registrant_id})
        mine = [row for row in queries.objections(view, caller.actor, asset.id) if row.notice_id == held.id]
    now = clock.now()
    running = held.closed_at is None and (held.paused_at is not None or now < held.ends_at)
    actor = caller.actor
    objecting = actor is not None and any(
        row.raised_by == actor.person and row.state in OPEN_OBJECTIONS for row in mine
    )
    may_object = (
        running
        and not objecting
        and actor is not None
        and not actor.belongs_to(asset.registrant_id)
        and not actor.may(Permission.ASSET_REVIEW)
    )
    return page(
        request,
        "notice.html",
        form=form,
        notice=held,
        held=asset,
        face=queries.public_face(asset),
        amendment=amendment,
        owner=owners.get(asset.registrant_id),
        objections=mine,
        running=running,
        may_object=may_object,
        objecting=objecting,
    )


@router.post("/notices/{number}/objections", dependencies=[allow(Permission.SELF)])
@again(public_notice)
async def object_to(
    request: Request,
    house: HouseDep,
    actor: ActorDep,
    work: Streamed,
    caller: VisitorDep,
    form: FormDep,
    number: str,
) -> Response:
    """提出异议 · A statement and its evidence, while the notice runs."""
    csrf = caller.session.csrf if caller.session else None
    taken = await receive(request, house.incoming, EVIDENCE_BYTES, csrf)

    def keep() -> None:
        statement = taken.fields.get("statement", "").replace("\x00", "")
        stored = keep_paper(work, taken)
        with work.unit() as unit:
            notices.raise_objection(
                unit,
                actor,
                number,
                statement=statement,
                evidence=[(taken.name, stored)],
                office=house.settings.registry,
            )

    try:
        await run_in_threadpool(keep)
    finally:
        taken.discard()
    return leave(f"/notices/{number}", done="objected")
