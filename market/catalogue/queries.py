"""Read the catalogue: search with facets, the product page, and a provider's own products."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import Subquery
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from contracts.offers import Offer
from contracts.tables import License
from contracts.terms import Tier
from market.catalogue.rules import Hold, ListingState, ProductState, Zone
from market.catalogue.search import hits, query_words
from market.catalogue.tables import Listing, Plan, Product, Version
from market.identity.rules import Actor, Permission
from market.policy.inputs import SupplyKind
from market.registry.rules import AssetState
from market.registry.tables import Asset
from metering import queries as metering
from metering.upstream import Declaration
from storage.kernel.problem import NotFound
from storage.kernel.words import Words
from storage.unit import View

PAGE = 20
FACETS = {"tier": Product.tier, "zone": Product.zone, "provider": Product.provider_id}


@dataclass(frozen=True, slots=True)
class Found:
    """检索结果. One page of products, how many there are, and counts per facet value.

    A facet counts what choosing another of its values would show: its own filter is left aside.
    """

    products: Sequence[Product]
    total: int
    page: int
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OnOffer:
    """在售. What a buyer can order now: the frozen offer, who accepted it, the version."""

    offer: Offer
    accepted_by: str
    version: int
    supply: SupplyKind


@dataclass(frozen=True, slots=True)
class Page:
    """产品页. Everything the page of one product shows."""

    product: Product
    versions: Sequence[Version]
    plans: Sequence[Plan]
    listing: Listing | None
    sample: list[dict[str, Any]]
    dictionary: list[dict[str, Any]]


def search(
    view: View,
    text: str = "",
    *,
    tier: Tier | None = None,
    zone: Zone | None = None,
    provider: str | None = None,
    page: int = 1,
    per_page: int = PAGE,
) -> Found:
    """检索. Listed products, best hit first; without text the newest first. Pages count from 1.

    Every word must be found; when no product has all of them, any word counts. Text of marks
    only finds nothing. Never raises for what people type.
    """
    words = query_words(text)
    if text.strip() and not words:
        return Found([], 0, page, {name: {} for name in FACETS})
    chosen = {"tier": tier, "zone": zone, "provider": provider}
    found = hits(view, words, every=True) if words else None
    if found is not None and len(words) > 1 and not _count(view, found, {}):
        found = hits(view, words, every=False)
    query = _narrowed(select(Product), found, chosen)
    best = [found.c.score, sa.desc(col(Product.id))] if found is not None else []
    query = query.order_by(*best) if best else query.order_by(sa.desc(col(Product.listed_at)))
    page = max(page, 1)
    per_page = min(max(per_page, 1), 100)
    products = view.session.exec(query.offset((page - 1) * per_page).limit(per_page)).all()
    facets = {
        name: _facet(view, column, found, {other: value for other, value in chosen.items() if other != name})
        for name, column in FACETS.items()
    }
    return Found(products, _count(view, found, chosen), page, facets)


def _narrowed(query: Any, found: Subquery | None, chosen: dict[str, Any]) -> Any:
    if found is not None:
        query = query.join(found, found.c.product_id == col(Product.id))
    query = query.where(col(Product.state) == ProductState.LISTED)
    for name, value in chosen.items():
        if value is not None:
            query = query.where(FACETS[name] == value)
    return query


def _count(view: View, found: Subquery | None, chosen: dict[str, Any]) -> int:
    query = _narrowed(sa.select(sa.func.count()).select_from(Product), found, chosen)
    return int(view.session.execute(query).scalar_one())


def _facet(view: View, column: Any, found: Subquery | None, chosen: dict[str, Any]) -> dict[str, int]:
    query = _narrowed(sa.select(column, sa.func.count()).select_from(Product), found, chosen)
    counts = view.session.execute(query.group_by(column)).all()
    return {str(value): count for value, count in sorted(counts, key=lambda pair: (-pair[1], str(pair[0])))}


def visible_to(actor: Actor | None) -> SelectOfScalar[Product]:
    """The products the caller may know of.

    Everybody: those listed. Members: their organization's, and those it holds or held a license of.
    Approvers, compliance and auditors: also those that were ever submitted.
    """
    seen = [col(Product.state) == ProductState.LISTED]
    if actor is not None and actor.org is not None:
        seen.append(col(Product.provider_id) == actor.org)
        seen.append(col(Product.id).in_(select(License.product_id).where(License.buyer_id == actor.org)))
    desk = (Permission.LISTING_APPROVE, Permission.LICENSE_SUSPEND, Permission.JOURNAL_READ)
    if actor is not None and any(actor.may(permission) for permission in desk):
        seen.append(col(Product.id).in_(select(Listing.product_id)))
    return select(Product).where(sa.or_(*seen))


def product(view: View, actor: Actor | None, key: str) -> Product:
    """One product by id or slug. Raises NotFound for what the caller may not know of."""
    query = visible_to(actor).where(sa.or_(col(Product.id) == key, col(Product.slug) == key))
    found = view.session.exec(query).first()
    if found is None:
        raise NotFound(product=key)
    return found


def product_page(view: View, actor: Actor | None, key: str) -> Page:
    """产品页. One product by id or slug with versions (newest first), active plans, sample, dictionary.

    Raises NotFound.
    """
    found = product(view, actor, key)
    query = select(Version).where(Version.product_id == found.id).order_by(sa.desc(col(Version.number)))
    versions = view.session.exec(query).all()
    newest = versions[0] if versions else None
    return Page(
        product=found,
        versions=versions,
        plans=plans(view, found.id),
        listing=living_listing(view, found.id),
        sample=newest.sample if newest else [],
        dictionary=newest.dictionary if newest else [],
    )


def own_products(
    view: View, actor: Actor, *, before: str | None = None, limit: int = 50
) -> Sequence[Product]:
    """我的产品. The organization's products in every state, newest first."""
    query = select(Product).where(Product.provider_id == actor.own_org)
    if before is not None:
        query = query.where(Product.id < before)
    return view.session.exec(query.order_by(sa.desc(col(Product.id))).limit(limit)).all()


