"""A provider's products: the profile, the plans, and where each stands on its way to the shelf."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from contracts.terms import DeliveryMode, Tier
from market.catalogue import actions, listing, queries
from market.catalogue.rules import LISTING, PlanKind, Price, ProductKind, ProductState, Profile, Zone
from market.catalogue.tables import Product
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Permission
from market.registry import queries as registry
from market.registry.rules import AssetState
from market.web.forms import GUARDED, Form, FormDep, again, leave
from market.web.prices import limited, priced
from market.web.values import build, fen, gathered, whole, words_of

router = APIRouter(prefix="/products", dependencies=GUARDED)
BUILD = allow(Permission.PRODUCT_BUILD)
PROPOSE = allow(Permission.LISTING_PROPOSE)
ENUMS: dict[str, Any] = {"ProductKind": ProductKind, "Zone": Zone, "Tier": Tier, "DeliveryMode": DeliveryMode}
TEXTS = ("title_zh", "title_en", "summary_zh", "summary_en", "description")


class _Kind(BaseModel):
    kind: PlanKind


@router.get("", dependencies=[BUILD])
def products(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """我的产品 · The organization's products in every state."""
    with house.store.view() as view:
        rows = queries.own_products(view, actor, before=form["before"] or None)
        listings = {row.id: queries.living_listing(view, row.id) for row in rows}
    return page(request, "products.html", products=rows, listings=listings)


