"""Data assets: the organization's own, and the registrar's desk."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from contracts.terms import RightKind
from market.http.body import receive
from market.http.intake import EVIDENCE_BYTES, keep_evidence, keep_file
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Streamed
from market.identity.queries import parties
from market.identity.rules import Permission
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry import actions, queries
from market.registry.inventory import is_stale
from market.registry.life import AmendmentKind
from market.registry.rules import (
    ASSET,
    MANDATORY,
    ON_THE_REGISTER,
    AssetState,
    Description,
    FormatKind,
    ObtainType,
    ShareType,
    SourceKind,
    UpdateCycle,
    completeness_faults,
    renewed_number,
)
from market.trading import registrations
from market.web.describing import PAPERS, described, from_file, gaps_of, written
from market.web.forms import GUARDED, FormDep, again, leave
from market.web.histories import told
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound, invalid
from storage.tabular.kinds import Kind

router = APIRouter(prefix="/assets", dependencies=GUARDED)
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.ASSET_REVIEW)
EITHER = allow(Permission.ASSET_DRAFT, Permission.ASSET_REVIEW)
DECISIONS = {"accept", "return", "review", "publish", "register", "reject", "revoke"}
ENUMS: dict[str, Any] = {
    "RightKind": RightKind, "ObtainType": ObtainType, "FormatKind": FormatKind, "ShareType": ShareType,
    "OpenAttr": OpenAttr, "UpdateCycle": UpdateCycle, "SourceKind": SourceKind, "DataGrade": DataGrade,
    "SupplyKind": SupplyKind,
}  # fmt: skip


@router.get("", dependencies=[EITHER])
def assets(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """数据资产 · One's own assets, or the registrar's queue and what was decided before."""
    tabs = ["own"] if actor.may(Permission.ASSET_DRAFT) else []
    if actor.may(Permission.ASSET_REVIEW):
        tabs += ["queue", "decided"]
    tab = form["tab"] if form["tab"] in tabs else tabs[0]
    with house.store.view() as view:
        if tab == "queue":
            rows = queries.review_queue(view, actor)
        else:
            own = actor.own_org if tab == "own" else None
            rows = queries.assets(view, actor, registrant=own, before=form["before"] or None)
            if tab == "decided":
                done = {AssetState.REJECTED, AssetState.RETURNED, *ON_THE_REGISTER}
                rows = [row for row in rows if row.state in done]
        later = (
            queries.amendment_queue(view, actor)
            if tab == "queue"
            else queries.offered_to(view, actor)
            if tab == "own"
            else []
        )
        owners = parties(view, {row.registrant_id for row in rows} | {row.registrant_id for row, _ in later})
    return page(request, "assets.html", assets=rows, later=later, owners=owners, tab=tab, tabs=tabs)


@router.get("/new", dependencies=[DRAFT])
def new(request: Request, actor: ActorDep, form: FormDep) -> Response:
    """新建资产 · The empty form."""
    return page(request, "asset_edit.html", form=form, held=None, missing=[], **ENUMS)


@router.post("/new", dependencies=[DRAFT])
@again(new)
def draft(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """新建资产 · Keep the draft; a title is enough."""
    description = described(form)
    if not description.title_zh:
        raise invalid("title_zh", "required", "请填写资产名称。", "Name the asset.")
    with house.store.unit(actor.id, actor.org) as unit:
        asset = actions.draft_asset(unit, actor, description=description)
    return leave(f"/assets/{asset.id}", done="asset_drafted")


@router.get("/{asset_id}", dependencies=[EITHER])
def asset(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """资产详情 · Everything about an asset for those concerned."""
    with house.store.view() as view:
        found = queries.asset(view, actor, asset_id)
        files = queries.files(view, actor, asset_id)
        history = queries.history(view, actor, asset_id)
        notice = queries.notice_of(view, asset_id)
        objections = queries.objections(view, actor, asset_id)
        amendments = queries.amendments(view, actor, asset_id)
        certificates = queries.certificates(view, actor, asset_id)
        affected = registrations.affected_licenses(view, asset_id)
        named = {found.registrant_id} | {row.raised_org for row in objections if row.raised_org}
        owners = parties(view, named)
    own = found.registrant_id == actor.org and actor.may(Permission.ASSET_DRAFT)
    desk = actor.may(Permission.ASSET_REVIEW)
    mine = found.registrant_id == actor.org or actor.id in {found.created_by, found.submitted_by}
    verbs = set(ASSET.verbs(found.state))
    return page(
        request,
        "asset.html",
        form=form,
        held=found,
        files=files,
        owner=owners.get(found.registrant_id),
        objectors=owners,
        steps=told(history),
        verbs=verbs & ({"edit", "submit", "withdraw"} if own else set()),
        decides=verbs & (DECISIONS if desk and not mine else set()),
        own_matter=desk and mine and bool(verbs & DECISIONS),
        own=own,
        desk=desk,
        number=renewed_number(found.number, found.renewals) if found.number else "",
        notice=notice,
        notice_days=house.settings.registry.notice_days,
        now=clock.now(),
        objections=objections,
        amendments=amendments,
        certificates=certificates,
        affected=affected,
        stale=found.state is AssetState.REGISTERED
        and is_stale(found.update_cycle, found.refreshed_at, clock.now()),
        asks=list(AmendmentKind) if own and found.state is AssetState.REGISTERED else [],
        gaps=_gaps(found.missing),
        Kind=Kind,
        RightKind=RightKind,
        ObtainType=ObtainType,
    )


def _gaps(missing: list[dict[str, str]]) -> list[dict[str, object]]:
    known = MANDATORY | PAPERS
    return [{**gap, "label": known.get(gap["field"])} for gap in missing]


@router.get("/{asset_id}/edit", dependencies=[DRAFT])
def edit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """编辑资产 · The form as filled in so far; with `check` what submission still needs stands beside it."""
    with house.store.view() as view:
        found = queries.source_of_product(view, asset_id, actor.own_org)
        files = queries.files_of(view, asset_id)
    if form["check"] and form.problem is None:
        faults = completeness_faults(
            Description.model_validate(found), files=len(files), evidence=len(found.source_evidence)
        )
        fields = [fault for fault in faults if fault.field not in PAPERS]
        form = form.refused(Invalid(*fields)) if fields else form
    if request.method == "GET":
        form = form.filled(**written(found))
    return page(request, "asset_edit.html", form=form, held=found, missing=_gaps(found.missing), **ENUMS)


@router.post("/{asset_id}/edit", dependencies=[DRAFT])
@again(edit)
def save(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """编辑资产 · Keep what was written."""
    with house.store.view() as view:
        known = queries.source_of_product(view, asset_id, actor.own_org)
    description = described(form, known)
    with house.store.unit(actor.id, actor.org) as unit:
        actions.edit_asset(unit, actor, asset_id, description=description)
    return leave(f"/assets/{asset_id}", done="saved")


@router.post("/{asset_id}/files", dependencies=[DRAFT])
@again(asset)
async def upload(
    request: Request,
    house: HouseDep,
    actor: ActorDep,
    work: Streamed,
    caller: VisitorDep,
    form: FormDep,
    asset_id: str,
) -> Response:
    """上传数据文件 · Streamed, profiled apart, attached."""
    csrf = caller.session.csrf if caller.session else None
    taken = await receive(request, house.incoming, house.settings.limits.upload_bytes, csrf)
    try:
        await run_in_threadpool(keep_file, work, asset_id, taken)
    finally:
        taken.discard()
    return leave(f"/assets/{asset_id}", done="file_kept")


@router.post("/{asset_id}/evidence", dependencies=[DRAFT])
@again(asset)
async def prove(
    request: Request,
    house: HouseDep,
    actor: ActorDep,
    work: Streamed,
    caller: VisitorDep,
    form: FormDep,
    asset_id: str,
) -> Response:
    """上传来源佐证 · A document that proves the lawful source."""
    csrf = caller.session.csrf if caller.session else None
    taken = await receive(request, house.incoming, EVIDENCE_BYTES, csrf)
    try:
        await run_in_threadpool(keep_evidence, work, asset_id, taken)
    finally:
        taken.discard()
    return leave(f"/assets/{asset_id}", done="evidence_kept")


@router.get("/{asset_id}/evidence/{sha256}", dependencies=[EITHER])
def evidence(house: HouseDep, actor: ActorDep, asset_id: str, sha256: str) -> Response:
    """来源佐证 · One document, as a download, for those concerned."""
    with house.store.view() as view:
        found = queries.asset(view, actor, asset_id)
    held = any(paper["sha256"] == sha256 for paper in found.source_evidence)
    if not (held and queries.concerned(actor, found)) or not house.objects.exists(sha256):
        raise NotFound(evidence=sha256)
    file = house.objects.open(sha256)
    return StreamingResponse(
        file,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{asset_id}-{sha256[:8]}"'},
        background=BackgroundTask(file.close),
    )


@router.post("/{asset_id}/files/{file_id}/removal", dependencies=[DRAFT])
@again(asset)
def remove(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str, file_id: str
) -> Response:
    """移除文件 · Take a file off a draft."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.detach_file(unit, actor, asset_id, file_id)
    return leave(f"/assets/{asset_id}", done="file_removed")


