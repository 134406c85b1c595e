"""The directory of resources: tree, entries, figures, import; data items with their one source; cross-checks."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from market.api.orders import Reason
from market.http.body import receive
from market.http.intake import bring_in, compare_files
from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Streamed, Work
from market.identity.rules import Permission
from market.policy.inputs import OpenAttr
from market.registry import inventory, queries, sources
from market.registry.directory_files import MAX_BYTES
from market.registry.rules import FormatKind, ShareType, UpdateCycle
from market.registry.tables import DirectoryEntry, ItemSource
from storage.kernel import clock

router = APIRouter(prefix="/directory", tags=["directory"])
KEEP = allow(Permission.DIRECTORY_KEEP)
DRAFT = allow(Permission.ASSET_DRAFT)
BRING = allow(Permission.DIRECTORY_KEEP, Permission.ASSET_DRAFT)
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class EntryView(BaseModel, from_attributes=True):
    id: str
    provider_code: str
    provider_name: str
    code: str
    title_zh: str
    title_en: str
    abstract: str
    system: str
    category: str
    format_kind: FormatKind | None
    format: str
    share_type: ShareType
    share_condition: str
    open_attr: OpenAttr
    open_condition: str
    update_cycle: UpdateCycle | None
    items: list[str]
    scale: int | None
    scale_unit: str
    published_on: date | None
    registered: bool = False


class Entries(BaseModel):
    total: int
    page: int
    entries: list[EntryView]


class ItemForm(BaseModel, extra="forbid"):
    code: str = Field(max_length=64, examples=["resident.name"])
    name_zh: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    definition: str = Field("", max_length=1000)


class Roles(BaseModel, extra="forbid"):
    collector: str = Field("", max_length=200, description="采集部门")
    approver: str = Field("", max_length=200, description="核准部门")
    provider: str = Field("", max_length=200, description="提供部门")


class SourceForm(Roles):
    asset_id: str = Field(max_length=40)
    field: str = Field(max_length=200, description="信息项 the asset's own name of the item")


class SourceView(BaseModel, from_attributes=True):
    id: str
    item_id: str
    asset_id: str
    field: str
    collector: str
    approver: str
    provider: str
    authoritative: bool
    since: datetime | None


class ItemView(BaseModel, from_attributes=True):
    id: str
    code: str
    name_zh: str
    name_en: str
    definition: str
    sources: list[SourceView] = []


class Pair(BaseModel, extra="forbid"):
    left: str = Field(max_length=120)
    right: str = Field(max_length=120)


class CheckForm(BaseModel, extra="forbid"):
    left_file: str = Field(max_length=40)
    right_file: str = Field(max_length=40)
    key: list[Pair] = Field(min_length=1, max_length=8)
    fields: list[Pair] = Field(min_length=1, max_length=50)
    item: str | None = Field(None, max_length=40)


class CheckView(BaseModel, from_attributes=True):
    id: str
    left_asset_id: str
    right_asset_id: str
    asked_at: datetime
    result: dict[str, Any]


def _entry(row: DirectoryEntry, *, registered: bool) -> EntryView:
    return EntryView.model_validate(row).model_copy(update={"registered": registered})


def _source(row: ItemSource) -> SourceView:
    return SourceView.model_validate(row)


@router.get("")
def directory(house: HouseDep) -> list[dict[str, Any]]:
    """目录树 · Departments, their systems, and counts that add up."""
    with house.store.view() as view:
        return inventory.tree(view)


@router.get("/entries")
def entries(
    house: HouseDep,
    provider: Annotated[str | None, Query(max_length=18)] = None,
    system: Annotated[str | None, Query(max_length=200)] = None,
    open_attr: OpenAttr | None = None,
    registered: bool | None = None,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Entries:
    """目录条目 · Resources, those not open included, with their reason."""
    with house.store.view() as view:
        rows, total = inventory.entries(
            view,
            provider=provider,
            system=system,
            open_attr=open_attr,
            registered=registered,
            text=q,
            page=page,
        )
    return Entries(total=total, page=page, entries=[_entry(row, registered=known) for row, known in rows])


@router.get("/entries/{entry_id}")
def entry(house: HouseDep, entry_id: str) -> EntryView:
    """目录条目 · One resource of the directory."""
    with house.store.view() as view:
        found, asset = inventory.entry(view, entry_id)
    return _entry(found, registered=asset is not None)


@router.get("/inventory")
def figures(house: HouseDep) -> dict[str, int]:
    """数据家底 · Registered and unregistered, sized, owned, open rate and coverage in basis points."""
    with house.store.view() as view:
        return inventory.figures(view, clock.now()).document()


@router.get("/stale", dependencies=[allow(Permission.ASSET_DRAFT, Permission.DIRECTORY_KEEP)])
def stale(house: HouseDep, actor: ActorDep) -> list[str]:
    """更新超期 · Ids of registered assets whose data is older than its update cycle promises."""
    with house.store.view() as view:
        late = inventory.stale_assets(view, clock.now())
        mine: set[str] | None = None
        if not actor.may(Permission.DIRECTORY_KEEP):
            mine = {row.id for row in queries.assets(view, actor, registrant=actor.own_org, limit=10_000)}
    return [asset_id for asset_id in late if mine is None or asset_id in mine]


@router.post("/imports", dependencies=[BRING], openapi_extra=FILE_BODY)
async def bring(request: Request, work: Streamed, detail: bool = False) -> dict[str, Any]:
    """导入目录 · CSV or JSON, UTF-8 or GB18030; raw body or multipart. Rows that were refused are listed; with `detail` every row."""
    taken = await receive(request, work.house.incoming, MAX_BYTES)
    try:
        report = await run_in_threadpool(bring_in, work, taken)
    finally:
        taken.discard()
    listed = report.rows if detail else report.refused
    return {"id": report.id, **report.counts(), "report": [row.document() for row in listed]}


@router.get("/items")
def items(house: HouseDep) -> list[ItemView]:
    """数据项 · What is collected once, and where from."""
    with house.store.view() as view:
        return [
            ItemView.model_validate(row).model_copy(update={"sources": [_source(each) for each, _ in held]})
            for row, held in sources.items(view)
        ]


@router.post("/items", status_code=201, dependencies=[KEEP])
def define(work: Work, body: ItemForm) -> ItemView:
    """定义数据项 · Name something that is to be collected once."""
    return work.once(
        ItemView,
        lambda unit: ItemView.model_validate(sources.define_item(unit, work.actor, **body.model_dump())),
    )


@router.post("/items/{data_item_id}/sources", status_code=201, dependencies=[DRAFT])
def name_source(work: Work, data_item_id: str, body: SourceForm) -> SourceView:
    """登记来源 · Say that a registered asset holds the item."""
    return work.once(
        SourceView,
        lambda unit: _source(
            sources.name_source(
                unit,
                work.actor,
                data_item_id,
                asset_id=body.asset_id,
                field=body.field,
                roles=body.model_dump(include=set(sources.ROLES)),
            )
        ),
    )


@router.patch("/sources/{source_id}", dependencies=[DRAFT])
def roles(work: Work, source_id: str, body: Roles) -> SourceView:
    """明确责任部门 · Who collects, approves, provides."""
    with work.unit() as unit:
        return _source(
            sources.set_roles(unit, work.actor, source_id, roles=body.model_dump(exclude_unset=True))
        )


@router.post("/sources/{source_id}/authority", dependencies=[KEEP])
def authority(work: Work, source_id: str, body: Reason) -> SourceView:
    """认定权威来源 · The one source of an item; a second is a conflict."""
    return work.once(
        SourceView,
        lambda unit: _source(sources.claim_authority(unit, work.actor, source_id, reason=body.reason)),
    )


@router.delete("/sources/{source_id}/authority", dependencies=[KEEP])
def end_authority(work: Work, source_id: str, reason: Annotated[str, Query(max_length=500)]) -> SourceView:
    """终止权威来源 · Free the item for another source."""
    with work.unit() as unit:
        return _source(sources.end_authority(unit, work.actor, source_id, reason=reason))


@router.post("/checks", status_code=201, dependencies=[KEEP])
def cross_check(work: Work, body: CheckForm) -> CheckView:
    """多元校核 · Compare two sources by key; the mismatch rate of each field and conflicting values."""
    check = compare_files(
        work,
        left=body.left_file,
        right=body.right_file,
        key=[(pair.left, pair.right) for pair in body.key],
        fields=[(pair.left, pair.right) for pair in body.fields],
        item_id=body.item,
    )
    return CheckView.model_validate(check)


@router.get("/checks/{check_id}", dependencies=[allow(Permission.ASSET_DRAFT, Permission.DIRECTORY_KEEP)])
def check(house: HouseDep, actor: ActorDep, check_id: str) -> CheckView:
    """校核结果 · What a comparison found."""
    with house.store.view() as view:
        return CheckView.model_validate(sources.check(view, actor, check_id))
