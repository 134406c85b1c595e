"""Products: what the public finds, and what a provider builds, prices and lists."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from contracts.terms import Tier
from market.api.orders import Reason
from market.catalogue import actions, listing, offers, queries
from market.catalogue.publishing import publish_run
from market.catalogue.rules import (
    ListingState,
    Meaning,
    PlanKind,
    Price,
    ProductKind,
    ProductState,
    Profile,
    Standing,
    Zone,
)
from market.catalogue.tables import Listing, Plan, Version
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.http.work import Work, Worker
from market.identity.rules import Permission
from storage.unit import Unit

router = APIRouter(prefix="/products", tags=["products"])
BUILD = allow(Permission.PRODUCT_BUILD)
PROPOSE = allow(Permission.LISTING_PROPOSE)
STOP = allow(Permission.LICENSE_SUSPEND)


class ProductForm(BaseModel, extra="forbid"):
    slug: str = Field(max_length=60)
    asset_id: str = Field(max_length=40)
    profile: Profile


class ProductView(BaseModel, from_attributes=True):
    id: str
    slug: str
    state: ProductState
    tier: Tier
    kind: ProductKind
    zone: Zone
    title_zh: str
    title_en: str
    summary_zh: str
    summary_en: str
    provider_id: str
    asset_id: str
    delivery: list[str]
    current_version: int | None
    listed_at: datetime | None


class FoundView(BaseModel):
    products: list[ProductView]
    total: int
    page: int
    facets: dict[str, dict[str, int]]


class PlanView(BaseModel, from_attributes=True):
    id: str
    code: str
    title_zh: str
    title_en: str
    kind: PlanKind
    call_fen: int
    row_fen: int
    download_fen: int
    fee_fen: int
    included_calls: int | None
    included_rows: int | None
    included_downloads: int | None
    tax_rate_bp: int
    active: bool
    offer_hash: str | None


class CallView(BaseModel):
    """What of a provider's own API can be called, and when an answer counts as found; never where it is."""

    methods: list[str]
    paths: list[str]
    hit: dict[str, Any] | None


class VersionView(BaseModel, from_attributes=True):
    number: int
    rows: int
    columns: list[dict[str, Any]]
    files: dict[str, Any]
    published_at: datetime
    interface: CallView | None = None


class ProductPage(ProductView):
    description: str
    keywords: list[str]
    scenarios: list[str]
    versions: list[VersionView]
    plans: list[PlanView]
    sample: list[dict[str, Any]]
    dictionary: list[dict[str, Any]]


class VersionForm(BaseModel, extra="forbid"):
    run_id: str = Field(max_length=40)
    dictionary: list[Meaning] | None = Field(None, max_length=2000)


class PlanForm(BaseModel, extra="forbid"):
    code: str = Field(max_length=40)
    title_zh: str = Field(max_length=80)
    title_en: str = Field(max_length=80)
    kind: PlanKind
    price: Price = Price()


class OfferHash(BaseModel):
    offer_sha256: str


class ListingForm(BaseModel, extra="forbid"):
    standing: Standing
    offer_sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ListingView(BaseModel, from_attributes=True):
    id: str
    product_id: str
    state: ListingState
    case_id: str | None
    offer_sha256: str
    reason: str


def version_view(version: Version) -> VersionView:
    """A version with the files of its manifest; the serving copy is the gateway's own business."""
    files = {kind: file for kind, file in version.manifest["files"].items() if kind != "serving"}
    return VersionView(
        number=version.number,
        rows=version.rows,
        columns=version.columns,
        files=files,
        published_at=version.published_at,
        interface=version.manifest.get("interface"),
    )


def page_view(page: queries.Page) -> ProductPage:
    """What anybody sees before buying: versions, plans, a sample, the data dictionary."""
    product = page.product
    return ProductPage(
        **ProductView.model_validate(product).model_dump(),
        description=product.description,
        keywords=product.keywords,
        scenarios=product.scenarios,
        versions=[version_view(version) for version in page.versions],
        plans=[PlanView.model_validate(plan) for plan in page.plans],
        sample=page.sample,
        dictionary=page.dictionary,
    )