def own_product(view: View, actor: Actor, product_id: str) -> Product:
    """One product of the actor's organization, in any state. Raises NotFound."""
    query = select(Product).where(Product.id == product_id, Product.provider_id == actor.own_org)
    found = view.session.exec(query).first()
    if found is None:
        raise NotFound(product=product_id)
    return found


def plans(view: View, product_id: str, *, active_only: bool = True) -> Sequence[Plan]:
    """计价方案. The plans of a product, oldest first."""
    query = select(Plan).where(Plan.product_id == product_id).order_by(col(Plan.id))
    return view.session.exec(query.where(col(Plan.active)) if active_only else query).all()


def on_offer(view: View, product_id: str, plan_id: str) -> OnOffer | None:
    """在售. The standing offer of an active plan of a listed product, or None when there is none."""
    query = (
        select(Plan, Product)
        .join(Product, col(Product.id) == col(Plan.product_id))
        .where(
            Plan.id == plan_id,
            Plan.product_id == product_id,
            col(Plan.active),
            col(Product.state) == ProductState.LISTED,
        )
    )
    found = view.session.exec(query).first()
    if found is None:
        return None
    plan, product = found
    if plan.offer is None or plan.offer_accepted_by is None or product.current_version is None:
        return None
    return OnOffer(
        offer=Offer(**plan.offer),
        accepted_by=plan.offer_accepted_by,
        version=product.current_version,
        supply=product.supply,
    )


def listed_plan(view: View, product_id: str, plan_id: str) -> tuple[Product, Plan, Listing] | None:
    """在架方案. A plan of a listed product with the listing it is offered under."""
    query = (
        select(Product, Plan, Listing)
        .join(Plan, col(Plan.product_id) == col(Product.id))
        .join(Listing, col(Listing.product_id) == col(Product.id))
        .where(
            Product.id == product_id,
            Plan.id == plan_id,
            col(Product.state) == ProductState.LISTED,
            col(Listing.state) == ListingState.LISTED,
        )
    )
    return view.session.exec(query).first()


def plan_once_listed(view: View, product_id: str, plan_id: str) -> tuple[Plan, Product] | None:
    """A plan with its product, listed now or before; None for one the public never saw."""
    query = (
        select(Plan, Product)
        .join(Product, col(Product.id) == col(Plan.product_id))
        .where(Plan.id == plan_id, Plan.product_id == product_id, col(Product.listed_at).is_not(None))
    )
    found = view.session.exec(query).first()
    return (found[0], found[1]) if found else None