@router.post("/{asset_id}/files/{file_id}/items", dependencies=[DRAFT])
@again(asset)
def derive(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str, file_id: str
) -> Response:
    """提取信息项 · Take data items and scale from an uploaded file."""
    with house.store.view() as view:
        found = queries.source_of_product(view, asset_id, actor.own_org)
        file = next((row for row in queries.files_of(view, asset_id) if row.id == file_id), None)
    if file is None:
        raise NotFound(file=file_id)
    with house.store.unit(actor.id, actor.org) as unit:
        actions.edit_asset(unit, actor, asset_id, description=from_file(found, file))
    return leave(f"/assets/{asset_id}", done="items_derived")


@router.post("/{asset_id}/submission", dependencies=[DRAFT])
@again(asset)
def submit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """提交登记 · Ask for registration; everything missing is listed at once."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.submit_asset(unit, actor, asset_id, office=house.settings.registry)
    return leave(f"/assets/{asset_id}", done="asset_submitted")


@router.post("/{asset_id}/withdrawal", dependencies=[DRAFT])
@again(asset)
def withdraw(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """撤回 · Take the application back."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.withdraw_asset(unit, actor, asset_id)
    return leave(f"/assets/{asset_id}", done="asset_withdrawn")


@router.post("/{asset_id}/acceptance", dependencies=[REVIEW])
@again(asset)
def accept(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """受理 · The papers are complete."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.accept_asset(unit, actor, asset_id)
    return leave(f"/assets/{asset_id}", done="asset_accepted")


@router.post("/{asset_id}/return", dependencies=[REVIEW])
@again(asset)
def send_back(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """退回补正 · With a list of what is wanted, line by line."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.return_asset(
            unit, actor, asset_id, missing=gaps_of(form["missing"])[:50], reason=form["reason"][:500]
        )
    return leave(f"/assets/{asset_id}", done="asset_returned")


