"""The directory of resources on pages: tree, entries, figures, imports, and data items with their one source."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from market.http.body import receive
from market.http.intake import bring_in, compare_files
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Streamed
from market.identity.rules import Permission
from market.policy.inputs import OpenAttr
from market.registry import inventory, queries, sources
from market.registry.directory import imports
from market.registry.directory_files import MAX_BYTES
from market.registry.rules import AssetState
from market.web.forms import GUARDED, FormDep, again, leave
from market.web.values import page_number, picked, words_of
from storage.kernel import clock
from storage.kernel.problem import invalid

router = APIRouter(prefix="/directory", dependencies=GUARDED)
KEEP = allow(Permission.DIRECTORY_KEEP)
DRAFT = allow(Permission.ASSET_DRAFT)
BRING = allow(Permission.DIRECTORY_KEEP, Permission.ASSET_DRAFT)
PER_PAGE = 50


@router.get("")
def directory(request: Request, house: HouseDep, form: FormDep) -> Response:
    """资源目录 · Departments, systems, resources; what is not open with its reason; and the figures."""
    number = page_number(form["page"] or "1")
    system = form["system"][:200] if "system" in form.values else None
    opened = picked(OpenAttr, form["open"])
    listing = any(form[name] for name in ("provider", "system", "open", "q"))
    with house.store.view() as view:
        figures = inventory.figures(view, clock.now()).document()
        departments = inventory.tree(view)
        rows, total = (
            inventory.entries(
                view,
                provider=form["provider"][:18] or None,
                system=system,
                open_attr=opened,
                text=form["q"],
                page=number,
                per_page=PER_PAGE,
            )
            if listing
            else ([], 0)
        )
    return page(
        request,
        "directory.html",
        form=form,
        figures=figures,
        departments=departments,
        listing=listing,
        rows=rows,
        total=total,
        number=number,
        last=max(1, -(-total // PER_PAGE)),
        OpenAttr=OpenAttr,
    )


@router.get("/entries/{entry_id}")
def entry(request: Request, house: HouseDep, entry_id: str) -> Response:
    """目录条目 · One resource; what is not open is described all the same."""
    with house.store.view() as view:
        found, asset = inventory.entry(view, entry_id)
    return page(request, "directory_entry.html", entry=found, item_names=found.items, registration=asset)


@router.get("/imports", dependencies=[BRING])
def past_imports(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """目录导入 · Bring a file in, and what became of earlier ones."""
    with house.store.view() as view:
        rows = imports(view, actor)
    return page(request, "directory_imports.html", form=form, rows=rows)


@router.post("/imports", dependencies=[BRING])
@again(past_imports)
async def bring(
    request: Request, house: HouseDep, actor: ActorDep, work: Streamed, caller: VisitorDep, form: FormDep
) -> Response:
    """目录导入 · Every row is judged alone."""
    csrf = caller.session.csrf if caller.session else None
    taken = await receive(request, house.incoming, MAX_BYTES, csrf)
    try:
        await run_in_threadpool(bring_in, work, taken)
    finally:
        taken.discard()
    return leave("/directory/imports", done="saved")


@router.get("/items")
def items(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep) -> Response:
    """数据项 · One authoritative source for each."""
    actor = caller.actor
    with house.store.view() as view:
        rows = sources.items(view)
        own = (
            queries.assets(view, actor, state=AssetState.REGISTERED, registrant=actor.own_org, limit=200)
            if actor is not None and actor.org is not None and actor.may(Permission.ASSET_DRAFT)
            else []
        )
        keeps = actor is not None and actor.may(Permission.DIRECTORY_KEEP)
        checked = sources.checks(view, actor) if keeps and actor is not None else []
        ids = [asset.id for _item, held in rows for _source, asset in held]
        files = sources.comparable_files(view, actor, ids) if keeps and actor is not None else []
    return page(
        request,
        "directory_items.html",
        form=form,
        rows=rows,
        own=own,
        keeps=keeps,
        checked=checked,
        files=files,
        ROLES=sources.ROLES,
    )


@router.post("/items", dependencies=[KEEP])
@again(items)
def define(request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep) -> Response:
    """定义数据项 · What is to be collected once."""
    with house.store.unit(actor.id, actor.org) as unit:
        sources.define_item(
            unit,
            actor,
            code=form["code"],
            name_zh=form["name_zh"],
            name_en=form["name_en"],
            definition=form["definition"],
        )
    return leave("/directory/items", done="item_defined")


@router.post("/items/sources", dependencies=[DRAFT])
@again(items)
def name_source(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep
) -> Response:
    """登记来源 · A registered asset holds an item; who does what there."""
    with house.store.unit(actor.id, actor.org) as unit:
        sources.name_source(
            unit,
            actor,
            form["item"],
            asset_id=form["asset"],
            field=form["field"],
            roles={name: form[name] for name in sources.ROLES},
        )
    return leave("/directory/items", done="source_kept")


@router.post("/sources/{source_id}/authority", dependencies=[KEEP])
@again(items)
def authority(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, source_id: str
) -> Response:
    """认定或终止权威来源 · One for each item."""
    with house.store.unit(actor.id, actor.org) as unit:
        act = sources.end_authority if form["end"] else sources.claim_authority
        act(unit, actor, source_id, reason=form["reason"][:500])
    return leave("/directory/items", done="authority_moved")


@router.post("/checks", dependencies=[KEEP])
@again(items)
def cross_check(
    request: Request,
    house: HouseDep,
    actor: ActorDep,
    work: Streamed,
    caller: VisitorDep,
    form: FormDep,
) -> Response:
    """多元校核 · Two files of the same item's sources, met by key."""
    check = compare_files(
        work,
        left=form["left"],
        right=form["right"],
        key=_pairs(form["key"], "key"),
        fields=_pairs(form["fields"], "fields"),
        item_id=form["item"] or None,
    )
    return leave(f"/directory/checks/{check.id}")


def _pairs(text: str, field: str) -> list[tuple[str, str]]:
    """Columns as people write them: `left=right`, or one name for both; parted by commas. Raises Invalid."""
    pairs = []
    for part in words_of(text):
        left, _, right = part.partition("=")
        pairs.append((left.strip(), right.strip() or left.strip()))
    if not pairs:
        raise invalid(
            field, "required", "请填写字段名，例如 id 或 id=编号。", "Name the columns, e.g. id or id=code."
        )
    return pairs[:50]


@router.get("/checks/{check_id}", dependencies=[allow(Permission.ASSET_DRAFT, Permission.DIRECTORY_KEEP)])
def check(request: Request, house: HouseDep, actor: ActorDep, check_id: str) -> Response:
    """校核结果 · How often two sources agree, and where they do not."""
    with house.store.view() as view:
        found = sources.check(view, actor, check_id)
        left = queries.asset(view, actor, found.left_asset_id)
        right = queries.asset(view, actor, found.right_asset_id)
    rates = [
        field | {"rate_bp": inventory.rate_bp(field["mismatched"], field["compared"])}
        for field in found.result["fields"]
    ]
    return page(request, "directory_check.html", check=found, left=left, right=right, rates=rates)
