"""Assets: describe, upload, submit; and the registrar's desk."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from market.api.orders import EntryView, Reason
from market.http.body import receive
from market.http.intake import EVIDENCE_BYTES, keep_evidence, keep_file
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Streamed, Work
from market.identity.rules import Permission
from market.registry import actions, queries
from market.registry.inventory import is_stale
from market.registry.rules import ASSET, AssetState, Description
from market.registry.tables import Asset
from market.trading import registrations
from storage.kernel import clock
from storage.tabular.kinds import Encoding
from storage.unit import Unit

router = APIRouter(prefix="/assets", tags=["assets"])
DRAFT = allow(Permission.ASSET_DRAFT)
REVIEW = allow(Permission.ASSET_REVIEW)
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class AssetView(BaseModel, from_attributes=True):
    id: str
    state: AssetState
    registrant_id: str
    number: str | None
    reason: str
    missing: list[dict[str, Any]]
    title_zh: str
    title_en: str
    similar: list[dict[str, Any]] = Field(
        [], description="疑似重复 registered or applied-for assets that look alike"
    )
    registered_at: datetime | None
    valid_until: datetime | None
    refreshed_at: datetime | None
    stale: bool = False
    verbs: list[str] = []


class NoticeView(BaseModel, from_attributes=True):
    number: str
    asset_id: str
    amendment_id: str | None
    days: int = Field(description="工作日 working days given")
    opened_at: datetime
    ends_at: datetime
    settled: bool = Field(description="false: a day lies in a year whose holidays are not announced yet")
    paused_at: datetime | None
    remaining: int | None = Field(description="暂停时剩余工作日 working days left while paused")
    closed_at: datetime | None
    outcome: str


class NationalCode(BaseModel, extra="forbid"):
    code: str = Field(max_length=64, examples=["GJ-3702-0001"])


class FileView(BaseModel, from_attributes=True):
    id: str
    name: str
    sha256: str
    size: int
    format: str
    encoding: str
    rows: int | None
    profile: dict[str, Any]


class Missing(BaseModel, extra="forbid"):
    field: str = Field(max_length=64)
    note: str = Field(min_length=1, max_length=500)


class Return(Reason):
    missing: list[Missing] = Field(min_length=1, max_length=50)


def asset_view(asset: Asset) -> AssetView:
    """What the API shows of an asset to those concerned."""
    return AssetView.model_validate(asset).model_copy(
        update={
            "verbs": ASSET.verbs(asset.state),
            "stale": asset.state is AssetState.REGISTERED
            and is_stale(asset.update_cycle, asset.refreshed_at, clock.now()),
        }
    )


@router.post("", status_code=201, dependencies=[DRAFT])
def draft(work: Work, body: Description) -> AssetView:
    """新建资产 · Begin the registration of an asset; everything may be filled in later."""
    return work.once(
        AssetView, lambda unit: asset_view(actions.draft_asset(unit, work.actor, description=body))
    )


@router.get("", dependencies=[allow(Permission.SELF)])
def assets(
    house: HouseDep,
    actor: ActorDep,
    state: AssetState | None = None,
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> list[AssetView]:
    """资产列表 · Assets you may see, newest first."""
    with house.store.view() as view:
        return [asset_view(row) for row in queries.assets(view, actor, state=state, before=before)]


@router.get("/queue", dependencies=[REVIEW])
def queue(house: HouseDep, actor: ActorDep) -> list[AssetView]:
    """待审资产 · What the registrar can examine now."""
    with house.store.view() as view:
        return [asset_view(row) for row in queries.review_queue(view, actor)]


@router.get("/{asset_id}")
def asset(house: HouseDep, caller: VisitorDep, asset_id: str) -> dict[str, Any]:
    """资产详情 · The public face of a registered asset; all of it for those concerned."""
    with house.store.view() as view:
        found = queries.asset(view, caller.actor, asset_id)
        if not queries.concerned(caller.actor, found):
            return queries.public_face(found)
        return found.model_dump(mode="json") | {"verbs": ASSET.verbs(found.state)}


@router.patch("/{asset_id}", dependencies=[DRAFT])
def edit(work: Work, asset_id: str, body: Description) -> AssetView:
    """编辑资产 · Change the fields that are sent."""
    with work.unit() as unit:
        return asset_view(actions.edit_asset(unit, work.actor, asset_id, description=body))


@router.get("/{asset_id}/files", dependencies=[allow(Permission.ASSET_DRAFT, Permission.ASSET_REVIEW)])
def files(house: HouseDep, actor: ActorDep, asset_id: str) -> list[FileView]:
    """数据文件 · The files of an asset with their profiles."""
    with house.store.view() as view:
        return [FileView.model_validate(row) for row in queries.files(view, actor, asset_id)]


@router.post("/{asset_id}/files", status_code=201, dependencies=[DRAFT], openapi_extra=FILE_BODY)
async def upload(
    request: Request, work: Streamed, asset_id: str, encoding: Encoding | None = None
) -> FileView:
    """上传数据文件 · A raw body (name in X-File-Name) or a multipart form; streamed and profiled."""
    taken = await receive(request, work.house.incoming, work.house.settings.limits.upload_bytes)
    try:
        return FileView.model_validate(await run_in_threadpool(keep_file, work, asset_id, taken, encoding))
    finally:
        taken.discard()


@router.delete("/{asset_id}/files/{file_id}", status_code=204, dependencies=[DRAFT])
def remove_file(work: Work, asset_id: str, file_id: str) -> None:
    """移除文件 · Take a file off a draft."""
    with work.unit() as unit:
        actions.detach_file(unit, work.actor, asset_id, file_id)


@router.post("/{asset_id}/evidence", dependencies=[DRAFT], openapi_extra=FILE_BODY)
async def evidence(request: Request, work: Streamed, asset_id: str) -> AssetView:
    """上传来源证明 · A document that proves the lawful source; raw body or multipart."""
    taken = await receive(request, work.house.incoming, EVIDENCE_BYTES)
    try:
        return asset_view(await run_in_threadpool(keep_evidence, work, asset_id, taken))
    finally:
        taken.discard()


@router.get("/{asset_id}/history", dependencies=[allow(Permission.ASSET_DRAFT, Permission.ASSET_REVIEW)])
def asset_history(house: HouseDep, actor: ActorDep, asset_id: str) -> list[EntryView]:
    """全程留痕 · Everything that happened to an asset."""
    with house.store.view() as view:
        return [EntryView.model_validate(row) for row in queries.history(view, actor, asset_id)]


@router.post("/{asset_id}/submission", dependencies=[DRAFT])
def submit(work: Work, asset_id: str) -> AssetView:
    """提交登记 · Ask for registration; every missing field is named at once."""
    office = work.house.settings.registry
    return work.once(
        AssetView, lambda unit: asset_view(actions.submit_asset(unit, work.actor, asset_id, office=office))
    )


@router.post("/{asset_id}/withdrawal", dependencies=[DRAFT])
def withdraw(work: Work, asset_id: str) -> AssetView:
    """撤回 · Take back what was not registered yet."""
    return work.once(AssetView, lambda unit: asset_view(actions.withdraw_asset(unit, work.actor, asset_id)))


@router.post("/{asset_id}/acceptance", dependencies=[REVIEW])
def accept(work: Work, asset_id: str) -> AssetView:
    """受理 · Complete: take it up for review."""
    return work.once(AssetView, lambda unit: asset_view(actions.accept_asset(unit, work.actor, asset_id)))


@router.post("/{asset_id}/return", dependencies=[REVIEW])
def send_back(work: Work, asset_id: str, body: Return) -> AssetView:
    """退回补正 · Send back with a list of what is missing."""

    def act(unit: Unit) -> AssetView:
        missing = [(item.field, item.note) for item in body.missing]
        return asset_view(
            actions.return_asset(unit, work.actor, asset_id, missing=missing, reason=body.reason)
        )

    return work.once(AssetView, act)


@router.post("/{asset_id}/review", dependencies=[REVIEW])
def review(work: Work, asset_id: str) -> AssetView:
    """开始审核 · Take the examination upon yourself."""
    return work.once(AssetView, lambda unit: asset_view(actions.review_asset(unit, work.actor, asset_id)))


@router.post("/{asset_id}/notice", dependencies=[REVIEW])
def publish(work: Work, asset_id: str, body: Reason) -> NoticeView:
    """发布公示 · The review passed; the public may object for the days of the notice."""
    office = work.house.settings.registry
    return work.once(
        NoticeView,
        lambda unit: NoticeView.model_validate(
            actions.publish_asset(unit, work.actor, asset_id, reason=body.reason, office=office)
        ),
    )


@router.post("/{asset_id}/registration", dependencies=[REVIEW])
def register(work: Work, asset_id: str, body: Reason) -> AssetView:
    """登记赋码 · Register and give the number, when the notice is over."""
    office = work.house.settings.registry
    return work.once(
        AssetView,
        lambda unit: asset_view(
            actions.register_asset(unit, work.actor, asset_id, reason=body.reason, office=office)
        ),
    )


@router.post("/{asset_id}/revocation", dependencies=[REVIEW])
def revoke(work: Work, asset_id: str, body: Reason) -> AssetView:
    """撤销登记 · End a registration got by fraud; listings and licenses stop with it."""
    return work.once(
        AssetView,
        lambda unit: asset_view(
            registrations.revoke_registration(unit, work.actor, asset_id, reason=body.reason)
        ),
    )


@router.post("/{asset_id}/refreshes", dependencies=[DRAFT])
def refresh(work: Work, asset_id: str) -> AssetView:
    """动态更新 · Say that the data was brought up to date."""
    return work.once(AssetView, lambda unit: asset_view(actions.note_refresh(unit, work.actor, asset_id)))


@router.put("/{asset_id}/national-code", dependencies=[REVIEW])
def national_code(work: Work, asset_id: str, body: NationalCode) -> AssetView:
    """国家登记编码 · Keep the code the official platform gave, beside our number."""
    with work.unit() as unit:
        return asset_view(actions.note_national_code(unit, work.actor, asset_id, code=body.code))


@router.post("/{asset_id}/rejection", dependencies=[REVIEW])
def reject(work: Work, asset_id: str, body: Reason) -> AssetView:
    """不予登记 · Refuse, with the reason the applicant reads."""
    return work.once(
        AssetView,
        lambda unit: asset_view(actions.reject_asset(unit, work.actor, asset_id, reason=body.reason)),
    )