@router.post("/{asset_id}/review", dependencies=[REVIEW])
@again(asset)
def review(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """开始审核 · Take the examination upon yourself."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.review_asset(unit, actor, asset_id)
    return leave(f"/assets/{asset_id}", done="review_begun")


@router.post("/{asset_id}/notice", dependencies=[REVIEW])
@again(asset)
def publish(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """发布公示 · The review passed; the public may object."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.publish_asset(
            unit, actor, asset_id, reason=form["reason"][:500], office=house.settings.registry
        )
    return leave(f"/assets/{asset_id}", done="notice_opened")


@router.post("/{asset_id}/registration", dependencies=[REVIEW])
@again(asset)
def register(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """登记赋码 · Register and number the asset."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.register_asset(
            unit, actor, asset_id, reason=form["reason"][:500], office=house.settings.registry
        )
    return leave(f"/assets/{asset_id}", done="asset_registered")


@router.post("/{asset_id}/revocation", dependencies=[REVIEW])
@again(asset)
def revoke(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """撤销登记 · Listings and licenses stop with it."""
    with house.store.unit(actor.id, actor.org) as unit:
        registrations.revoke_registration(unit, actor, asset_id, reason=form["reason"][:500])
    return leave(f"/assets/{asset_id}", done="asset_revoked")


@router.post("/{asset_id}/national-code", dependencies=[REVIEW])
@again(asset)
def national_code(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str
) -> Response:
    """国家登记编码 · Kept beside our number."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.note_national_code(unit, actor, asset_id, code=form["national_code"])
    return leave(f"/assets/{asset_id}", done="saved")


@router.post("/{asset_id}/refreshes", dependencies=[DRAFT])
@again(asset)
def refresh(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """动态更新 · The data was brought up to date."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.note_refresh(unit, actor, asset_id)
    return leave(f"/assets/{asset_id}", done="saved")


@router.post("/{asset_id}/rejection", dependencies=[REVIEW])
@again(asset)
def reject(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, asset_id: str) -> Response:
    """不予登记 · Refuse with the reason the applicant reads."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.reject_asset(unit, actor, asset_id, reason=form["reason"][:500])
    return leave(f"/assets/{asset_id}", done="asset_rejected")
