"""Ready-made products for tests: drafted, filled with a version and a plan, and listed."""

import hashlib
from typing import Any

from contracts.terms import DeliveryMode, Purpose, Tier
from market.catalogue import actions, listing, offers
from market.catalogue.rules import (
    Column,
    File,
    ListingState,
    Meaning,
    Output,
    PlanKind,
    Price,
    Profile,
    Standing,
    Zone,
)
from market.catalogue.tables import Product
from market.identity.rules import Actor, IdType, PartyKind, Verification
from market.identity.tables import Party
from market.policy.inputs import SupplyKind
from storage.kernel import clock
from storage.kernel.numbers import make_uscc
from storage.unit import Store
from tests.market.assets import registered
from tests.market.mandates_made import sellable
from tests.market.people import APPROVER, COMPLIANCE, PROVIDER

PROFILE: dict[str, Any] = {
    "title_zh": "公共停车场客流量",
    "title_en": "Car park visits",
    "summary_zh": "逐小时进出车次",
    "summary_en": "Arrivals and departures by hour",
    "zone": Zone.PARKING,
    "tier": Tier.PUBLIC_GOOD,
    "delivery": (DeliveryMode.FILE, DeliveryMode.API),
    "keywords": ("停车", "客流"),
}
DICTIONARY = (
    Meaning(name="lot_id", zh="停车场编号", en="Car park"),
    Meaning(name="visits", zh="车次", en="Visits"),
)


def file(content: str) -> File:
    return File(sha256=hashlib.sha256(content.encode()).hexdigest(), size=len(content), name=f"{content}.csv")


def output(asset_id: str, run: str = "run_1", **changes: Any) -> Output:
    plain: dict[str, Any] = {
        "run_id": run,
        "asset_id": asset_id,
        "succeeded": True,
        "rows": 2,
        "columns": (Column(name="lot_id", type="text"), Column(name="visits", type="integer")),
        "query_columns": ("lot_id",),
        "files": {"csv": file(f"{run}-csv"), "parquet": file(f"{run}-parquet")},
        "sample": ({"lot_id": "P1", "visits": 3},) * 30,
    }
    return Output(**(plain | changes))


def seated(store: Store, actor: Actor) -> None:
    """The actor's organization as a party that can sign."""
    with store.view() as view:
        if view.session.get(Party, actor.own_org):
            return
    number = make_uscc(f"91370200MA3C{sum(actor.own_org.encode()):05d}")
    with store.unit(actor.id, actor.org) as unit:
        unit.session.add(
            Party(
                id=actor.own_org,
                kind=PartyKind.ORGANIZATION,
                org_kind=actor.org_kind,
                name="青岛某数据机构",
                id_type=IdType.USCC,
                id_number=number,
                address="山东省青岛市市南区 1 号",
                verification=Verification.VERIFIED,
                evidence={},
                created_at=clock.now(),
            )
        )
        unit.record("party.registered", f"party:{actor.own_org}")


def drafted_product(
    store: Store, slug: str = "car-parks", *, actor: Actor = PROVIDER, asset_id: str = "", **changes: Any
) -> Product:
    """A draft from a fresh registered asset (or the given one)."""
    seated(store, actor)
    asset_id = asset_id or registered(store, actor, content=slug).id
    with store.unit(actor.id, actor.org) as unit:
        return actions.draft_product(
            unit, actor, slug=slug, asset_id=asset_id, profile=Profile(**(PROFILE | changes))
        )


def ready_product(
    store: Store,
    slug: str = "car-parks",
    *,
    actor: Actor = PROVIDER,
    price: Price | None = None,
    kind: PlanKind = PlanKind.FREE,
    **changes: Any,
) -> Product:
    """A draft with one version and one plan."""
    product = drafted_product(store, slug, actor=actor, **changes)
    with store.unit(actor.id, actor.org) as unit:
        actions.publish_version(
            unit, actor, product.id, output=output(product.asset_id), dictionary=DICTIONARY
        )
        actions.add_plan(
            unit,
            actor,
            product.id,
            code="std",
            title_zh="标准",
            title_en="Standard",
            kind=kind,
            price=price or Price(),
        )
    return product


USUAL = (Purpose.INDUSTRY, Purpose.INTERNAL_BUSINESS)


def terms_of(product: Product, purposes: tuple[Purpose, ...] = USUAL) -> Standing:
    """The standing terms the provider offers this product on."""
    slots: dict[str, Any] = {"data_source": "履职采集", "update_cycle": "每日"}
    if product.tier is Tier.COMMERCIAL:
        slots |= {"data_content": "逐小时车次", "data_scale": "两行", "time_range": "2025 年"}
        slots["quality"] = [{"metric": "必填缺失率", "target": "≤ 1%", "method": "抽样"}]
        slots |= {"payee_name": "青岛某数据机构", "payee_bank": "某银行", "payee_account": "6222000000000000"}
    return Standing(
        template_slug="data-provision" if product.tier is Tier.COMMERCIAL else "open-license",
        template_version="2026.1",
        purposes=purposes,
        months=12,
        min_prepay_fen=100 if product.tier is Tier.COMMERCIAL else 0,
        slots=slots,
    )


def submit(
    store: Store, product: Product, actor: Actor = PROVIDER, purposes: tuple[Purpose, ...] = USUAL
) -> str:
    """Accept the standing offer and ask for the listing; returns the case's id.

    Public data on the commercial side gets its mandate and ceilings first.
    """
    seated(store, actor)
    if product.tier is Tier.COMMERCIAL and product.supply is not SupplyKind.ENTERPRISE:
        sellable(store, product.slug, actor)
    with store.view() as view:
        seen = offers.standing_hash(view, actor, product.id, terms_of(product, purposes))
    with store.unit(actor.id, actor.org) as unit:
        submitted = listing.submit_listing(
            unit, actor, product.id, standing=terms_of(product, purposes), offer_sha256=seen
        )
    assert submitted.case_id is not None
    return submitted.case_id


def approve(store: Store, case_id: str, by: Actor = APPROVER, *, agreed: bool = True) -> ListingState:
    """One decision; returns the listing's state after it."""
    with store.unit(by.id, by.org) as unit:
        return listing.decide_listing(unit, by, case_id, approve=agreed, reason="符合挂牌要求").state


def listed_product(
    store: Store,
    slug: str = "car-parks",
    *,
    actor: Actor = PROVIDER,
    purposes: tuple[Purpose, ...] = USUAL,
    **changes: Any,
) -> Product:
    """A product on the shelf, decided by as many people as its case needs."""
    product = ready_product(store, slug, actor=actor, **changes)
    case_id = submit(store, product, actor, purposes)
    if approve(store, case_id) is ListingState.SUBMITTED:
        approve(store, case_id, COMPLIANCE)
    return product