@router.get("")
def search(
    house: HouseDep,
    q: Annotated[str, Query(max_length=200)] = "",
    tier: Tier | None = None,
    zone: Zone | None = None,
    provider: Annotated[str | None, Query(max_length=40)] = None,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> FoundView:
    """检索产品 · Listed products by Chinese or English words, tier, zone and provider."""
    with house.store.view() as view:
        found = queries.search(view, q, tier=tier, zone=zone, provider=provider, page=page)
        products = [ProductView.model_validate(row) for row in found.products]
    return FoundView(products=products, total=found.total, page=found.page, facets=found.facets)


@router.post("", status_code=201, dependencies=[BUILD])
def draft(work: Work, body: ProductForm) -> ProductView:
    """新建产品 · A product over a registered asset; its slug is its address for ever."""
    return work.once(
        ProductView,
        lambda unit: ProductView.model_validate(
            actions.draft_product(
                unit, work.actor, slug=body.slug, asset_id=body.asset_id, profile=body.profile
            )
        ),
    )


@router.get("/own", dependencies=[BUILD])
def own(house: HouseDep, actor: ActorDep) -> list[ProductView]:
    """我的产品 · Your organization's products in every state."""
    with house.store.view() as view:
        return [ProductView.model_validate(row) for row in queries.own_products(view, actor)]


@router.get("/{product_id}")
def product(house: HouseDep, caller: VisitorDep, product_id: str) -> ProductPage:
    """产品页 · One product by id or slug: versions, plans, sample, data dictionary."""
    with house.store.view() as view:
        return page_view(queries.product_page(view, caller.actor, product_id))


@router.patch("/{product_id}", dependencies=[BUILD])
def edit(work: Work, product_id: str, body: Profile) -> ProductView:
    """编辑产品 · Change the fields that are sent, while it is a draft."""
    with work.unit() as unit:
        return ProductView.model_validate(actions.edit_product(unit, work.actor, product_id, profile=body))


@router.post("/{product_id}/versions", status_code=201, dependencies=[BUILD])
def publish(work: Work, product_id: str, body: VersionForm) -> VersionView:
    """发布版本 · Make a finished run the newest, immutable version."""

    def act(unit: Unit) -> VersionView:
        return version_view(
            publish_run(unit, work.actor, product_id, run_id=body.run_id, dictionary=body.dictionary)
        )

    return work.once(VersionView, act)


@router.post("/{product_id}/plans", status_code=201, dependencies=[PROPOSE])
def add_plan(work: Work, product_id: str, body: PlanForm) -> PlanView:
    """新增方案 · One way to pay; prices in whole fen with tax."""

    def act(unit: Unit) -> PlanView:
        plan: Plan = actions.add_plan(
            unit,
            work.actor,
            product_id,
            code=body.code,
            title_zh=body.title_zh,
            title_en=body.title_en,
            kind=body.kind,
            price=body.price,
        )
        return PlanView.model_validate(plan)

    return work.once(PlanView, act)


@router.delete("/plans/{plan_id}", status_code=204, dependencies=[PROPOSE])
def retire_plan(work: Work, plan_id: str) -> None:
    """停用方案 · No new orders under this plan."""
    with work.unit() as unit:
        actions.retire_plan(unit, work.actor, plan_id)


@router.put("/{product_id}/offer", dependencies=[PROPOSE])
def standing_offer(house: HouseDep, actor: ActorDep, product_id: str, body: Standing) -> OfferHash:
    """要约预览 · The hash of the standing offer as it would be accepted; every missing blank is named."""
    with house.store.view() as view:
        return OfferHash(offer_sha256=offers.standing_hash(view, actor, product_id, body))


@router.post("/{product_id}/listing", status_code=201, dependencies=[PROPOSE])
def submit(work: Work, product_id: str, body: ListingForm) -> ListingView:
    """申请挂牌 · Accept the standing offer with this hash and ask for approval."""
    return work.once(
        ListingView,
        lambda unit: ListingView.model_validate(
            listing.submit_listing(
                unit, work.actor, product_id, standing=body.standing, offer_sha256=body.offer_sha256
            )
        ),
    )


def _end(work: Worker, product_id: str, body: Reason, act: Callable[..., Listing]) -> ListingView:
    return work.once(
        ListingView,
        lambda unit: ListingView.model_validate(act(unit, work.actor, product_id, reason=body.reason)),
    )


@router.post("/{product_id}/suspension", dependencies=[STOP])
def suspend(work: Work, product_id: str, body: Reason) -> ListingView:
    """暂停挂牌 · Off the shelf at once."""
    return _end(work, product_id, body, listing.suspend_listing)


@router.post("/{product_id}/resumption", dependencies=[STOP])
def resume(work: Work, product_id: str, body: Reason) -> ListingView:
    """恢复挂牌 · Back on the shelf."""
    return _end(work, product_id, body, listing.resume_listing)


@router.post(
    "/{product_id}/delisting", dependencies=[allow(Permission.LISTING_PROPOSE, Permission.LICENSE_SUSPEND)]
)
def delist(work: Work, product_id: str, body: Reason) -> ListingView:
    """摘牌 · End the listing."""
    return _end(work, product_id, body, listing.delist)