@router.get("/new", dependencies=[BUILD])
def new(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """新建产品 · The form, filled from the asset when one is named in the address."""
    with house.store.view() as view:
        assets = registry.assets(view, actor, state=AssetState.REGISTERED, registrant=actor.own_org)
    chosen = next((row for row in assets if row.id == form["asset"]), None)
    if chosen is not None and request.method == "GET":
        form = form.filled(
            asset_id=chosen.id,
            title_zh=chosen.title_zh,
            title_en=chosen.title_en,
            description=chosen.abstract_zh,
            keywords="，".join(chosen.keywords),
        )
    if request.method == "GET":
        form = form.filled(tier=Tier.PUBLIC_GOOD.value, delivery=[DeliveryMode.FILE, DeliveryMode.API])
    return page(request, "product_edit.html", form=form, product=None, assets=assets, **ENUMS)


@router.post("/new", dependencies=[BUILD])
@again(new)
def draft(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """新建产品 · A product over a registered asset; its slug is its address for ever."""
    profile = _profile(form)
    with house.store.unit(actor.id, actor.org) as unit:
        made = actions.draft_product(
            unit, actor, slug=form["slug"], asset_id=form["asset_id"], profile=profile
        )
    return leave(f"/products/{made.id}", done="product_drafted")


def _profile(form: Form) -> Profile:
    values: dict[str, Any] = {name: form[name] for name in TEXTS}
    values |= {name: form[name] for name in ("kind", "zone", "tier")}
    values |= {name: words_of(form[name]) for name in ("scenarios", "keywords")}
    return build(Profile, values | {"delivery": form.all("delivery")})


@router.get("/{product_id}", dependencies=[BUILD])
def product(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """产品 · Where it stands: profile, versions, plans, listing, and what is still to be done."""
    with house.store.view() as view:
        found = queries.own_product(view, actor, product_id)
        asset = registry.asset_behind(view, found.asset_id)
        shown = queries.product_page(view, actor, product_id)
    state = shown.listing.state if shown.listing else None
    return page(
        request,
        "product.html",
        form=form,
        product=found,
        held=asset,
        shown=shown,
        delivery=[DeliveryMode(mode) for mode in found.delivery],
        plans=[(plan, priced(plan), limited(plan)) for plan in shown.plans],
        verbs=set(LISTING.verbs(state)) & {"withdraw", "delist"} if state else set(),
        editable=_editable(found, shown),
    )


def _editable(found: Product, shown: queries.Page) -> bool:
    waiting = shown.listing is not None and "approve" in LISTING.verbs(shown.listing.state)
    return found.state is ProductState.DRAFT and not waiting


@router.get("/{product_id}/edit", dependencies=[BUILD])
def edit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """编辑产品 · The profile as it is."""
    with house.store.view() as view:
        found = queries.own_product(view, actor, product_id)
    if request.method == "GET":
        form = form.filled(
            **{name: getattr(found, name) for name in TEXTS},
            kind=found.kind.value,
            zone=found.zone.value,
            tier=found.tier.value,
            delivery=found.delivery,
            scenarios="，".join(found.scenarios),
            keywords="，".join(found.keywords),
        )
    return page(request, "product_edit.html", form=form, product=found, assets=[], **ENUMS)


@router.post("/{product_id}/edit", dependencies=[BUILD])
@again(edit)
def save(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """编辑产品 · While it is a draft."""
    profile = _profile(form)
    with house.store.unit(actor.id, actor.org) as unit:
        actions.edit_product(unit, actor, product_id, profile=profile)
    return leave(f"/products/{product_id}", done="saved")


@router.get("/{product_id}/plans", dependencies=[PROPOSE])
def plans(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """计价方案 · All of them, and the form for one more."""
    with house.store.view() as view:
        found = queries.own_product(view, actor, product_id)
        rows = queries.plans(view, found.id, active_only=False)
    if request.method == "GET":
        first = "free" if found.tier is Tier.PUBLIC_GOOD else "per_call"
        form = form.filled(kind=first, tax_rate_bp="600")
    return page(
        request,
        "product_plans.html",
        form=form,
        product=found,
        plans=[(plan, priced(plan), limited(plan)) for plan in rows],
        PlanKind=PlanKind,
    )


@router.post("/{product_id}/plans", dependencies=[PROPOSE])
@again(plans)
def add_plan(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """新增方案 · Prices are typed in yuan with tax."""
    names = ("call_fen", "row_fen", "download_fen", "fee_fen")
    limits = ("included_calls", "included_rows", "included_downloads")
    readings: list[Callable[[], int | None]] = [partial(fen, form, name) for name in names]
    readings += [partial(whole, form, name) for name in (*limits, "tax_rate_bp")]
    amounts = dict(zip((*names, *limits, "tax_rate_bp"), gathered(*readings), strict=True))
    amounts["tax_rate_bp"] = amounts["tax_rate_bp"] or 0
    price = build(Price, amounts | {"per_hit": form["per_hit"] == "yes"})
    kind = build(_Kind, {"kind": form["kind"]}).kind
    with house.store.unit(actor.id, actor.org) as unit:
        actions.add_plan(
            unit,
            actor,
            product_id,
            code=form["code"],
            title_zh=form["title_zh"],
            title_en=form["title_en"],
            kind=kind,
            price=price,
        )
    return leave(f"/products/{product_id}/plans", done="plan_added")


@router.post("/{product_id}/plans/{plan_id}/retirement", dependencies=[PROPOSE])
@again(plans)
def retire_plan(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str, plan_id: str
) -> Response:
    """停用方案 · No new orders under it."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.retire_plan(unit, actor, plan_id)
    return leave(f"/products/{product_id}/plans", done="plan_retired")


@router.post("/{product_id}/withdrawal", dependencies=[PROPOSE])
@again(product)
def withdraw(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """撤回申请 · Take the listing back from approval."""
    with house.store.unit(actor.id, actor.org) as unit:
        listing.withdraw_listing(unit, actor, product_id)
    return leave(f"/products/{product_id}", done="listing_withdrawn")


@router.post("/{product_id}/delisting", dependencies=[PROPOSE])
@again(product)
def delist(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """摘牌 · End the listing for good."""
    with house.store.unit(actor.id, actor.org) as unit:
        listing.delist(unit, actor, product_id, reason=form["reason"][:500])
    return leave(f"/products/{product_id}", done="listing_ended")