def registered_until(view: View, product_id: str) -> datetime | None:
    """登记有效期. When the registration of the asset behind a product ends; None without an end."""
    query = select(Asset.valid_until).join(Product, col(Product.asset_id) == col(Asset.id))
    return view.session.exec(query.where(Product.id == product_id)).first()


def products_of_asset(view: View, asset_id: str) -> Sequence[str]:
    """The ids of the products made from an asset, in order."""
    return view.session.exec(
        select(Product.id).where(Product.asset_id == asset_id).order_by(col(Product.id))
    ).all()


def is_grounded(view: View, product_id: str) -> bool:
    """Whether the asset behind a product is registered still."""
    query = select(Asset.state).join(Product, col(Product.asset_id) == col(Asset.id))
    return view.session.exec(query.where(Product.id == product_id)).first() is AssetState.REGISTERED


def newest_version(view: View, product_id: str) -> Version | None:
    """The version with the highest number."""
    query = select(Version).where(Version.product_id == product_id).order_by(sa.desc(col(Version.number)))
    return view.session.exec(query.limit(1)).first()


def version(view: View, product_id: str, number: int) -> Version:
    """One version by its number. Raises NotFound."""
    query = select(Version).where(Version.product_id == product_id, Version.number == number)
    found = view.session.exec(query).first()
    if found is None:
        raise NotFound(product=product_id, version=number)
    return found


def interface(view: View, product_id: str) -> Declaration | None:
    """供方接口. What is declared of the provider's own API behind a product; never its secret."""
    found = metering.upstream(view, product_id)
    return found[0] if found else None


def own_interface(
    view: View, actor: Actor, product_id: str
) -> tuple[Product, Declaration | None, datetime | None]:
    """A product of the actor's organization, its declaration, and when the secret was last set. Raises NotFound."""
    found = own_product(view, actor, product_id)
    declared, rotated_at = metering.upstream(view, product_id) or (None, None)
    return found, declared, rotated_at


def is_editable(view: View, product: Product) -> bool:
    """Whether the provider may still change it: a draft that does not wait for approval."""
    listing = living_listing(view, product.id)
    waiting = listing is not None and listing.state is ListingState.SUBMITTED
    return product.state is ProductState.DRAFT and not waiting


def version_of_run(view: View, product_id: str, run_id: str) -> Version | None:
    """The version a run was published as."""
    query = select(Version).where(Version.product_id == product_id, Version.run_id == run_id)
    return view.session.exec(query).first()


def living_listing(view: View, product_id: str) -> Listing | None:
    """The listing that is not delisted; there is at most one."""
    query = select(Listing).where(
        Listing.product_id == product_id, col(Listing.state) != ListingState.DELISTED
    )
    return view.session.exec(query).first()


def listed(view: View, *, provider: str | None = None) -> Sequence[tuple[Product, Listing]]:
    """在架. Every product on the shelf with its listing, in order: for comparisons with what they stand on."""
    return _with_listing(view, ListingState.LISTED, provider)


def held(view: View, hold: Hold, *, provider: str | None = None) -> Sequence[tuple[Product, Listing]]:
    """被扣住. Products suspended by themselves for this reason, with their listings, in order."""
    pairs = _with_listing(view, ListingState.SUSPENDED, provider)
    return [(product, listing) for product, listing in pairs if listing.hold is hold]


def _with_listing(view: View, state: ListingState, provider: str | None) -> Sequence[tuple[Product, Listing]]:
    query = (
        select(Product, Listing)
        .join(Listing, col(Listing.product_id) == col(Product.id))
        .where(Listing.state == state)
        .order_by(col(Product.id))
    )
    if provider is not None:
        query = query.where(Product.provider_id == provider)
    return [(product, listing) for product, listing in view.session.exec(query)]


def listing_of_case(view: View, case_id: str) -> Listing:
    """What an approval case is about. Raises NotFound."""
    found = view.session.exec(select(Listing).where(Listing.case_id == case_id)).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def titles(view: View, ids: set[str]) -> dict[str, Words]:
    """产品名称. The names of products by id, whatever their state: for lists of orders and licenses."""
    rows = view.session.exec(select(Product).where(col(Product.id).in_(ids))).all()
    return {row.id: Words(row.title_zh, row.title_en) for row in rows}
